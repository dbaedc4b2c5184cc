"""A snapshot: a folder of weights, solver state and the manifest that vouches for both.

    train_iter_4000.caffemodel
    train_iter_4000.solverstate
    manifest.json               sizes and hashes of the two, and what else a run resumes from

The folder is written under another name, flushed to the disk and renamed, so it is there whole or
not at all. Caffe writes into a solver state the path of its weights as it was given, and looks for
it there: both are written and read with their own folder as the working folder, so that a run may
be moved.
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
from typing import Any, TypedDict

from fcn.engine import caffe
from fcn.errors import SnapshotError
from fcn.io import flush, write_text

MANIFEST = 'manifest.json'
WEIGHTS, STATE = 'caffemodel', 'solverstate'
# Read now: the file may change under a run of days.
WRITER = Path(__file__).with_name('durable_writer.py').read_text()

Manifest = dict[str, Any]


class Digest(TypedDict):
    """The size of a file, or of its beginning, and the hash of that in hexadecimal digits."""

    bytes: int
    sha256: str


def file_name(iteration: int, kind: str) -> str:
    """Return the name that Caffe gives a file of a snapshot, WEIGHTS or STATE."""
    return f'train_iter_{iteration}.{kind}'


def write_snapshot(solver: caffe.SGDSolver, folder: Path, **state: Any) -> None:
    """Write `solver`, and a manifest of its files and of `state`, to a folder that must not exist.

    Raises SnapshotError if the disk does not take it; the folder is gone then.
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


def _write_files(solver: caffe.SGDSolver, folder: Path) -> dict[str, Digest]:
    """Write a solver's files, by a durable writer each, and return their digests by name.

    Raises OSError if one could not be written.
    """
    with tempfile.TemporaryDirectory() as pipes, contextlib.ExitStack() as stack:
        writers = {}
        for kind in (WEIGHTS, STATE):
            name = file_name(solver.iter, kind)
            read, write = os.pipe()
            stack.callback(os.close, write)
            # A session of its own: Ctrl-C is for us, who finish the snapshot first.
            writers[name] = subprocess.Popen(
                [sys.executable, '-I', '-S', '-c', WRITER, folder / name],
                stdin=read,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            os.close(read)
            Path(pipes, name).symlink_to(f'/proc/self/fd/{write}')
        with contextlib.chdir(pipes):
            solver.snapshot()
    # All are waited for before the first failure is raised.
    outputs = {name: writer.communicate()[0] for name, writer in writers.items()}
    for name, output in outputs.items():
        if not output:
            raise OSError(None, 'the process that writes it was ended', folder / name)
    files = {name: json.loads(output) for name, output in outputs.items()}
    for name, file in files.items():
        if error := file.pop('error'):
            raise OSError(None, error, folder / name)
    return files


def write_checksummed(path: Path, **entries: Any) -> None:
    """Write entries as JSON with their own checksum, whole or not at all."""
    # No line end: whatever is cut off the end of the file, the rest is not JSON.
    write_text(path, json.dumps(entries | {'seal': _checksum(entries)}, indent=1))


def read_checksummed(path: Path) -> dict[str, Any]:
    """Return the entries of a file that `write_checksummed` wrote.

    Raises SnapshotError if the file is not as it was written.
    """
    try:
        entries = json.loads(path.read_text())
        if entries.pop('seal') != _checksum(entries):
            raise ValueError
        return entries
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise SnapshotError(f'{path}: missing or damaged') from error


def verify(folder: Path, *kinds: str) -> Manifest:
    """Return the manifest of a snapshot whose files of `kinds`, WEIGHTS or STATE, are undamaged.

    Raises SnapshotError, which names the file, for another.
    """
    manifest = read_checksummed(folder / MANIFEST)
    if not {'iteration', 'files', 'settings'} <= set(manifest):
        raise SnapshotError(f'{folder / MANIFEST}: not the manifest of a snapshot')
    for kind in kinds:
        name = file_name(manifest['iteration'], kind)
        if not matches(folder / name, manifest['files'].get(name)):
            raise SnapshotError(f'{folder / name}: missing or damaged')
    return manifest


def digest(path: Path, size: int | None = None) -> Digest:
    """Return the digest of a file, or of its first `size` bytes."""
    with path.open('rb') as file:
        if size is not None:
            content = file.read(size)
            return {'bytes': len(content), 'sha256': hashlib.sha256(content).hexdigest()}
        return {
            'bytes': os.fstat(file.fileno()).st_size,
            'sha256': hashlib.file_digest(file, 'sha256').hexdigest(),
        }


def matches(path: Path, noted: Digest | None) -> bool:
    """Return whether a file has the digest that was noted of it."""
    try:
        # The size first: one that differs saves reading the file.
        return noted is not None and path.stat().st_size == noted['bytes'] and digest(path) == noted
    except OSError:
        return False


def discard(folder: Path) -> None:
    """Remove a snapshot's folder; what a crash leaves of it does not look like a snapshot."""
    with contextlib.suppress(OSError):
        doomed = folder.with_name(f'.partial-{folder.name.lstrip(".")}')
        folder.rename(doomed)
        folder = doomed
    shutil.rmtree(folder, ignore_errors=True)


def _checksum(entries: dict[str, Any]) -> str:
    """Return the hash of what a checksummed file holds."""
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
