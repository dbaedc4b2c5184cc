"""Nets of others, built first in a process that may die of it.

Caffe aborts on what it does not understand in a prototxt, and takes the process with
it. So a child builds the net before we do, in bounded memory and time, and what ended it
becomes the error's one line. Caffe names no layer in its last words, but its log does.
"""

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import text_format

from engine import caffe
from errors import UserError
from memory import SHARE, free_memory, gigabytes

from .caffemodel import WeightsError

CPU_SECONDS, SECONDS = 10, 60
MOST_WEIGHTS = 2 ** 31 - 1  # bytes: what a caffemodel can hold
ROOM = 2 * MOST_WEIGHTS
LONGEST = 160  # characters of Caffe's words
_ROOT = Path(__file__).resolve().parents[1]


def load(spec, name):
    """The caffe.Net, to test, of the NetParameter `spec`, which came from the file `name`.

    WeightsError says what Caffe has against it, or that it is more than this machine can hold.
    """
    with tempfile.NamedTemporaryFile('w', suffix='.prototxt', encoding='utf-8') as file:
        file.write(text_format.MessageToString(spec))
        file.flush()
        try_net(file.name, name)
        net = caffe.Net(file.name, caffe.TEST)
    names = list(net._layer_names)
    if twice := [layer for layer in names if names.count(layer) > 1]:
        raise WeightsError(f"{name}: has two layers named '{twice[0]}'; weights go by names, so rename one")
    return net


def try_net(prototxt, name):
    """Build the net of a file in a child; WeightsError about `name` if that cannot be done."""
    room = min(int(SHARE * free_memory()), ROOM)
    environment = os.environ | {'GLOG_minloglevel': '0', 'GLOG_logtostderr': '1',
                                'PYTHONPATH': os.pathsep.join(filter(None, [str(_ROOT), os.environ.get('PYTHONPATH')]))}
    with tempfile.TemporaryFile() as log:
        try:
            child = subprocess.run(
                [sys.executable, '-P', '-c', 'from surgery.trial import serve; serve()', prototxt, str(room)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment, timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            raise WeightsError(f'{name}: takes more than {SECONDS} s to build; make the net smaller') from error
        if child.returncode == 0 and not child.stdout:
            return
        log.seek(0)
        words = child.stdout.decode(errors='replace') or _last_words(log.read().decode(errors='replace'), room)
    ended = -child.returncode
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
        return (f'{where}the net needs more than the {gigabytes(room)} of memory that it may take here; '
                'make it smaller')
    if not fatal:
        return f'{where}Caffe cannot build it' if where else ''
    words = ' '.join(fatal[1].split())
    if words == 'Check failed: data_':  # in Blob::data, of a blob that nothing was allocated for
        words = 'a blob without elements'
    return f'{where}Caffe refuses it: {words[:LONGEST]}{"…" if len(words) > LONGEST else ""}'


def serve():
    """The child's main: build the net of a file, in so many bytes more than it has."""
    prototxt, room = sys.argv[1:]
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    with contextlib.suppress(ValueError, OSError):  # a tighter limit is set already
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(room),) * 2)
    try:
        net = caffe.Net(prototxt, caffe.TEST)
        size = 4 * sum(blob.count for layer in net.layers for blob in layer.blobs)
        if size > MOST_WEIGHTS:
            print(f'its weights are {gigabytes(size)}, more than a caffemodel can hold; make the net smaller', end='')
    except UserError as error:  # of a data layer of ours
        print(error, end='')
