"""Nets of others, built first in a process that may die of it.

Caffe aborts on what it does not understand in a prototxt, and takes the process with
it. So a child builds the net before we do, in bounded memory and time, and what ended it
becomes the error's one line. Caffe names no layer in its last words, but its log does.
"""

import contextlib
import re
import resource
import signal
import subprocess
import tempfile
from pathlib import Path

from google.protobuf import text_format

from fcn import child
from fcn.engine import caffe
from fcn.errors import FCNError, WeightsError
from fcn.memory import SHARE, free_memory
from fcn.text import gigabytes

CPU_SECONDS, SECONDS = 10, 60
MOST_WEIGHTS = 2**31 - 1  # bytes: what a caffemodel can hold
ROOM = 2 * MOST_WEIGHTS
LONGEST = 160  # characters of Caffe's words


def load(spec, name):
    """The caffe.Net, to test, of the NetParameter `spec`, which came from the file `name`.

    WeightsError says what Caffe has against it, or that it is more than this machine can hold.
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


def validate_in_subprocess(prototxt, name):
    """Build the net of a file in a child; WeightsError about `name` if that cannot be done."""
    room = min(int(SHARE * free_memory()), ROOM)
    environment = {'GLOG_minloglevel': '0', 'GLOG_logtostderr': '1'}
    with tempfile.TemporaryFile() as log:
        builder = child.start(main, prototxt, str(room), environment=environment, stderr=log)
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
        words = printed.decode(errors='replace') or _last_words(
            log.read().decode(errors='replace'), room
        )
    ended = -builder.returncode
    if ended in (signal.SIGXCPU, signal.SIGKILL):
        words = f'takes more than {CPU_SECONDS} s to build; make the net smaller'
    elif not words:
        words = 'Caffe cannot build it'
    if ended > 0 and ended not in (signal.SIGABRT, signal.SIGXCPU, signal.SIGKILL):
        words += f' ({signal.Signals(ended).name})'
    raise WeightsError(f'{name}: {words}')


def _last_words(log, room):
    """What Caffe's log says of why it ended, in one line; '' if nothing."""
    layer = re.findall(r'\] (?:Creating Layer|Setting up) (.*)', log)
    where = f"layer '{layer[-1].strip()}': " if layer else ''
    fatal = re.search(r'^F\S+ .*?\] (.*)', log, re.MULTILINE)
    if 'host allocation of size' in log or 'std::bad_alloc' in log or 'MemoryError' in log:
        return (
            f'{where}the net needs more than the {gigabytes(room)} of memory that it may take here; '
            'make it smaller'
        )
    if not fatal:
        return f'{where}Caffe cannot build it' if where else ''
    words = ' '.join(fatal[1].split())
    if words == 'Check failed: data_':  # in Blob::data, of a blob that nothing was allocated for
        words = 'a blob without elements'
    return f'{where}Caffe refuses it: {words[:LONGEST]}{"…" if len(words) > LONGEST else ""}'


def main(prototxt, room):
    """The child's main: build the net of a file, in so many bytes more than it has."""
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    with contextlib.suppress(ValueError, OSError):  # a tighter limit is set already
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(room),) * 2)
    try:
        net = caffe.Net(prototxt, caffe.TEST)
        size = 4 * sum(blob.count for layer in net.layers for blob in layer.blobs)
        if size > MOST_WEIGHTS:
            print(
                f'its weights are {gigabytes(size)}, more than a caffemodel can hold; make the net smaller',
                end='',
            )
    except FCNError as error:  # of a data layer of ours
        print(error, end='')
