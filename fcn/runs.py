"""What a user means by a net: a name of the table, or a run folder, which knows its own."""

from pathlib import Path

from fcn.errors import RunError
from fcn.nets import find
from fcn.solvers import Run, weights_for
from fcn.solvers.snapshot import WEIGHTS


def resolve(net: str | Path) -> tuple[str, Path | None]:
    """Return (name, run folder) of a net's name or a run folder; None for a name.

    Raises RunError for a folder that is no run with a snapshot.
    """
    if not Path(net).is_dir():
        return str(net), None
    run = Run(net)
    run.weights()  # Raises RunError if there are none.
    manifest = run.snapshots.newest(WEIGHTS)
    assert manifest is not None
    return manifest['settings']['net'], run.folder


def weights_of_net(
    net: str | Path, weights: str | Path | None, runs: str | Path
) -> tuple[str, Path]:
    """Return (name, caffemodel) of a net: of `weights`, of the run folder, of the net's run under
    `runs`, or as published. Raises FCNError that says what is missing."""
    name, folder = resolve(net)
    if find(name).is_classifier:
        raise RunError(f'{name}: is a classifier; name an FCN')
    return name, Path(weights_for(name, Path(runs), weights or folder))
