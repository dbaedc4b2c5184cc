"""The files of a net: train, val, deploy and solver prototxts for plain Caffe."""

from pathlib import Path

from fcn.errors import FCNError
from fcn.io import make_folder, write_text
from fcn.nets import NETS, deploy_net, find, train_net
from fcn.solvers.recipes import solver_prototxt


def prototxts(name: str, folder: str | None = None) -> dict[str, str]:
    """Return the text of each file of net `name`, by file name.

    The nets to train and to validate are named after the phases of their data set, train and val or
    trainval and test. The solver's prototxt names the net to train in `folder`, by default
    nets/NAME, relative to where Caffe is started. A net that is fetched and never trained has only
    deploy.prototxt. Raises FCNError for a name that is not in the table.
    """
    config = find(name)
    dataset = config.dataset
    specs = {'deploy': deploy_net(config)}
    if config.max_iter:
        for phase, source in zip(dataset.phases, (dataset.train, dataset.val), strict=True):
            assert source is not None  # as every net that is trained has
            specs[phase] = train_net(config, source)
    texts = {
        f'{phase}.prototxt': f'name: "{name}"\n{spec.to_proto()}' for phase, spec in specs.items()
    }
    if config.max_iter:
        train = f'{folder or f"nets/{name}"}/{dataset.phases[0]}.prototxt'
        texts['solver.prototxt'] = solver_prototxt(name, train_net=train)
    return texts


def write_prototxts(name: str, folder: Path, shown_as: str | None = None) -> list[Path]:
    """Write the files of net `name` to `folder` and return their paths.

    The solver's prototxt names the folder as `shown_as`, by default nets/NAME.
    """
    texts = prototxts(name, shown_as)
    make_folder(folder)
    for file, text in texts.items():
        write_text(folder / file, text)
    return [folder / file for file in texts]


def write_net(script: str) -> None:
    """Write the files of the net whose folder holds `script`, a net.py, next to it."""
    from fcn.cli import run

    def main() -> None:
        folder = Path(script).resolve().parent
        if folder.name not in NETS:
            raise FCNError(
                f"{script}: nets/table.py has no row for '{folder.name}'; add one, or rename "
                'the folder'
            )
        for file in write_prototxts(folder.name, folder):
            print(file)

    run(main)
