"""What is tried: which file is damaged, and which command reads it then.

A case gets a folder of its own, with links to the setting (`material`) and copies of what its
command writes to.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import miniature.__main__
from fcn.commands import convert, hha, infer, prepare, score, solve, surgery

from .material import DOWNLOADS, ENDINGS, FCN, FIRST, SNAPSHOTS, TRAINED, VGG, WEIGHTS

_PUBLISHED = 'fcn-alexnet-pascal.caffemodel'
_PYTHON_NET = """layer {{ name: "data" type: "Python" top: "data" top: "label"
  python_param {{ module: "fcn.data_layers.layers" layer: "SegDataLayer" param_str: "{}" }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 7 kernel_size: 1 }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "conv" bottom: "label" top: "loss" }}
"""


class Recipe(NamedTuple):
    """A kind of case: `main`, called as `program` with `argv`, reads `file`, which is damaged.

    `kind` is the file's format, and with `command` the row of the report. Of the setting, `links`
    are there to read and `copies` to write. `part` is the undamaged file in the setting, if it is
    not in the same place; `wrap` makes the file from it. `leaves`, a regular expression, says which
    files may stay where the command failed: what it made of other inputs, and a run's records.
    """

    kind: str
    command: str
    main: Callable[..., Any]
    program: str
    argv: str
    file: str
    links: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    leaves: str = ''
    part: str = ''
    wrap: Callable[[bytes], bytes] | None = None

    @property
    def original(self) -> str:
        """The path of the undamaged file in the setting."""
        return self.part or self.file


def recipes() -> list[Recipe]:
    """Return every Recipe."""
    return [*_weights(), *_nets(), *_images(), *_labels(), *_records(), *_lists(), *_own()]


def _surgery(kind: str, command: str, argv: str, **more: Any) -> Recipe:
    argv = f'{command} {argv}'
    return Recipe(kind, f'surgery {command}', surgery.main, 'surgery/__main__.py', argv, **more)


def _infers(kind: str, argv: str, file: str, **more: Any) -> Recipe:
    argv = f'{argv} --net {FCN} --out out'
    return Recipe(kind, 'infer', infer.main, 'infer.py', argv, file, **more)


def _scores(kind: str, file: str, argv: str = '', **more: Any) -> Recipe:
    argv = argv or f'{FCN} --data data --runs runs --out out'
    more = {'links': (f'runs/{FCN}',), 'copies': ('data',), **more}
    leaves = r'out/val_\d+\.png'
    return Recipe(kind, 'score', score.main, 'score.py', argv, file, leaves=leaves, **more)


def _solves(
    kind: str, file: str, command: str = 'solve', iterations: int = 1, **more: Any
) -> Recipe:
    options = f'--data data --runs runs --iterations {iterations}'
    argv = ' '.join([FCN, options, *TRAINED])
    more = {'links': (f'runs/{VGG}',), 'copies': ('data',), **more}
    leaves = rf'runs/{FCN}/(?!snapshots/)[^/]+'
    return Recipe(kind, command, solve.main, 'solve.py', argv, file, leaves=leaves, **more)


def _goes_on(kind: str, file: str) -> Recipe:
    links, copies = ('data', f'runs/{VGG}'), (f'runs/{FCN}',)
    return _solves(kind, file, 'solve, going on', 3, links=links, copies=copies)


def _prepares(kind: str, argv: str, file: str, command: str = 'prepare', **more: Any) -> Recipe:
    return Recipe(kind, command, prepare.main, 'prepare.py', argv, file, **more)


def _weights() -> Iterator[Recipe]:
    kind, file, part = 'caffemodel', 'given.caffemodel', WEIGHTS[FCN]
    init = f'{FCN} out.caffemodel --weights {file}'
    yield _surgery(kind, 'init', init, file=file, part=part)
    yield _surgery(kind, 'cast', f'{VGG} {file} out', file=file, part=WEIGHTS[VGG])
    yield _infers(kind, f'photos/a.jpg --weights {file}', file, part=part, links=('photos',))
    scores = f'{FCN} --weights {file} --data data'
    yield _scores(kind, file, scores, links=('data',), copies=(), part=part)
    yield _solves(kind, WEIGHTS[VGG], links=('data',), copies=(f'runs/{VGG}',))
    prepares = f'fcn-weights voc-fcn-alexnet --from {_PUBLISHED} --weights weights'
    yield _prepares(kind, prepares, _PUBLISHED, part=part)
    yield _goes_on(kind, part)
    yield _goes_on('solverstate', part.replace(kind, 'solverstate'))


def _nets() -> Iterator[Recipe]:
    kind, file = 'prototxt', 'net.prototxt'
    init = f'{file} out.caffemodel --init-missing'
    yield _surgery(kind, 'init', init, file=file, part='fcn.prototxt')
    cast = f'{file} w.caffemodel out'
    yield _surgery(kind, 'cast', cast, file=file, part='vgg.prototxt', links=('w.caffemodel',))
    for batch in ('', ' --batch'):
        rarefy = f'{file} out.prototxt --top score_fr{batch}'
        yield _surgery(kind, 'rarefy', rarefy, file=file, part='fcn.prototxt')


def _images() -> Iterator[Recipe]:
    for ending in ENDINGS:
        file = f'photos/a.{ending}'
        kind = {'jpg': 'JPEG', 'png': 'PNG image'}.get(ending, 'other image')
        yield _infers(kind, f'{file} --runs runs', file, links=(f'runs/{FCN}',))
    yield _scores('JPEG', 'data/JPEGImages/val_00001.jpg')
    yield _solves('JPEG', f'data/JPEGImages/{FIRST}.jpg')
    for command, main, folder in (('convert', convert.main, 'colours'), ('hha', hha.main, 'depth')):
        argv, file = f'{folder} out', f'{folder}/b.png'
        recipe = Recipe('PNG image', command, main, f'fcn {command}', argv, file)
        yield recipe._replace(copies=(folder,), leaves=r'out/a\.png')


def _labels() -> Iterator[Recipe]:
    kind, argv, copies = 'PNG label', '--pred pred --truth truth --out out', ('pred', 'truth')
    for side in copies:
        command, file = f'score --{side}', f'{side}/a.png'
        yield Recipe(kind, command, score.main, 'score.py', argv, file, copies=copies)
    yield _scores(kind, 'data/SegmentationClass/val_00001.png')
    yield _solves(kind, f'data/SegmentationClass/{FIRST}.png')
    sbd = 'voc-fcn-googlenet --weights googlenet.caffemodel --data sbd --split val'
    more: dict[str, Any] = {'links': ('googlenet.caffemodel',), 'copies': ('sbd',)}
    for index in range(2):  # One of them is compressed.
        yield _scores('.mat', f'sbd/cls/val_{index:05}.mat', sbd, **more)
    nyud = 'nyud --from nyud.tar.gz --from splits.mat --data sets'
    yield _prepares('.mat', nyud, 'splits.mat', links=('nyud.tar.gz',))


def _records() -> Iterator[Recipe]:
    file, part = 'net.prototxt', 'param_str'
    init = f'{file} out.caffemodel --init-missing'
    yield _surgery(
        'JSON', 'init', init, file=file, part=part, links=('data',), wrap=_net_with_param_str
    )
    for name in ('run.json', 'log.jsonl'):
        yield _goes_on('JSON', f'runs/{FCN}/{name}')
    yield _goes_on('JSON', f'{SNAPSHOTS[FCN]}/manifest.json')
    # Its folder of runs is a file, so that it does not train.
    argv, file = '--data mini --runs a.txt --quick --out out', 'mini/miniature.json'
    main, program = miniature.__main__.main, 'miniature/__main__.py'
    yield Recipe('JSON', 'miniature', main, program, argv, file, ('a.txt',), ('mini',))
    yield _prepares('JSON', 'nyud --data sets', f'{DOWNLOADS}/checksums.json', copies=('sets',))


def _lists() -> Iterator[Recipe]:
    yield _scores('list', 'data/ImageSets/Segmentation/val.txt')
    yield _solves('list', 'data/ImageSets/Segmentation/train.txt')
    argv = 'sbd --from sbd.tar.gz --from train.txt --data sets'
    yield _prepares('list', argv, 'train.txt', links=('sbd.tar.gz',))
    yield _prepares('archive', argv, 'sbd.tar.gz', 'prepare --from', links=('train.txt',))
    yield _prepares('archive', 'nyud --data sets', f'{DOWNLOADS}/nyud.tar.gz', copies=('sets',))


def _own() -> Iterator[Recipe]:
    """Yield cases of sets of one's own: what tools write next to images, and what a run keeps."""
    files = {
        'annotations': (
            *('coco/annotations.json', 'labelme/images/b.json', 'json/legend.json'),
            *('supervisely/ds/ann/b.png.json', 'supervisely/meta.json'),
        ),
        'text': (
            *('yolo/labels/b.txt', 'yolo/classes.txt', 'yaml/data.yaml', 'csv/legend.csv'),
            *('colours/labelmap.txt', 'colours/train.txt'),
        ),
    }
    for kind, paths in files.items():
        for path in paths:
            folder = f'own/{path.partition("/")[0]}'
            argv = f'check {folder} --out out'
            yield _prepares(kind, argv, f'own/{path}', 'check', copies=(folder,))
    more: dict[str, Any] = {'links': ('own/colours',), 'copies': ('ownruns',)}
    run = f'ownruns/colours/{FCN}'
    described = f'{run}/dataset.json'
    yield _scores('annotations', described, f'{run} --out out', **more)
    yield _infers('annotations', f'own/colours/images/a.png --weights {run}', described, **more)


def _net_with_param_str(content: bytes) -> bytes:
    """Return a net whose data layer has `content` as its param_str."""
    escaped = ''.join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f'\\{byte:03o}'
        for byte in content
    )
    return _PYTHON_NET.format(escaped).encode()


def arrange(recipe: Recipe, setting: Path, folder: Path, content: bytes) -> None:
    """Make a case's folder from the setting, with `content` in the place of the recipe's file."""
    for name in recipe.links:
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(setting / name)
    for name in recipe.copies:
        shutil.copytree(setting / name, folder / name)
    file = folder / recipe.file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(recipe.wrap(content) if recipe.wrap else content)
