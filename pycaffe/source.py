"""Finds the untouched source of BVLC Caffe, and refuses any other.

It looks, in this order, for the folder or tarball that CAFFE_SOURCE names, the distribution's
source package, and upstream's archive of the commit over https. Their tarballs differ (compression,
a top folder), so the tree is checked: one SHA-256 over the sorted paths and contents of the files
that the engine is made of. The checked files are kept in a cache folder, and a build reads only
those, whatever else lies where they came from.
"""

import hashlib
import os
import re
import shutil
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

import distribution

COMMIT = '99bd99795dcdf0b1d3086a8d67ab1782a8a08383'
DIGEST = 'ac9c4c85b2391a6eb459b09e023dedeeaa33a8b7bfa26cd11e584adf9f6e2a21'
ARCHIVE = f'https://github.com/BVLC/caffe/archive/{COMMIT}.tar.gz'

# The files that are the source. What a build in the same folder leaves behind (generated protobuf
# code, modules, bytecode) is not, so a folder in which Caffe was built will do.
USED = re.compile(
    r'LICENSE'
    r'|include/(?!caffe/proto/).+\.(h|hpp|cuh)'
    r'|src/caffe/(?!test/).+\.(cpp|cu|proto)'
    r'|python/caffe/(?!proto/).+\.(py|hpp|cpp|npy)'
)
FIX = f'Set CAFFE_SOURCE to a folder or a tarball of BVLC Caffe, untouched, at commit {COMMIT[:7]}.'
MAX_BYTES = 256 << 20  # unpacked; the real tarball unpacks to 15 million

Files = dict[str, bytes]  # path in the tree → contents


class SourceError(Exception):
    """No source is usable. The message is one line that says what to do."""


def find() -> Path:
    """Return the folder of a verified tree of Caffe, from the first place that has it.

    Raises SourceError if CAFFE_SOURCE is set and is not that tree, or if it is not set and no place
    has the tree.
    """
    named = os.environ.get('CAFFE_SOURCE')
    if named:
        path = Path(named).expanduser()
        if not path.is_absolute():  # an installer runs this in another folder than it was called in
            raise SourceError(f'CAFFE_SOURCE={named} is not an absolute path. {FIX}')
        return cache(verified(read(path), f'CAFFE_SOURCE={named}'))
    cached = cache_folder('source') / DIGEST[:16]
    if cached.is_dir() and digest(read_folder(cached)) == DIGEST:
        return cached
    reasons = []
    for name, fetch in PLACES.items():
        with tempfile.TemporaryDirectory(prefix='caffe-source-') as scratch:
            try:
                return cache(verified(read(fetch(Path(scratch))), name))
            except SourceError as error:
                reasons.append(str(error).replace(f'. {FIX}', ''))
            except (distribution.NotAvailable, OSError) as error:
                reasons.append(f'{name}: {one_line(error)}')
    raise SourceError(f'found no source of BVLC Caffe ({"; ".join(reasons)}). {FIX}')


def one_line(error: Exception) -> str:
    """Return the error's message on one line, or its type if it has none."""
    return ' '.join(str(error).split()) or type(error).__name__


def cache_folder(kind: str) -> Path:
    """Return the folder for `kind` ("source", "wheels") in the user's cache, made if missing.

    It can always be deleted. Raises SourceError if it cannot be made.
    """
    base = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    folder = Path(base) / 'pycaffe' / kind
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(
            f'cannot make the cache folder {folder} ({error.strerror}). '
            'Set XDG_CACHE_HOME to a folder you may write in.'
        ) from error
    return folder


def digest(files: Files) -> str:
    """Return the SHA-256 of `files`, as hex. Their order does not matter."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(f'{path}\0{len(files[path])}\0'.encode())
        total.update(files[path])
    return total.hexdigest()


def verified(files: Files, place: str) -> Files:
    """Return `files` if they are Caffe's, else raise a SourceError that names `place`."""
    actual = digest(files)
    if actual != DIGEST:
        raise SourceError(
            f'{place} is not the untouched source of BVLC Caffe {COMMIT[:7]}: '
            f'the digest of its {len(files)} files is {actual}, not {DIGEST}. {FIX}'
        )
    return files


def read(path: Path) -> Files:
    """Read the files that the engine is made of from a folder or a tarball.

    Raises SourceError if there is none, or the tarball is damaged or unsafe.
    """
    if path.is_dir():
        return read_folder(path)
    if path.is_file():
        return read_tarball(path)
    raise SourceError(f'there is no file or folder {path}. {FIX}')


def read_folder(folder: Path) -> Files:
    """Read the files that the engine is made of from a folder."""
    paths = (path for path in Path(folder).rglob('*') if path.is_file())
    relative = ((path.relative_to(folder).as_posix(), path) for path in paths)
    return {name: path.read_bytes() for name, path in relative if USED.fullmatch(name)}


def read_tarball(path: Path) -> Files:
    """Read a tarball into memory, with or without one top folder. Nothing is unpacked to disk.

    Raises SourceError for a name that leaves the tree, for a link or a device where a source file
    should be, and for more than MAX_BYTES.
    """
    files: Files = {}
    size = 0
    try:
        with tarfile.open(path) as archive:
            members = archive.getmembers()
            top = top_folder(members)
            for member in members:
                name = inside(member.name, top)
                size += member.size
                if size > MAX_BYTES:
                    raise SourceError(f'{path} unpacks to more than {MAX_BYTES >> 20} MiB. {FIX}')
                if not USED.fullmatch(name):
                    continue
                contents = archive.extractfile(member) if member.isreg() else None
                if contents is None:
                    raise SourceError(f'{path} holds a link or a device at {member.name}. {FIX}')
                files[name] = contents.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SourceError(
            f'{path} cannot be read as a tarball ({one_line(error)}). {FIX}'
        ) from error
    return files


def top_folder(members: Iterable[tarfile.TarInfo]) -> PurePosixPath:
    """Return the folder that all members lie in: upstream's archive has one, Debian's has none."""
    firsts = {PurePosixPath(member.name).parts[:1] for member in members} - {()}
    if len(firsts) != 1:
        return PurePosixPath()
    return PurePosixPath(*firsts.pop())


def inside(name: str, top: PurePosixPath) -> str:
    """Return a member's path below `top`. Raises SourceError if it leaves the tree."""
    path = PurePosixPath(name)
    if path.is_absolute() or '..' in path.parts:
        raise SourceError(f'the tarball holds {name}, outside its own tree. {FIX}')
    return path.relative_to(top).as_posix()


def cache(files: Files) -> Path:
    """Write verified `files` to the cache, whole or not at all, and return their folder."""
    cached = cache_folder('source') / DIGEST[:16]
    if cached.is_dir() and read_folder(cached) == files:
        return cached
    fresh = Path(tempfile.mkdtemp(prefix='new-', dir=cached.parent))
    try:
        for name, contents in files.items():
            target = fresh / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(contents)
        shutil.rmtree(cached, ignore_errors=True)
        fresh.chmod(0o755)
        fresh.rename(cached)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return cached


def upstream_archive(scratch: Path) -> Path:
    """Download upstream's archive of the commit into `scratch` and return its path."""
    target = scratch / 'caffe.tar.gz'
    with urllib.request.urlopen(ARCHIVE, timeout=30) as answer, target.open('wb') as out:
        out.write(answer.read(MAX_BYTES))
    return target


PLACES: dict[str, Callable[[Path], Path]] = {
    "the distribution's source package": distribution.source_package,
    ARCHIVE: upstream_archive,
}
