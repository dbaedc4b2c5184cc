"""A snapshot: a folder of weights, solver state and the manifest that vouches for both.

    train_iter_4000.caffemodel
    train_iter_4000.solverstate
    manifest.json               sizes and hashes of the two, and what else a run goes on from

The folder is written beside, flushed to the disk and renamed, so it is there whole or not at
all. Caffe writes into a solver state the path of its weights as it was given, and looks
for it there: both are written and read with their own folder as the current one, so that
a run may be moved.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fcn.errors import SnapshotError
from fcn.io import flush, write_text

MANIFEST = 'manifest.json'
WEIGHTS, STATE = 'caffemodel', 'solverstate'
SINK = (
    Path(__file__).with_name('durable_writer.py').read_text()
)  # The file may change under a run of days.


def file_name(iteration, kind):
    """The name Caffe gives a file of a snapshot, WEIGHTS or STATE."""
    return f'train_iter_{iteration}.{kind}'


def write_snapshot(solver, folder, **state):
    """Write `solver` and a manifest of its files and `state` to the folder, a Path that must not exist yet.

    SnapshotError if the disk does not take it; the folder is gone then.
    """
    partial = folder.with_name(f'.partial-{os.getpid()}')
    try:
        partial.mkdir(parents=True)
        files = _write_files(solver, partial)
        write_checksummed(partial / MANIFEST, iteration=solver.iter, files=files, **state)
        flush(partial)
        partial.rename(folder)
        flush(folder.parent)
    except OSError as error:
        discard(partial)
        raise SnapshotError(f'{folder}: cannot be written ({error.strerror})') from error


def _write_files(solver, folder):
    """{name: {bytes, sha256}} of a solver's files, written by a sink each; OSError if one could not be."""
    with tempfile.TemporaryDirectory() as pipes, contextlib.ExitStack() as stack:
        sinks = {}
        for kind in (WEIGHTS, STATE):
            name = file_name(solver.iter, kind)
            read, write = os.pipe()
            stack.callback(os.close, write)
            # A session of its own: Ctrl-C is for us, who finish the snapshot first.
            sinks[name] = subprocess.Popen(
                [sys.executable, '-I', '-S', '-c', SINK, folder / name],
                stdin=read,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            os.close(read)
            Path(pipes, name).symlink_to(f'/proc/self/fd/{write}')
        with contextlib.chdir(pipes):
            solver.snapshot()
    said = {name: sink.communicate()[0] for name, sink in sinks.items()}  # All are waited for.
    for name, words in said.items():
        if not words:
            raise OSError(None, 'the process that writes it was ended', folder / name)
    files = {name: json.loads(words) for name, words in said.items()}
    for name, file in files.items():
        if error := file.pop('error'):
            raise OSError(None, error, folder / name)
    return files


def write_checksummed(path, **entries):
    """Write entries as JSON with their own hash, whole or not at all."""
    # No line end: whatever is cut off its end, the rest is no JSON.
    write_text(path, json.dumps(entries | {'seal': _seal(entries)}, indent=1))


def read_checksummed(path):
    """The entries of a file that `write_checksummed` wrote; SnapshotError if it is not as it was written."""
    try:
        entries = json.loads(path.read_text())
        if entries.pop('seal') != _seal(entries):
            raise ValueError
        return entries
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise SnapshotError(f'{path}: missing or damaged') from error


def verify(folder, *kinds):
    """The manifest of a snapshot whose files of `kinds` are as they were written; SnapshotError names another."""
    manifest = read_checksummed(folder / MANIFEST)
    if not {'iteration', 'files', 'settings'} <= set(manifest):
        raise SnapshotError(f'{folder / MANIFEST}: another file, no manifest')
    for kind in kinds:
        name = file_name(manifest['iteration'], kind)
        if not matches(folder / name, manifest['files'].get(name)):
            raise SnapshotError(f'{folder / name}: missing or damaged')
    return manifest


def digest(path, size=None):
    """{bytes, sha256} of a file, of its first `size` bytes if given."""
    with open(path, 'rb') as file:
        if size is not None:
            content = file.read(size)
            return {'bytes': len(content), 'sha256': hashlib.sha256(content).hexdigest()}
        return {
            'bytes': os.fstat(file.fileno()).st_size,
            'sha256': hashlib.file_digest(file, 'sha256').hexdigest(),
        }


def matches(path, expected):
    """Whether a file has the digest that was noted of it; a size that differs saves reading it."""
    try:
        return (
            expected is not None
            and path.stat().st_size == expected['bytes']
            and digest(path) == expected
        )
    except OSError:
        return False


def discard(folder):
    """Remove a snapshot's folder; what a crash leaves of it is no snapshot."""
    with contextlib.suppress(OSError):
        doomed = folder.with_name(f'.partial-{folder.name.lstrip(".")}')
        folder.rename(doomed)
        folder = doomed
    shutil.rmtree(folder, ignore_errors=True)


def _seal(entries):
    """The hash of what a sealed file holds."""
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
