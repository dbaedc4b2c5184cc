"""Files that appear whole or not at all, and users' files that are read in bounded memory."""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fcn.errors import FCNError


def read_text(path: str | Path, maximum: int, errors: str = 'strict') -> str:
    """Return the UTF-8 text of a file of at most `maximum` bytes, without a byte order mark.

    Raises FCNError for what is no plain file (of a folder, a pipe or a device reading might never
    end), for a larger one, and for bytes that are not UTF-8, unless `errors` says what to make of
    them.
    """
    path = Path(path)
    if not path.is_file():
        more = ', but something else of that name' if path.exists() else ''
        raise FCNError(f'{path}: no such file{more}')
    with path.open('rb') as file:
        # Python sets aside as much memory as it is asked to read.
        content = file.read(min(maximum, path.stat().st_size) + 1)
    if len(content) > maximum:
        raise FCNError(f'{path}: is larger than {maximum / 2**20:g} MiB, which no such file is')
    try:
        return content.decode('utf-8-sig', errors)
    except UnicodeDecodeError as error:
        raise FCNError(
            f'{path}: not a text in UTF-8 ({error.reason} at byte {error.start})'
        ) from error


def check_writable(path: str | Path) -> None:
    """Raise FCNError if the file `path` cannot be written: before an hour of work, not after."""
    path = Path(path)
    if path.is_dir():
        raise FCNError(f'{path}: is a folder; name a file')
    if not path.parent.is_dir():
        raise FCNError(f'{path}: there is no folder {path.parent} to write it to; make it')
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise FCNError(f'{path}: no permission to write to {path.parent}; name another folder')


def make_folder(path: Path) -> None:
    """Make the folder `path` if it is not there.

    Raises FCNError, which names its full path, if it cannot be made or written to.
    """
    full = os.path.abspath(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FCNError(f'{full}: cannot be made ({error.strerror}); name another folder') from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise FCNError(f'{full}: no permission to write there; name another folder')


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` whole or not at all, by way of a file next to it."""
    with replacing(path) as partial:
        partial.write_text(text, encoding='utf-8')


@contextlib.contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a path next to `path` to write to, which then takes its place at once.

    If writing fails it is removed. What can be made again at no cost need not be `durable`, that is
    on the disk before it counts.
    """
    partial = path.with_name(f'.{path.stem}.partial{path.suffix}')
    try:
        yield partial
        if durable:
            flush(partial)
        os.replace(partial, path)
    except OSError as error:
        if error.filename is None:  # as of a disk that is full
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):  # a disk that fails now is not what is to be told
            partial.unlink(missing_ok=True)


def flush(path: str | Path) -> None:
    """Bring a file's bytes, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def lock_folder(
    path: Path, fix: str = 'wait for it to end', error: type[FCNError] = FCNError
) -> Iterator[None]:
    """Hold the folder `path`, made if it is not there, for this process alone.

    The lock is one of the operating system (flock), on the file `.lock` in the folder: it ends with
    the process, however that ends. (A network's file system locks no folder.) Raises `error`, whose
    message ends on `fix`, if another process holds the folder, and OSError if the folder cannot be
    made or written.
    """
    path.mkdir(parents=True, exist_ok=True)
    file = path / '.lock'
    with contextlib.ExitStack() as stack:
        held = False
        while not held:
            lock = stack.enter_context(file.open('w'))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as busy:
                raise error(f'{path}: another process is at work there; {fix}') from busy
            # The last holder may have removed the file between the two lines.
            with contextlib.suppress(FileNotFoundError):
                held = os.path.samestat(os.fstat(lock.fileno()), file.stat())
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                file.unlink()


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal digits."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def list_digest(names: Iterable[Any]) -> str:
    """Return the sha256 of a list of names, to tell one from another."""
    text = '\n'.join(map(str, names))
    return hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()
