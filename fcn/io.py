"""Files that appear whole or not at all, and files of users that are read in bounded memory."""

import contextlib
import os
from pathlib import Path

from fcn.errors import FCNError


def read_text(path, most, errors='strict'):
    """The UTF-8 text of a file of at most `most` bytes, without a byte order mark.

    FCNError for what is no plain file (a folder, a pipe, a device: reading might never end), for a larger one, and
    for bytes that are no UTF-8, unless `errors` says what to make of them.
    """
    path = Path(path)
    if not path.is_file():
        raise FCNError(
            f'{path}: no such file' + ', but something else of that name' * path.exists()
        )
    with path.open('rb') as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise FCNError(f'{path}: is larger than {most / 2**20:g} MiB, which no such file is')
    try:
        return content.decode('utf-8-sig', errors)
    except UnicodeDecodeError as error:
        raise FCNError(
            f'{path}: no text in UTF-8 ({error.reason} at byte {error.start})'
        ) from error


def check_writable(path):
    """FCNError if the file `path` cannot be written: told before an hour of work rather than after."""
    path = Path(path)
    if path.is_dir():
        raise FCNError(f'{path}: is a folder; name a file')
    if not path.parent.is_dir():
        raise FCNError(f'{path}: there is no folder {path.parent} to write it to; make it')
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise FCNError(f'{path}: no permission to write to {path.parent}; name another folder')


def write_text(path, text):
    """Write `text` to the Path `path`, by way of a file beside it."""
    with replacing(path) as partial:
        partial.write_text(text, encoding='utf-8')


@contextlib.contextmanager
def replacing(path, durable=True):
    """A Path beside `path` to write to, which then takes its place at once; if writing fails it is gone.

    What can be made again at no cost need not be `durable`, that is on the disk before it counts.
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


def flush(path):
    """Bring a file's bytes, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
