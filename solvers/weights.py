"""Which weights a net starts from, and which it is scored and used with."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

from fcn.errors import RunError
from fcn.nets import find
from fcn.text import command_line

from .run import Run
from .snapshot import MANIFEST, STATE, WEIGHTS, file_name, verify
from .snapshots import BEST, Choice

FETCHED = Path('weights')  # where prepare.py puts what is published
IMPORT = 'import'  # the kind of weights that `surgery import` brings

logger = logging.getLogger('fcn')


def weights_of(path: str | Path, snapshot: Choice | None = None) -> Path:
    """Return the caffemodel that `path` means: a file, a snapshot, or a run folder, whose
    `snapshot` is taken, by default the best one.

    Weights of a snapshot are compared with the checksum that was noted of them. Raises RunError or
    SnapshotError if they differ, if there are none, or if there is no such choice.
    """
    run = Run(path)
    is_snapshot = (run.folder / MANIFEST).is_file()
    if run.folder.is_dir() and not is_snapshot:
        return run.weights(BEST if snapshot is None else snapshot)
    if snapshot is not None and run.folder.exists():
        kind = 'one snapshot' if is_snapshot else 'a file'
        raise RunError(
            f'{path}: is {kind}, not a run folder to choose a snapshot of; leave out --snapshot'
        )
    if is_snapshot:
        return run.folder / file_name(verify(run.folder, WEIGHTS)['iteration'], WEIGHTS)
    if not run.folder.is_file():
        raise RunError(f'{path}: no such file or run folder; name a caffemodel or a run folder')
    if run.folder.suffix == f'.{STATE}':
        model = run.folder.with_suffix(f'.{WEIGHTS}')
        fix = f'give {model}' if model.is_file() else f'give a .{WEIGHTS}'
        raise RunError(f'{path}: a solver state holds momentum, not weights; {fix}')
    return run.folder


def weights_for(
    name: str,
    runs: str | Path,
    given: str | Path | None = None,
    snapshot: Choice | None = None,
) -> Path:
    """Return the caffemodel to use net `name` with: of `given`, else of its run in the folder
    `runs`, else as published.

    `snapshot` is that of a run to take, by default the best one. Raises RunError, which says how to
    get one, if there is none.
    """
    if given:
        return weights_of(given, snapshot)
    if run := _run(name, runs):
        return run.weights(BEST if snapshot is None else snapshot)
    if file := published(name):
        if snapshot is not None:
            raise _no_snapshots(file, name, runs)
        return file
    fetch = ''
    if find(name).url:
        command = f'{command_line("prepare")} fcn-weights {name}'
        fetch = f', fetch the published weights with `{command}`'
    raise RunError(
        f'{name}: no snapshot in {Path(runs) / name}; train it with '
        f'`{command_line("solve")} {name}`{fetch}, or name a file with --weights'
    )


def starting_weights(
    name: str,
    runs: str | Path,
    trained_before: Sequence[str] = (),
    snapshot: Choice | None = None,
    drawn: Collection[str] = (),
) -> list[tuple[Path, str]]:
    """Return the (caffemodel, stream) of each parent that net `name` starts from; [] without one.

    A parent's weights are those of a `snapshot` of its run in `runs`, by default the best one, or
    as published. Parents that will be `trained_before` are left out, and so are those without
    weights that may be `drawn`, which is logged. Raises RunError, which names the other parents
    without weights and the commands that fetch or train them and theirs.
    """
    parents = {
        parent: stream
        for parent, stream in find(name).parents.items()
        if parent not in trained_before
    }
    available = {parent: _weights_of_parent(parent, runs, snapshot) for parent in parents}
    missing = [parent for parent, weights in available.items() if weights is None]
    if needed := [parent for parent in missing if parent not in drawn]:
        raise _without_weights(name, needed, runs)
    if missing:
        layers = 'all layers' if len(missing) == len(find(name).parents) else 'their layers'
        logger.info(
            '%s: no weights of %s in %s or %s; %s are drawn',
            name,
            ' and '.join(missing),
            Path(runs),
            FETCHED,
            layers,
        )
    return [
        (weights, parents[parent]) for parent, weights in available.items() if weights is not None
    ]


def _without_weights(name: str, missing: Sequence[str], runs: str | Path) -> RunError:
    """Return the error of a net whose parents are `missing`, with the commands that bring them."""
    fetch, train = _needed(missing, runs)
    prepare = command_line('prepare')
    imported = fetch.pop(IMPORT, [])
    commands = [f'`{prepare} {kind} {" ".join(names)}`' for kind, names in fetch.items()]
    commands += [
        f'`{command_line("surgery")} import torch FILE {FETCHED / name}.caffemodel`'
        for name in imported
    ]
    commands += [f'`{command_line("solve")} {" ".join(train)}`'] if train else []
    verbs = {'fetch': fetch, 'import': imported, 'train': train}
    bring = ' and '.join(verb for verb, names in verbs.items() if names)
    instead = ''
    if all(not find(parent).is_classifier and find(parent).url for parent in missing):
        instead = f'fetch the published weights with `{prepare} fcn-weights {" ".join(missing)}`, '
    return RunError(
        f'{name} starts from {" and ".join(missing)}, whose weights are neither in {Path(runs)} '
        f'nor in {FETCHED}; {bring} them with {" and then ".join(commands)}, {instead}name others '
        'with --weights, or draw all layers with --init-missing'
    )


def published(name: str) -> Path | None:
    """Return the caffemodel of net `name` as its authors published it, None if it is not here.

    A classifier that is imported is published elsewhere, and has its own name here.
    """
    config = find(name)
    default = f'{name}.{WEIGHTS}' if config.is_classifier and not config.max_iter else ''
    file = FETCHED / (config.url or default).rpartition('/')[2]
    return file if file.is_file() else None


def _run(name: str, runs: str | Path) -> Run | None:
    """Return the run of net `name` if it has snapshots, undamaged or not."""
    run = Run(Path(runs) / name)
    return run if run.snapshots.all() else None


def _weights_of_parent(name: str, runs: str | Path, snapshot: Choice | None) -> Path | None:
    """Return the weights of net `name` that are on this disk, or None."""
    if run := _run(name, runs):
        return run.weights(BEST if snapshot is None else snapshot)
    file = published(name)
    if file and isinstance(snapshot, int):  # The only one is also the best and the newest.
        raise _no_snapshots(file, name, runs)
    return file


def _no_snapshots(file: Path, name: str, runs: str | Path) -> RunError:
    return RunError(
        f'{file}: a published file has no snapshots, and {Path(runs) / name} holds none; leave out '
        '--snapshot'
    )


def _needed(names: Sequence[str], runs: str | Path) -> tuple[dict[str, list[str]], list[str]]:
    """Return what gives nets their weights: those to fetch, as {kind: names}, or to import; and
    those to train, ancestors first."""
    fetch: dict[str, list[str]] = {}
    train: list[str] = []
    for name in names:
        config = find(name)
        if not config.max_iter:
            fetch.setdefault('ilsvrc' if config.url else IMPORT, []).append(name)
            continue
        ancestors = [
            parent for parent in config.parents if not (_run(parent, runs) or published(parent))
        ]
        to_fetch, to_train = _needed(ancestors, runs)
        for kind, fetched in to_fetch.items():
            fetch[kind] = list(dict.fromkeys([*fetch.get(kind, []), *fetched]))
        train = list(dict.fromkeys([*train, *to_train, name]))
    return fetch, train
