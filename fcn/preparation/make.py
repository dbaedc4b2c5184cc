"""Makes a data set in a folder next to its own, which gets its name when it is complete."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from fcn.errors import FCNError
from fcn.io import flush, lock_folder, make_folder
from fcn.text import few, printable

from .archives import ARCHIVES, Archives, Download
from .arrange import count_examples, write_seg11valid
from .fetch import FetchError, by_hand, fetch, warn_if_other
from .unpack import unpack


def make(
    name: str, data: Path, given: Sequence[Path] = (), protocols: str = 'https'
) -> dict[str, int]:
    """Prepare the set `name` in the folder DATA/NAME and return {split: number of examples}.

    It is made from the archives `given` and from its owners' servers. A set that is there is
    checked and otherwise left alone; of one that could not be made nothing stays but
    DATA/downloads. Raises FCNError, which says what is missing.
    """
    archives, root = ARCHIVES[name], data / name
    make_folder(data)
    with lock_folder(data):
        if not (root.is_dir() and any(root.iterdir())):
            _build(name, archives, data, given, protocols)
            write_seg11valid(data)
            return count_examples(root, archives.kind, archives.counts)
        if given:
            print(
                f'{root}: is there already, so {printable(few(given))} was not read; to add to '
                'the set, move it away and give all its archives at once',
                file=sys.stderr,
            )
        write_seg11valid(data)
        try:
            return count_examples(root, archives.kind, archives.counts)
        except FCNError as error:
            raise FCNError(
                f'{error}; it has lost files or was not made by this command: move {root} away and '
                'run it again'
            ) from error


def _build(
    name: str, archives: Archives, data: Path, given: Sequence[Path], protocols: str
) -> None:
    partial = data / f'.{name}.partial'
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        partial.mkdir()
        for archive in given:
            warn_if_other(archive, {source.name: source.digest for source in archives.downloads})
            unpack(archive, partial, archives.wanted)
        with _hint_at(data / 'downloads' / name) as downloads:
            _fetch_missing(archives, downloads, partial, protocols)
            archives.write_lists(partial, archives.kind)
            counts = count_examples(partial, archives.kind, archives.counts)
        os.sync()  # The name must not outlive the bytes.
        os.replace(partial, data / name)
        flush(data)
    except FCNError as error:
        raise type(error)(str(error).replace(str(partial), str(data / name))) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for split, number in archives.counts.items():
        if counts[split] != number:
            print(
                f'{data / name}: {split} has {counts[split]} examples, the real set {number}',
                file=sys.stderr,
            )


@contextlib.contextmanager
def _hint_at(downloads: Path) -> Iterator[Path]:
    """Add where downloads lie to the message of what goes wrong with them."""
    try:
        yield downloads
    except FetchError:
        raise
    except FCNError as error:
        if not downloads.is_dir():
            raise
        raise FCNError(f'{error}; to fetch everything again, remove {downloads}') from error


def _fetch_missing(archives: Archives, downloads: Path, partial: Path, protocols: str) -> None:
    """Download and unpack what is not yet in `partial`."""

    def missing() -> list[Download]:
        return [
            source
            for source in archives.downloads
            if not any((partial / path).exists() for path in source.provides)
        ]

    for source in archives.downloads:
        if source not in missing():
            continue
        archive = downloads / source.name
        try:
            fetch(source.url, archive, source.digest, protocols=protocols)
        except FetchError as error:
            raise by_hand(error, [source.url for source in missing()]) from error
        unpack(archive, partial, archives.wanted)
