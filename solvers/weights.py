"""Which weights a net starts from, and which it is scored and used with."""

from pathlib import Path

from fcn.errors import RunError
from fcn.nets import find

from .run import Run
from .snapshot import MANIFEST, WEIGHTS, file_name, verify

FETCHED = Path('weights')  # where prepare.py puts what is published


def weights_of(path):
    """The caffemodel that `path` means: the file itself, that of a snapshot, or of a run folder's newest.

    Weights of ours are compared with the hash that was noted of them; RunError or SnapshotError if they differ.
    """
    run = Run(path)
    if (run.folder / MANIFEST).is_file():
        return run.folder / file_name(verify(run.folder, WEIGHTS)['iteration'], WEIGHTS)
    if run.folder.is_dir():
        return run.weights()
    if not run.folder.is_file():
        raise RunError(f'{path}: no such file of weights, nor a run folder')
    return run.folder


def weights_for(name, runs, given=None):
    """The caffemodel to use net `name` with: of `given`, else of its run, else as it is published."""
    if given:
        return weights_of(given)
    if found := _at_hand(name, runs):
        return found
    published = (
        f', fetch what is published with `python prepare.py fcn-weights {name}`'
        if find(name).url
        else ''
    )
    raise RunError(
        f'{name}: no snapshot in {Path(runs) / name}; train it with `python solve.py {name}`{published}, '
        'or name a file with --weights'
    )


def starting_weights(name, runs, trained_before=()):
    """[(caffemodel, stream)] that net `name` starts from, one a parent; [] if it has none.

    A parent's weights are its run's newest, or as published. RunError says which
    parents are missing, and the commands that fetch or train them and theirs. Those that
    will be `trained_before` may be.
    """
    parents = {
        parent: stream
        for parent, stream in find(name).parents.items()
        if parent not in trained_before
    }
    found = {parent: _at_hand(parent, runs) for parent in parents}
    if missing := [parent for parent, weights in found.items() if weights is None]:
        fetch, train = _needed(missing, runs)
        commands = [
            f'`python prepare.py {kind} {" ".join(names)}`' for kind, names in fetch.items()
        ]
        commands += [f'`python solve.py {" ".join(train)}`'] if train else []
        fetched = ''
        if all(not find(parent).is_classifier and find(parent).url for parent in missing):
            fetched = f', or fetch what is published with `python prepare.py fcn-weights {" ".join(missing)}`'
        raise RunError(
            f'{name} starts from {" and ".join(missing)}, of which there are no weights in {Path(runs)} or '
            f'{FETCHED}; run {" and then ".join(commands)}{fetched}, or name other weights with --weights'
        )
    return [(found[parent], stream) for parent, stream in parents.items()]


def published(name):
    """The caffemodel of net `name` as its authors published it, if it was fetched, else None."""
    file = FETCHED / (find(name).url or '').rpartition('/')[2]
    return file if file.is_file() else None


def _at_hand(name, runs):
    """The weights of net `name` that are on this disk, or None."""
    run = Run(Path(runs) / name)
    if run.snapshots():
        return run.weights()
    return published(name)


def _needed(names, runs):
    """What gives nets their weights: those to fetch, as {kind: names}, and those to train, ancestors first."""
    fetch, train = {}, []
    for name in names:
        config = find(name)
        if not config.max_iter:
            fetch.setdefault('ilsvrc', []).append(name)
            continue
        more, first = _needed(
            [parent for parent in config.parents if _at_hand(parent, runs) is None], runs
        )
        for kind, found in more.items():
            fetch[kind] = list(dict.fromkeys([*fetch.get(kind, []), *found]))
        train = list(dict.fromkeys([*train, *first, name]))
    return fetch, train
