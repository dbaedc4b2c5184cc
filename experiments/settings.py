"""What the command line asks of an experiment: which one, on what, how much, and where to."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fcn.errors import FCNError
from fcn.nets import NETS

from . import Experiment

BACKBONES = ('mini', 'vgg16', 'googlenet')


def net_name(kind: str, backbone: str) -> str | None:
    """Return the backbone's net of a `kind` such as fcn32s, or nyud-fcn32s-color; None without."""
    if backbone == 'mini':
        name = f'mini-{kind}'
    elif kind in NETS:
        name = kind
    elif backbone == 'googlenet':
        name = 'voc-fcn-googlenet' if kind == 'fcn32s' else f'voc-{kind}-googlenet'
    else:
        name = f'voc-{kind}'
    return name if name in NETS else None


@dataclass
class Settings:
    """What one run of an experiment is asked to do.

    `data` is None for the miniature, else the folder of a real set, and `train_data` that of the
    images to learn from if it is another. `runs` holds run folders, which all experiments share;
    `out` gets the page. `iterations`, if given, is how long every FCN learns. `weights` is the
    caffemodel of the real backbone's classifier, if it is not where prepare.py puts it. `device` is
    as engine.choose_device returns it. Raises FCNError for what does not go together.
    """

    experiment: Experiment
    backbone: str = 'mini'
    data: Path | None = None
    train_data: Path | None = None
    runs: Path = Path('runs/experiments')
    out: Path = Path('results')
    quick: bool = False
    iterations: int | None = None
    weights: str | None = None
    device: str = 'cpu'

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise FCNError(
                f'--backbone {self.backbone}: no such backbone; take one of {", ".join(BACKBONES)}'
            )
        if (self.backbone == 'mini') != (self.data is None) and self.experiment.by_backbone:
            problem = 'needs a real data set'
            fix = f'prepare one with `{self.prepare}` and name it with --data'
            if self.data:
                problem = 'learns the miniature only'
                fix = 'leave out --data or --backbone'
            raise FCNError(f'--backbone {self.backbone}: {problem}; {fix}')
        for folder in (self.data, self.train_data):
            if folder and not folder.is_dir():
                raise FCNError(f'{folder}: no such folder; prepare the set with `{self.prepare}`')
        if self.quick:
            self.runs = self.runs / 'quick'

    @property
    def prepare(self) -> str:
        """The commands that prepare the experiment's real set."""
        name = self.experiment.data
        more = '` and `python prepare.py sbd' if name == 'voc' else ''
        return f'python prepare.py {name}{more}'

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.experiment.name

    @property
    def mini(self) -> bool:
        """Whether the experiment is on the miniature."""
        return self.data is None

    @property
    def stem(self) -> str:
        """The name of the page's files: the experiment, and what tells a real one from the
        miniature's."""
        if self.mini:
            return self.name
        return f'{self.name}-{self.real_name(self.backbone)}'

    def real_name(self, backbone: str) -> str:
        """Return what the files of a real page are named by: the backbone or the data set."""
        return backbone if self.experiment.by_backbone else self.experiment.data

    def net(self, kind: str) -> str:
        """Return the name of the backbone's net of a `kind`. Raises FCNError if there is none."""
        name = net_name(kind, self.backbone)
        if name is None:
            raise FCNError(
                f'{self.name}: the backbone {self.backbone} has no net {kind}; '
                'try another --backbone'
            )
        return name

    def nets(self, kinds: Iterable[str]) -> dict[str, str]:
        """Return {kind: name} of the nets among `kinds` that the backbone has."""
        names = {kind: net_name(kind, self.backbone) for kind in kinds}
        return {kind: name for kind, name in names.items() if name}

    @property
    def command(self) -> str:
        """The command line, as a page may show it."""
        return shortened_paths(' '.join(['python -m experiments', *sys.argv[1:]]))


def shortened_paths(command: str) -> str:
    """Return a command with folders outside the repository shortened to their last part."""

    def shorten(word: str) -> str:
        option, equals, value = word.rpartition('=')
        outside = value.startswith(('/', '..'))
        return f'{option}{equals}{Path(value).name if outside else value}'

    return ' '.join(map(shorten, command.split()))
