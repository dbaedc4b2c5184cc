"""Builds an untrusted prototxt in a disposable child process first.

Caffe aborts on what it does not understand in a prototxt, and ends the process with it. So a child
builds the net before we do, in bounded memory and time, and the reason for its end becomes a
one-line error. Caffe's last message names no layer, but its log does.
"""

import contextlib
import re
import resource
import signal
import subprocess
import tempfile
from pathlib import Path

from caffe.proto.caffe_pb2 import NetParameter
from google.protobuf import text_format

from fcn import child
from fcn.engine import caffe
from fcn.errors import FCNError, WeightsError
from fcn.memory import SHARE, free_memory
from fcn.text import gigabytes

CPU_SECONDS, SECONDS = 10, 60
MAX_WEIGHTS = 2**31 - 1  # bytes that a caffemodel can hold
MAX_MEMORY = 2 * MAX_WEIGHTS
MAX_MESSAGE = 160  # characters of Caffe's message


def load(spec: NetParameter, name: str | Path) -> 'caffe.Net':
    """Return the caffe.Net, to test, of a NetParameter that came from the file `name`.

    Raises WeightsError with Caffe's reason against it, or if it needs more memory than there is.
    """
    with tempfile.NamedTemporaryFile('w', suffix='.prototxt', encoding='utf-8') as file:
        file.write(text_format.MessageToString(spec))
        file.flush()
        validate_in_subprocess(file.name, name)
        net = caffe.Net(file.name, caffe.TEST)
    names = list(net._layer_names)
    if twice := [layer for layer in names if names.count(layer) > 1]:
        raise WeightsError(
            f"{name}: has two layers named '{twice[0]}'; weights go by names, so rename one"
        )
    return net


def validate_in_subprocess(prototxt: str, name: str | Path) -> None:
    """Build the net of the file `prototxt` in a child process.

    Raises WeightsError about `name`, the user's file, if that cannot be done.
    """
    memory_bytes = min(int(SHARE * free_memory()), MAX_MEMORY)
    environment = {'GLOG_minloglevel': '0', 'GLOG_logtostderr': '1'}
    with tempfile.TemporaryFile() as log:
        builder = child.start(
            main, prototxt, str(memory_bytes), environment=environment, stderr=log
        )
        try:
            printed, _ = builder.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            builder.kill()
            builder.communicate()
            raise WeightsError(
                f'{name}: takes more than {SECONDS} s to build; make the net smaller'
            ) from error
        if builder.returncode == 0 and not printed:
            return
        log.seek(0)
        message = printed.decode(errors='replace') or _last_message(
            log.read().decode(errors='replace'), memory_bytes
        )
    killed_by = -builder.returncode
    if killed_by in (signal.SIGXCPU, signal.SIGKILL):
        message = f'takes more than {CPU_SECONDS} s to build; make the net smaller'
    elif not message:
        message = 'Caffe cannot build it'
    if killed_by > 0 and killed_by not in (signal.SIGABRT, signal.SIGXCPU, signal.SIGKILL):
        message += f' ({signal.Signals(killed_by).name})'
    raise WeightsError(f'{name}: {message}')


def _last_message(log: str, memory_bytes: int) -> str:
    """Return in one line why Caffe ended, from its log; '' if the log does not say."""
    layer = re.findall(r'\] (?:Creating Layer|Setting up) (.*)', log)
    where = f"layer '{layer[-1].strip()}': " if layer else ''
    fatal = re.search(r'^F\S+ .*?\] (.*)', log, re.MULTILINE)
    if 'host allocation of size' in log or 'std::bad_alloc' in log or 'MemoryError' in log:
        return (
            f'{where}the net needs more than the {gigabytes(memory_bytes)} of memory that it may '
            'take here; make it smaller'
        )
    if not fatal:
        return f'{where}Caffe cannot build it' if where else ''
    message = ' '.join(fatal[1].split())
    if message == 'Check failed: data_':  # in Blob::data, when nothing was allocated for a blob
        message = 'a blob without elements'
    if len(message) > MAX_MESSAGE:
        message = f'{message[:MAX_MESSAGE]}…'
    return f'{where}Caffe refuses it: {message}'


def main(prototxt: str, memory_bytes: str) -> None:
    """Build the net of a file in at most so many bytes besides those in use: the child's main."""
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    limit = pages * resource.getpagesize() + int(memory_bytes)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    with contextlib.suppress(ValueError, OSError):  # a tighter limit is set already
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        net = caffe.Net(prototxt, caffe.TEST)
        size = 4 * sum(blob.count for layer in net.layers for blob in layer.blobs)
        if size > MAX_WEIGHTS:
            print(
                f'its weights take {gigabytes(size)}, more than a caffemodel can hold; '
                'make the net smaller',
                end='',
            )
    except FCNError as error:  # of our data layer
        print(error, end='')
