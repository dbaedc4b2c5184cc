"""Sets of the user's own images, as nets learn them: which net, from what, for how long."""

import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fcn.data_layers import VOID, OwnConfig, OwnData, Source, open_image
from fcn.data_layers.dataset import evenly_spread
from fcn.data_layers.inputs import Colour
from fcn.data_layers.own.check import check_sound, summary
from fcn.data_layers.own.classes import Unlabelled
from fcn.data_layers.own.describe import Asked, describe
from fcn.data_layers.own.layouts import Options as SetOptions
from fcn.data_layers.own.layouts import find as find_set
from fcn.data_layers.own.legends import FILES as LEGENDS
from fcn.data_layers.own.manifest import NAME, Manifest, read_manifest
from fcn.errors import DataError, FCNError
from fcn.io import make_folder
from fcn.mpi import Group
from fcn.nets import NetConfig, find
from fcn.solvers import Options
from fcn.solvers.weights import published
from fcn.surgery import read_weights
from fcn.text import command_line, few

VOC_NAME = re.compile(r'\d{4}_\d{6}')
GENERATED = 'miniature.json'  # of a set that the package miniature drew
# The net to learn a set with, by a layer that only its backbone's starting weights have. On a CPU,
# FCN-GoogLeNet takes a fifteenth of the time of the nets on VGG-16.
NETS_BY_LAYER = {
    'inception_3a/1x1': 'voc-fcn-googlenet',
    'conv5_3': 'voc-fcn8s-atonce',
    'conv5': 'voc-fcn-alexnet',
}
# torchvision's nets have layers of the same names, and of these shapes.
TORCH_SHAPES = {
    'voc-fcn-googlenet': ('inception_3a/5x5', (32, 16, 3, 3)),
    'voc-fcn-alexnet': ('conv1', (64, 3, 11, 11)),
}
PAPERS_IMAGES, PAPERS_PIXELS = 8498, 500 * 375  # that the paper's recipes are made for
MIN_ITERATIONS = 2000
SAMPLE = 200  # images whose sizes are looked at

log = logging.getLogger('fcn')

Progress = Callable[[Iterable[Any]], Iterable[Any]]


def plan(data: str | Path, runs: str | Path, asked: Asked, progress: Progress = iter) -> 'Plan':
    """Find out what a folder of images holds, and say it. Raises DataError where it is not sound.

    The runs of the set go into RUNS/NAME, with dataset.json, which describes it.
    """
    root = Path(os.path.realpath(data))
    described = describe(root, asked, progress)
    checked = check_sound(described, progress)
    for line in (*summary(described).split('\n'), *checked.warnings):
        log.info('%s', line)
    numbers = range(len(described.manifest.classes))
    manifest = described.manifest.with_(holders=tuple(checked.holders[k] for k in numbers))
    return Plan(manifest, (Path(runs) / root.name / NAME).resolve())


def plan_together(group: Group, make: Callable[[], 'Plan | None']) -> 'Plan | None':
    """Return the plan that `make` makes in rank 0 for all processes of a group. The others, which
    write nothing in the folder of runs, have its manifest in a folder of their own."""
    made: Plan | None = None

    def tell() -> Any:
        nonlocal made
        made = make()
        return made and made.manifest.to_json()

    told = group.from_first(tell)
    if group.first or told is None:
        return made
    return Plan(Manifest.of_json(told), Path(_scratch().name) / NAME)


def is_own(data: str | Path, net: str | None, asked: Asked) -> bool:
    """Return whether a folder is a set of the user's own, and not of the paper's, to a net.

    The paper's are known by their folders and by the names of their images, and have no legend.
    """
    root = Path(data)
    if asked != Asked(seed=asked.seed, val_share=asked.val_share):
        return True
    if net and find(net).data not in ('voc', 'mini'):
        return False
    if net and find(net).data == 'mini':
        return not (root / GENERATED).is_file()
    if (root / 'img').is_dir() and (root / 'cls').is_dir():
        return False
    if any((root / name).is_file() for name in LEGENDS.split()):
        return True
    images = root / 'JPEGImages'
    if not root.is_dir() or not images.is_dir():
        return root.is_dir()
    names = [name for name in os.listdir(images) if not name.startswith('.')]
    return not names or not all(map(VOC_NAME.match, names))


def own_config(manifest: Manifest, file: Path, net: str) -> OwnConfig:
    """Return what net `net` learns of a set, whose manifest lies in `file`.

    Raises FCNError for a net that sees more than colour images, or learns several labels.
    """
    if not manifest.classes:
        raise DataError(
            f'{file}: names no classes; make it again with `{command_line("prepare")} check`'
        )
    dataset = find(net).dataset
    inputs = list(dataset.inputs.items())
    if len(inputs) > 1 or len(dataset.labels) > 1 or not isinstance(inputs[0][1], Colour):
        raise FCNError(
            f'{net}: sees {", ".join(dataset.inputs)} and learns {", ".join(dataset.labels)}, and '
            'a set of your own has colour images and one kind of labels; name a net of voc'
        )
    colour = inputs[0][1]
    manifest = manifest.with_(mean=tuple(colour.mean), scale=colour.scale)
    train, val = (Source(OwnData.__name__, str(file), split) for split in ('train', 'val'))
    return OwnConfig(kind=OwnData, train=train, val=val, manifest=manifest)


def config_of(net: str, caffemodel: Path) -> NetConfig:
    """Return the config of a net whose weights are a file: with the classes of the user's own set,
    if the run that the file lies in learned one."""
    config = find(net)
    folders = caffemodel.resolve().parents  # RUN/snapshots/iter_N/FILE
    if len(folders) < 3 or not (file := folders[2] / NAME).is_file():
        return config
    return replace(config, own=own_config(read_manifest(file), file, net))


def source_of(config: NetConfig, data: str | Path | None, split: str | None) -> Source:
    """Return the images of the user's own set that a net is scored on: those of `data`, by default
    those that it was validated on."""
    assert isinstance(config.own, OwnConfig) and config.own.val
    manifest, source = config.own.manifest, config.own.val
    if data is not None and Path(os.path.realpath(data)) != manifest.root:
        manifest = _elsewhere(manifest, Path(os.path.realpath(data)))
        file = Path(_scratch().name) / f'{manifest.fingerprint()}.json'
        manifest.write(file)
        source = source._replace(root=str(file))
    if split is None and 'val' not in manifest.splits:
        split = next(iter(manifest.splits))
    return source._replace(split=split or 'val')


@cache
def _scratch() -> 'tempfile.TemporaryDirectory[str]':
    """Return a folder that is deleted when the process ends."""
    return tempfile.TemporaryDirectory(prefix='fcn-')


def _elsewhere(manifest: Manifest, root: Path) -> Manifest:
    """Return the manifest of the same set in another folder, or of another set of its classes.

    Of another set, those images are scored that it names to validate on, or all if it names none.
    Raises DataError if it has other classes.
    """
    moved = manifest.with_(root=root)
    if all((root / path).is_file() for e in manifest.examples() for path in (e.image, e.label)):
        return moved
    nothing: Unlabelled = 'void' if manifest.unlabelled == VOID else 'background'
    found = find_set(root, SetOptions(manifest.classes, unlabelled=nothing))
    other = found.manifest
    if other.root == manifest.root:  # The folder that holds the set's own, and nothing besides.
        return manifest
    if other.classes != manifest.classes:
        raise DataError(
            f'{root}: has the classes {few(other.classes)}, and the net knows '
            f'{few(manifest.classes)}; give a set of the same classes'
        )
    if (other.labels, other.coding.values, other.coding.colours) == ('masks', None, {}):
        other = other.with_(coding=manifest.coding)  # It has no legend of its own.
    else:
        other = other.with_(coding=replace(other.coding, unknown=manifest.coding.unknown))
    if found.drawn:
        other = other.with_(splits={'all': tuple(sorted(other.examples()))})
    like_ours = ('colours', 'rotate', 'mean', 'scale', 'white')
    return other.with_(**{name: getattr(manifest, name) for name in like_ours})


@dataclass(frozen=True)
class Plan:
    """How nets learn a set: its manifest and the file that it lies in."""

    manifest: Manifest
    file: Path

    @property
    def runs(self) -> Path:
        """The folder of the set's runs."""
        return self.file.parent

    def options(self, net: str, options: Options) -> Options:
        """Return the options of a net's training with what the set decides: classes, sources, and
        the recipe's length and rate, unless they are given. Writes the manifest."""
        config = own_config(self.manifest, self.file, net)
        length = length_for(net, self.manifest, options.crop)
        make_folder(self.file.parent)
        self.manifest.write(self.file)
        asked = options.max_iter or length.iterations, options.base_lr or length.base_lr
        log.info('%s: %d iterations at the rate %.2g (%s)', net, *asked, length.words)
        return replace(
            options,
            own=config,
            train=config.train,
            val=config.val,
            max_iter=asked[0],
            base_lr=asked[1],
        )


class Choice(NamedTuple):
    """A net to learn a set with, and why it was chosen."""

    net: str
    reason: str


def choose_net(weights: Sequence[str], device: str) -> Choice:
    """Return a net for a set: of the starting weights that are given, else of those at hand.

    Raises FCNError, which says how to get some, if there are none.
    """
    if weights:
        file = weights[0]
        shapes = {name: blobs[0].shape for name, blobs in read_weights(file)}
        for layer, net in NETS_BY_LAYER.items():
            if layer in shapes:
                if net in TORCH_SHAPES and shapes.get(TORCH_SHAPES[net][0]) == TORCH_SHAPES[net][1]:
                    net = f'{net}-torch'
                return Choice(net, f'{file} is of its backbone')
        raise FCNError(f'{file}: is of no backbone that is known here; name a net')
    order = ['ilsvrc-googlenet', 'ilsvrc-vgg16', 'ilsvrc-alexnet']
    if device != 'cpu':
        order = ['ilsvrc-vgg16', 'ilsvrc-googlenet', 'ilsvrc-alexnet']
    for parent in order:
        if at_hand := published(parent):
            net = next(net for net in NETS_BY_LAYER.values() if parent in find(net).parents)
            on = 'a CPU' if device == 'cpu' else 'a GPU'
            return Choice(net, f'{at_hand} is at hand, and on {on} it is the best choice of those')
    raise FCNError(
        'there are no starting weights in weights/; fetch some with '
        f'`{command_line("prepare")} ilsvrc ilsvrc-googlenet`, name a file with --weights, or name '
        'the small net mini-fcn32s and --init-missing to learn from drawn weights'
    )


class Length(NamedTuple):
    """How long and how fast a net learns a set, and what of."""

    iterations: int
    base_lr: float
    words: str


def length_for(net: str, manifest: Manifest, crop: int | None = None) -> Length:
    """Return the recipe of a net, scaled for a set.

    A net sees each image as often as the paper's, but learns for MIN_ITERATIONS or more. Where the
    loss is the sum over pixels, larger images, or crops of side `crop`, would make larger steps:
    the rate makes up for it.
    """
    config = find(net)
    assert config.max_iter and config.base_lr
    examples = manifest.splits['train']
    iterations = round(config.max_iter * len(examples) / PAPERS_IMAGES)
    iterations = min(config.max_iter, max(MIN_ITERATIONS, iterations))
    rate, words = config.base_lr, ''
    if not config.normalize_loss:
        pixels = crop * crop if crop else _mean_pixels(manifest)
        rate *= float(np.clip(PAPERS_PIXELS / pixels, 0.1, 4))
        words = f', {"in crops " if crop else ""}of {pixels / 1e6:.2g} megapixels'
    return Length(
        iterations,
        float(f'{rate:.2g}'),
        f'{len(examples)} images{words}; --iterations and --base-lr give others',
    )


def _mean_pixels(manifest: Manifest) -> float:
    """Return the mean number of pixels of the images to learn from; some of them are looked at."""
    files = [example.image for example in manifest.splits['train']]
    sizes = []
    for file in evenly_spread(files, SAMPLE):
        with open_image(manifest.root / file) as image:
            sizes.append(image.width * image.height)
    return float(np.mean(sizes))
