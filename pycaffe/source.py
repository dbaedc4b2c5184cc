"""Finds the untouched source of BVLC Caffe, and refuses any other.

The places, in this order: the folder or tarball that CAFFE_SOURCE names, the
distribution's source package, upstream's archive of the commit over https.
Their tarballs differ (compression, a top folder), so what is checked is the
tree: one SHA-256 over the sorted paths and contents of the files the engine is
made of. The checked files are kept in a cache folder, and a build reads only
those, whatever else lies in the place they came from.
"""

import hashlib
import os
import re
import shutil
import tarfile
import tempfile
import urllib.request
from pathlib import Path, PurePosixPath

import distribution

COMMIT = '99bd99795dcdf0b1d3086a8d67ab1782a8a08383'
DIGEST = 'ac9c4c85b2391a6eb459b09e023dedeeaa33a8b7bfa26cd11e584adf9f6e2a21'
ARCHIVE = f'https://github.com/BVLC/caffe/archive/{COMMIT}.tar.gz'

# What an in-place build leaves behind (generated protobuf code, modules,
# bytecode) is no part of the source, so a folder Caffe was built in still serves.
USED = re.compile(
    r'LICENSE'
    r'|include/(?!caffe/proto/).+\.(h|hpp|cuh)'
    r'|src/caffe/(?!test/).+\.(cpp|cu|proto)'
    r'|python/caffe/(?!proto/).+\.(py|hpp|cpp|npy)'
)
MEND = (
    f'Set CAFFE_SOURCE to a folder or a tarball of BVLC Caffe, untouched, at commit {COMMIT[:7]}.'
)
LARGEST = 256 << 20  # bytes unpacked; the real tarball unpacks to 15 million


class SourceError(Exception):
    """No usable source: the message is one line that says what to do."""


def find():
    """Return the folder of a verified Caffe tree, from the first place that has it.

    Raises SourceError if CAFFE_SOURCE is set and is not that tree, or if it is
    not set and no place has it.
    """
    named = os.environ.get('CAFFE_SOURCE')
    if named:
        path = Path(named).expanduser()
        if not path.is_absolute():  # an installer runs this in another folder than it was called in
            raise SourceError(f'CAFFE_SOURCE={named} is not an absolute path. {MEND}')
        return keep(verified(read(path), f'CAFFE_SOURCE={named}'))
    kept = cache_folder('source') / DIGEST[:16]
    if kept.is_dir() and digest(read_folder(kept)) == DIGEST:
        return kept
    reasons = []
    for name, fetch in PLACES.items():
        with tempfile.TemporaryDirectory(prefix='caffe-source-') as scratch:
            try:
                return keep(verified(read(fetch(Path(scratch))), name))
            except SourceError as error:
                reasons.append(str(error).replace(f'. {MEND}', ''))
            except (distribution.NotAvailable, OSError) as error:
                reasons.append(f'{name}: {one_line(error)}')
    raise SourceError(f'found no source of BVLC Caffe ({"; ".join(reasons)}). {MEND}')


def one_line(error):
    return ' '.join(str(error).split()) or type(error).__name__


def cache_folder(kind):
    """The folder for `kind` ("source", "wheels") in the user's cache. It can always be deleted."""
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


def digest(files):
    """SHA-256, as hex, of `files` (path → contents), whatever order they come in."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(f'{path}\0{len(files[path])}\0'.encode())
        total.update(files[path])
    return total.hexdigest()


def verified(files, place):
    """Return `files` if they are Caffe's, else raise SourceError naming `place`."""
    found = digest(files)
    if found != DIGEST:
        raise SourceError(
            f'{place} is not the untouched source of BVLC Caffe {COMMIT[:7]}: '
            f'the digest of its {len(files)} files is {found}, not {DIGEST}. {MEND}'
        )
    return files


def read(path):
    """Read the files the engine is made of from a folder or a tarball, as path → contents."""
    if path.is_dir():
        return read_folder(path)
    if path.is_file():
        return read_tarball(path)
    raise SourceError(f'there is no file or folder {path}. {MEND}')


def read_folder(folder):
    paths = (path for path in Path(folder).rglob('*') if path.is_file())
    relative = ((path.relative_to(folder).as_posix(), path) for path in paths)
    return {name: path.read_bytes() for name, path in relative if USED.fullmatch(name)}


def read_tarball(path):
    """Read a tarball into memory, with or without one top folder; nothing is unpacked to disk.

    Raises SourceError for a name that leaves the tree, for a link or a device
    where a source file should be, and for a size no Caffe has.
    """
    files, size = {}, 0
    try:
        with tarfile.open(path) as archive:
            members = archive.getmembers()
            top = top_folder(members)
            for member in members:
                name = inside(member.name, top)
                size += member.size
                if size > LARGEST:
                    raise SourceError(f'{path} unpacks to more than {LARGEST >> 20} MiB. {MEND}')
                if not USED.fullmatch(name):
                    continue
                if not member.isreg():
                    raise SourceError(f'{path} holds a link or a device at {member.name}. {MEND}')
                files[name] = archive.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SourceError(
            f'{path} cannot be read as a tarball ({one_line(error)}). {MEND}'
        ) from error
    return files


def top_folder(members):
    """The folder that all members lie in, as upstream's archive has one and Debian's tarball has none."""
    firsts = {PurePosixPath(member.name).parts[:1] for member in members} - {()}
    if len(firsts) != 1:
        return PurePosixPath()
    return PurePosixPath(*firsts.pop())


def inside(name, top):
    """A member's path below `top`; refuses one that leaves the tree."""
    path = PurePosixPath(name)
    if path.is_absolute() or '..' in path.parts:
        raise SourceError(f'the tarball holds {name}, outside its own tree. {MEND}')
    return path.relative_to(top).as_posix()


def keep(files):
    """Write verified `files` to the cache and return their folder; whole or not at all."""
    kept = cache_folder('source') / DIGEST[:16]
    if kept.is_dir() and read_folder(kept) == files:
        return kept
    fresh = Path(tempfile.mkdtemp(prefix='new-', dir=kept.parent))
    try:
        for name, contents in files.items():
            target = fresh / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(contents)
        shutil.rmtree(kept, ignore_errors=True)
        fresh.chmod(0o755)
        fresh.rename(kept)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return kept


def upstream_archive(scratch):
    """Download upstream's archive of the commit into `scratch` and return its path."""
    target = scratch / 'caffe.tar.gz'
    with urllib.request.urlopen(ARCHIVE, timeout=30) as answer, target.open('wb') as out:
        out.write(answer.read(LARGEST))
    return target


PLACES = {
    "the distribution's source package": distribution.source_package,
    ARCHIVE: upstream_archive,
}
