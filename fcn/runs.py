"""What a user means by a net: a name of the table, or a run folder, which knows its own."""

from pathlib import Path

from fcn.errors import RunError
from fcn.nets import find
from fcn.solvers import BEST, Choice, Run, weights_for
from fcn.text import few

DEFAULT = 'voc-fcn8s'  # the net that is meant where none is named


def resolve(net: str | Path) -> tuple[str, Run | None]:
    """Return (name, run) of a net's name or a run folder; None for a name.

    Raises RunError for a folder that is no run with a snapshot.
    """
    if not Path(net).is_dir():
        return str(net), None
    run = Run(only_run(net))
    manifest = run.snapshots.newest()
    if manifest is None:
        run.weights()  # Raises RunError, which says what is wrong.
    assert manifest is not None
    return manifest['settings']['net'], run


def only_run(folder: str | Path) -> Path:
    """Return a run folder: `folder`, or the one in it, as runs/photos holds runs/photos/NET.

    Raises RunError if there are several in it.
    """
    folder = Path(folder)
    if Run(folder).snapshots.all():
        return folder
    inside = [path for path in sorted(folder.iterdir()) if Run(path).snapshots.all()]
    if len(inside) > 1:
        raise RunError(
            f'{folder}: holds the runs {few([path.name for path in inside])}; name one of them, '
            f'as {inside[0]}'
        )
    return inside[0] if inside else folder


def weights_of_net(
    net: str | Path | None,
    weights: str | Path | None,
    runs: str | Path,
    snapshot: Choice | None = None,
) -> tuple[str, Path]:
    """Return (name, caffemodel) of a net: of `weights`, of the run folder, of the net's run under
    `runs`, or as published.

    With `weights` that are a run's, `net` may be None. `snapshot` is that of the run to take:
    'best', 'newest' or an iteration, by default the best that was validated, else the newest.
    Raises FCNError that says what is missing.
    """
    if weights is not None and Path(weights).is_dir():
        weights = only_run(weights)
        if net is None:
            net, weights = weights, None
    name, run = resolve(net or DEFAULT)
    if find(name).is_classifier:
        raise RunError(f'{name}: is a classifier; name an FCN')
    if run and not weights:
        return name, run.weights(BEST if snapshot is None else snapshot)
    return name, weights_for(name, runs, weights, snapshot)
