"""Takes files out of archives that are not trusted.

Nothing is unpacked under the name or with the mode that an archive gives it: a member
whose path ends as a set's layout says (`wanted`) is written, as a plain file, to that
ending under the set's folder, however deep the archive nests it. Everything else is
passed over, except what only an attack would hold, which refuses the archive.
"""

import filecmp
import functools
import gzip
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import NamedTuple

from tqdm import tqdm

from fcn.errors import FCNError

LARGEST = 32 << 30  # bytes unpacked, of all members, wanted or not
SMALLEST = 1 << 10  # what a file counts at least, so that a million empty ones are refused, too
LONGEST = 1 << 20  # bytes of a name in a tar, which are read into memory
PLAIN = ('.txt', '.mat')


class Member(NamedTuple):
    """A file in an archive: its path there, its size in bytes, whether it is a plain file, and `open`."""

    name: str
    size: int
    plain: bool
    open: object


def pattern(endings):
    """A regular expression of paths that end as one of `endings`, where {} is any bare name.

    The ending is its last group. One without a folder must lie near the top: an archive
    may hold many a train.txt.
    """
    # A name that starts with a dot is some file system's note about another file.
    ways = {ending: re.escape(ending).replace(r'\{\}', r'[^/.][^/]*') for ending in endings}
    deep = '|'.join(way for ending, way in ways.items() if '/' in ending)
    bare = '|'.join(way for ending, way in ways.items() if '/' not in ending) or r'(?!)'
    return re.compile(f'(?:^|/)({deep})$|^(?:[^/]+/){{0,2}}({bare})$')


def unpack(archive, root, wanted):
    """Write the wanted files of a tar, zip, text or MATLAB file under the folder `root`; their number.

    Raises FCNError on a path that leaves the archive, on a wanted file that is a
    link or a device, on more than LARGEST bytes, on two different files for one place,
    on damage, and if nothing is wanted.
    """
    if not archive.is_file():
        raise FCNError(
            f'{archive}: no such file' + ('; name an archive, not a folder' * archive.is_dir())
        )
    count = total = 0
    try:
        with tqdm(
            desc=archive.name,
            total=archive.stat().st_size,
            unit='B',
            unit_scale=True,
            disable=None,
            leave=False,
        ) as bar:
            for member in _reader(archive)(archive, bar):
                total += max(member.size, SMALLEST)
                if total > LARGEST:
                    raise FCNError(
                        f'{archive}: unpacks to more than {LARGEST / 2**30:.3g} GiB, which no set does'
                    )
                match = wanted.search(_inside(member.name, archive))
                if not match:
                    continue
                if not member.plain:
                    raise FCNError(
                        f"{archive}: '{member.name}' is a link, a device or a folder, "
                        'where a file should be'
                    )
                _write(member, root, match[match.lastindex], archive)
                count += 1
    except FCNError:
        raise
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        gzip.BadGzipFile,
        zlib.error,
        struct.error,
        EOFError,
        ValueError,
        RuntimeError,
    ) as error:
        raise FCNError(
            f'{archive}: truncated or damaged, or no archive that is read here ({error}); '
            'fetch it again'
        ) from error
    if not count:
        raise FCNError(f'{archive}: holds no file of this set; is it the right archive?')
    return count


def _inside(name, archive):
    """A member's path, with slashes; FCNError if it leads out of the archive."""
    path = PurePosixPath(name.replace('\\', '/'))
    if path.is_absolute() or '..' in path.parts:
        raise FCNError(f"{archive}: holds '{name}', a path that leads out of it")
    return str(path)


def _write(member, root, place, archive):
    """Write a member to `place` under `root`; the same file twice is one, two different ones an FCNError."""
    target, fresh = root / place, root / '.member'
    with member.open() as source, fresh.open('wb') as file:
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
            f"{archive}: its '{member.name}' differs from the {place} unpacked before it; "
            'give archives of one edition of the set'
        )


def _reader(archive):
    if archive.suffix.lower() in PLAIN:
        return _plain_file
    return _zip_members if archive.suffix.lower() == '.zip' else _tar_members


def _plain_file(path, bar):
    yield Member(path.name, path.stat().st_size, True, functools.partial(path.open, 'rb'))


def _zip_members(path, bar):
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            plain = not info.is_dir() and kind in (0, stat.S_IFREG)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise FCNError(
                    f"{path}: packs '{info.filename}' in a way that is not read here; "
                    'make a zip that is stored or deflated, as by default'
                )
            yield Member(
                info.filename, info.file_size, plain, functools.partial(archive.open, info)
            )
            bar.update(info.compress_size)


def _tar_members(path, bar):
    """The members of a tar, plain or gzipped, read once from start to end."""
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
    """A tar's header that does not announce gigabytes of name."""

    # Not documented, but the one place that every release of tarfile passes with a header whose contents it
    # has not read. (Debian's later ones no longer call frombuf.)
    def _proc_member(self, archive):
        if (
            self.type
            in (
                tarfile.XHDTYPE,
                tarfile.XGLTYPE,
                tarfile.SOLARIS_XHDTYPE,
                tarfile.GNUTYPE_LONGNAME,
                tarfile.GNUTYPE_LONGLINK,
            )
            and self.size > LONGEST
        ):
            raise tarfile.ReadError(f'a name of {self.size} bytes')
        return super()._proc_member(archive)
