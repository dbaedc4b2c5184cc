"""Takes files out of archives that are not trusted.

Nothing is unpacked under the name or with the mode that an archive gives it: a member whose path
ends on one of the set's own paths (`wanted`) is written, as a plain file, to that path under the
set's folder, however deep the archive nests it. Everything else is skipped, but an archive that
holds what only an attack would hold is refused.
"""

import filecmp
import functools
import gzip
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from re import Pattern
from typing import IO, NamedTuple

from tqdm import tqdm

from fcn.errors import FCNError

MAX_BYTES = 32 << 30  # unpacked, of all members, wanted or not
MIN_MEMBER = 1 << 10  # bytes that each member counts, so that a million empty ones are refused, too
MAX_NAME = 1 << 20  # bytes of a name in a tar, which are read into memory
PLAIN = ('.txt', '.mat')
# What tarfile, zipfile and their decompressors raise on damaged archives.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    RuntimeError,
)


class Member(NamedTuple):
    """A file in an archive: its path there, its size in bytes, whether it is a plain file, and how
    it is opened."""

    name: str
    size: int
    plain: bool
    open: Callable[[], IO[bytes] | None]


def pattern(endings: Iterable[str]) -> Pattern[str]:
    """Return a regular expression of paths that end as one of `endings`, where {} is any bare name.

    The ending is its last group. One without a folder must lie near the top: an archive may hold
    many files named train.txt.
    """
    # A name that starts with a dot is some file system's note about another file.
    escaped = {ending: re.escape(ending).replace(r'\{\}', r'[^/.][^/]*') for ending in endings}
    deep = '|'.join(regex for ending, regex in escaped.items() if '/' in ending)
    bare = '|'.join(regex for ending, regex in escaped.items() if '/' not in ending) or r'(?!)'
    return re.compile(f'(?:^|/)({deep})$|^(?:[^/]+/){{0,2}}({bare})$')


def unpack(archive: Path, root: Path, wanted: Pattern[str]) -> int:
    """Write the wanted files of a tar, zip, text or MATLAB file under the folder `root`.

    Returns their number. Raises FCNError on a path that leads out of the archive, on a wanted file
    that is a link or a device, on more than MAX_BYTES, on two different files for one path, on
    damage, and if nothing is wanted.
    """
    if not archive.is_file():
        more = '; name an archive, not a folder' if archive.is_dir() else ''
        raise FCNError(f'{os.path.abspath(archive)}: no such file{more}')
    try:
        with tqdm(
            desc=archive.name,
            total=archive.stat().st_size,
            unit='B',
            unit_scale=True,
            disable=None,
            leave=False,
        ) as bar:
            count = sum(
                _write(member, root, path, archive)
                for member, path in _wanted_members(archive, wanted, bar)
            )
    except FCNError:
        raise
    except _DAMAGE as error:
        raise FCNError(
            f'{archive}: truncated or damaged, or not an archive that can be read here ({error}); '
            'fetch it again'
        ) from error
    if not count:
        raise FCNError(
            f'{archive}: holds no file of this set; give an archive that its owners publish'
        )
    return count


def _wanted_members(archive: Path, wanted: Pattern[str], bar: tqdm) -> Iterator[tuple[Member, str]]:
    """Yield the members to write, each with its path in the set."""
    total = 0
    for member in _reader(archive)(archive, bar):
        total += max(member.size, MIN_MEMBER)
        if total > MAX_BYTES:
            raise FCNError(
                f'{archive}: unpacks to more than {MAX_BYTES / 2**30:.3g} GiB, which no set does; '
                'fetch it again'
            )
        match = wanted.search(_inside(member.name, archive))
        if not match:
            continue
        if not member.plain:
            raise FCNError(
                f"{archive}: '{member.name}' is a link, a device or a folder, "
                'where a file should be; fetch it again'
            )
        yield member, match[match.lastindex or 0]


def _inside(name: str, archive: Path) -> str:
    """Return a member's path, with slashes. Raises FCNError if it leads out of the archive."""
    path = PurePosixPath(name.replace('\\', '/'))
    if path.is_absolute() or '..' in path.parts:
        raise FCNError(
            f"{archive}: holds '{name}', a path that leads out of it; fetch it from its owners"
        )
    return str(path)


def _write(member: Member, root: Path, path: str, archive: Path) -> int:
    """Write a member to `path` under `root`; return 1, the number of files.

    The same file may come twice. Raises FCNError if two are different.
    """
    target, fresh = root / path, root / '.member'
    source = member.open()
    if source is None:
        raise EOFError(f"'{member.name}' has no content")
    with source, fresh.open('wb') as file:
        shutil.copyfileobj(source, file, 1 << 20)
    if fresh.stat().st_size != member.size:
        raise EOFError(f"'{member.name}' ends early")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.rename(target)
    elif filecmp.cmp(fresh, target, shallow=False):
        fresh.unlink()
    else:
        raise FCNError(
            f"{archive}: its '{member.name}' differs from the {path} unpacked before it; "
            'give archives of one edition of the set'
        )
    return 1


def _reader(archive: Path) -> Callable[[Path, tqdm], Iterator[Member]]:
    """Return the function that reads a file of this ending."""
    if archive.suffix.lower() in PLAIN:
        return _plain_file
    return _zip_members if archive.suffix.lower() == '.zip' else _tar_members


def _plain_file(path: Path, bar: tqdm) -> Iterator[Member]:
    yield Member(path.name, path.stat().st_size, True, lambda: path.open('rb'))


def _zip_members(path: Path, bar: tqdm) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            plain = not info.is_dir() and kind in (0, stat.S_IFREG)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise FCNError(
                    f"{path}: '{info.filename}' is compressed in a way that cannot be read here; "
                    'make a zip that is stored or deflated, as by default'
                )
            yield Member(
                info.filename, info.file_size, plain, functools.partial(archive.open, info)
            )
            bar.update(info.compress_size)


def _tar_members(path: Path, bar: tqdm) -> Iterator[Member]:
    """Yield the members of a tar, plain or gzipped, read once from start to end."""
    with path.open('rb') as file:
        packed = file.peek(2)[:2] == b'\x1f\x8b'
        # Not tarfile's own way of reading gzip as a stream, which compares no checksum.
        stream = gzip.GzipFile(fileobj=file) if packed else file
        with tarfile.open(fileobj=stream, mode='r|', tarinfo=_Header) as archive:
            for info in archive:
                plain = info.isreg() and not info.issparse()
                yield Member(
                    info.name, info.size, plain, functools.partial(archive.extractfile, info)
                )
                bar.update(file.tell() - bar.n)
        while packed and stream.read(1 << 20):
            pass  # The checksum comes last.


class _Header(tarfile.TarInfo):
    """A tar's header that may not announce gigabytes of name."""

    _LONG_NAMES = (
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    )

    # Not documented, but the one place that every release of tarfile passes with a header whose
    # contents it has not read. (Debian's later ones no longer call frombuf.)
    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in self._LONG_NAMES and self.size > MAX_NAME:
            raise tarfile.ReadError(f'a name of {self.size} bytes')
        return super()._proc_member(archive)  # type: ignore[misc]
