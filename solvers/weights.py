"""Which weights a net starts from, and which it is scored and used with."""

from collections.abc import Sequence
from pathlib import Path

from fcn.errors import RunError
from fcn.nets import find

from .run import Run
from .snapshot import MANIFEST, STATE, WEIGHTS, file_name, verify

FETCHED = Path('weights')  # where prepare.py puts what is published


def weights_of(path: str | Path) -> Path:
    """Return the caffemodel that `path` means: a file, a snapshot, or a run folder's newest one.

    Weights of a snapshot are compared with the checksum that was noted of them. Raises RunError or
    SnapshotError if they differ, or if there are none.
    """
    run = Run(path)
    if (run.folder / MANIFEST).is_file():
        return run.folder / file_name(verify(run.folder, WEIGHTS)['iteration'], WEIGHTS)
    if run.folder.is_dir():
        return run.weights()
    if not run.folder.is_file():
        raise RunError(f'{path}: no such file or run folder; name a caffemodel or a run folder')
    if run.folder.suffix == f'.{STATE}':
        model = run.folder.with_suffix(f'.{WEIGHTS}')
        fix = f'give {model}' if model.is_file() else f'give a .{WEIGHTS}'
        raise RunError(f'{path}: a solver state holds momentum, not weights; {fix}')
    return run.folder


def weights_for(name: str, runs: str | Path, given: str | Path | None = None) -> Path:
    """Return the caffemodel to use net `name` with: of `given`, else of its run in the folder
    `runs`, else as published. Raises RunError, which says how to get one, if there is none."""
    if given:
        return weights_of(given)
    if available := _available(name, runs):
        return available
    fetch = ''
    if find(name).url:
        fetch = f', fetch the published weights with `python prepare.py fcn-weights {name}`'
    raise RunError(
        f'{name}: no snapshot in {Path(runs) / name}; train it with `python solve.py {name}`'
        f'{fetch}, or name a file with --weights'
    )


def starting_weights(
    name: str, runs: str | Path, trained_before: Sequence[str] = ()
) -> list[tuple[Path, str]]:
    """Return the (caffemodel, stream) of each parent that net `name` starts from; [] without one.

    A parent's weights are those of its newest snapshot in `runs`, or as published. Parents that
    will be `trained_before` are left out. Raises RunError, which names the parents without weights
    and the commands that fetch or train them and theirs.
    """
    parents = {
        parent: stream
        for parent, stream in find(name).parents.items()
        if parent not in trained_before
    }
    available = {parent: _available(parent, runs) for parent in parents}
    if missing := [parent for parent, weights in available.items() if weights is None]:
        fetch, train = _needed(missing, runs)
        commands = [
            f'`python prepare.py {kind} {" ".join(names)}`' for kind, names in fetch.items()
        ]
        commands += [f'`python solve.py {" ".join(train)}`'] if train else []
        instead = ''
        if all(not find(parent).is_classifier and find(parent).url for parent in missing):
            command = f'`python prepare.py fcn-weights {" ".join(missing)}`'
            instead = f', or fetch the published weights with {command}'
        raise RunError(
            f'{name} starts from {" and ".join(missing)}, without weights in {Path(runs)} or '
            f'{FETCHED}; run {" and then ".join(commands)}{instead}, or name other weights with '
            '--weights'
        )
    return [
        (weights, parents[parent]) for parent, weights in available.items() if weights is not None
    ]


def published(name: str) -> Path | None:
    """Return the caffemodel of net `name` as its authors published it, None if it is not here."""
    file = FETCHED / (find(name).url or '').rpartition('/')[2]
    return file if file.is_file() else None


def _available(name: str, runs: str | Path) -> Path | None:
    """Return the weights of net `name` that are on this disk, or None."""
    run = Run(Path(runs) / name)
    if run.snapshots.all():
        return run.weights()
    return published(name)


def _needed(names: Sequence[str], runs: str | Path) -> tuple[dict[str, list[str]], list[str]]:
    """Return what gives nets their weights: those to fetch, as {kind: names}, and those to train,
    ancestors first."""
    fetch: dict[str, list[str]] = {}
    train: list[str] = []
    for name in names:
        config = find(name)
        if not config.max_iter:
            fetch.setdefault('ilsvrc', []).append(name)
            continue
        ancestors = [parent for parent in config.parents if _available(parent, runs) is None]
        to_fetch, to_train = _needed(ancestors, runs)
        for kind, fetched in to_fetch.items():
            fetch[kind] = list(dict.fromkeys([*fetch.get(kind, []), *fetched]))
        train = list(dict.fromkeys([*train, *to_train, name]))
    return fetch, train
