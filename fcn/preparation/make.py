"""Makes a data set in a folder beside its own, and gives it its name when it is whole."""

import contextlib
import fcntl
import os
import shutil
import sys

from fcn.errors import FCNError
from fcn.io import flush
from fcn.text import few, printable

from .arrange import counts, write_seg11valid
from .fetch import FetchError, by_hand, fetch, warn_if_other
from .sets import SETS
from .unpack import unpack


@contextlib.contextmanager
def lock(folder):
    """Hold the Path `folder`, made if need be, for this process alone; FCNError if another has it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FCNError(
            f'{folder}: another prepare.py is at work there; wait for it to end'
        ) from error
    else:
        yield
    finally:
        os.close(descriptor)


def make(name, data, given=(), protocols='https'):
    """Prepare the set `name` in the folder DATA/NAME, from the archives `given` and from its owners' places.

    Returns {split: number of examples}. A set that is there is checked and otherwise left
    alone; nothing but DATA/downloads stays of one that could not be made. Raises
    FCNError, which says what is missing.
    """
    layout, root = SETS[name], data / name
    with lock(data):
        if root.is_dir() and any(root.iterdir()):
            if given:
                print(
                    f'{root}: is there already, so {printable(few(given))} was not read; to add to the set, move it '
                    'away and give all its archives at once',
                    file=sys.stderr,
                )
            write_seg11valid(data)
            try:
                found = counts(root, layout)
            except FCNError as error:
                raise FCNError(
                    f'{error}. It has lost files or was not made by this command: move {root} away '
                    'and run it again'
                ) from error
        else:
            _build(name, layout, data, given, protocols)
            write_seg11valid(data)
            found = counts(root, layout)
    return found


def _build(name, layout, data, given, protocols):
    partial = data / f'.{name}.partial'
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        partial.mkdir()
        for archive in given:
            warn_if_other(archive, {source.name: source.digest for source in layout.sources})
            unpack(archive, partial, layout.wanted)
        with _hint_at(data / 'downloads' / name) as downloads:
            _fetch_missing(layout, downloads, partial, protocols)
            layout.finish(partial, layout.dataset)
            found = counts(partial, layout)
        os.sync()  # The name must not outlive the bytes.
        os.replace(partial, data / name)
        flush(data)
    except FCNError as error:
        raise type(error)(str(error).replace(str(partial), str(data / name))) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for split, number in layout.splits.items():
        if found[split] != number:
            print(
                f'{data / name}: {split} has {found[split]} examples, the real set {number}',
                file=sys.stderr,
            )


@contextlib.contextmanager
def _hint_at(downloads):
    """Let what goes wrong with downloads say where they lie."""
    try:
        yield downloads
    except FetchError:
        raise
    except FCNError as error:
        if not downloads.is_dir():
            raise
        raise FCNError(f'{error}. To fetch everything anew, remove {downloads}') from error


def _fetch_missing(layout, downloads, partial, protocols):
    """Download and unpack what is not yet in `partial`."""

    def missing():
        return [
            source
            for source in layout.sources
            if not any((partial / path).exists() for path in source.gives)
        ]

    for source in layout.sources:
        if source not in missing():
            continue
        archive = downloads / source.name
        try:
            fetch(source.url, archive, source.digest, protocols=protocols)
        except FetchError as error:
            raise by_hand(error, [source.url for source in missing()]) from error
        unpack(archive, partial, layout.wanted)
