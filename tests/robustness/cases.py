"""What is tried: which file is damaged, and which command reads it then.

A case gets a folder of its own with links to the setting (`material`), and copies of what
its command writes to.
"""

import shutil
from typing import NamedTuple

import miniature.__main__
from fcn.commands import convert, infer, prepare, score, solve
from fcn.commands import surgery as surgery_command
from fcn.data_layers import hha

from .material import DOWNLOADS, ENDINGS, FCN, FIRST, SNAPSHOTS, TRAINED, VGG, WEIGHTS

_PUBLISHED = 'fcn-alexnet-pascal.caffemodel'
_PYTHON_NET = """layer {{ name: "data" type: "Python" top: "data" top: "label"
  python_param {{ module: "data_layers.layers" layer: "SegDataLayer" param_str: "{}" }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 7 kernel_size: 1 }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "conv" bottom: "label" top: "loss" }}
"""


class Recipe(NamedTuple):
    """A kind of case: `file`, which is of a `kind` and damaged, is read by `main`, called as `program` with `argv`.

    Of the setting, `links` are there to read and `copies` to write. The setting has the
    undamaged file at `part`, if not in the same place; `wrap` makes the file of it.
    `leaves`, a regular expression, says which files may stay where the command failed:
    what it made of other inputs, and the records of a run.
    """

    kind: str
    command: str
    main: object
    program: str
    argv: str
    file: str
    links: tuple = ()
    copies: tuple = ()
    leaves: str = ''
    part: str = ''
    wrap: object = None

    @property
    def original(self):
        """Where the setting has what is damaged."""
        return self.part or self.file


def recipes():
    """Every Recipe."""
    return [*_weights(), *_nets(), *_images(), *_labels(), *_records(), *_lists()]


def _init(kind, argv, **more):
    return Recipe(
        kind, 'surgery init', surgery_command.main, 'surgery/__main__.py', f'init {argv}', **more
    )


def _cast(kind, argv, **more):
    return Recipe(
        kind, 'surgery cast', surgery_command.main, 'surgery/__main__.py', f'cast {argv}', **more
    )


def _rarefies(kind, argv, **more):
    return Recipe(
        kind,
        'surgery rarefy',
        surgery_command.main,
        'surgery/__main__.py',
        f'rarefy {argv}',
        **more,
    )


def _infers(kind, argv, file, **more):
    return Recipe(
        kind, 'infer', infer.main, 'infer.py', f'{argv} --net {FCN} --out out', file, **more
    )


def _scores(
    kind,
    file,
    argv=f'{FCN} --data data --runs runs --out out',
    links=(f'runs/{FCN}',),
    copies=('data',),
    **more,
):
    return Recipe(
        kind,
        'score',
        score.main,
        'score.py',
        argv,
        file,
        links,
        copies,
        r'out/val_\d+\.png',
        **more,
    )


def _solves(kind, file, links=(f'runs/{VGG}',), copies=('data',), command='solve', iterations=1):
    return Recipe(
        kind,
        command,
        solve.main,
        'solve.py',
        f'{FCN} --data data --runs runs --iterations {iterations} ' + ' '.join(TRAINED),
        file,
        links,
        copies,
        rf'runs/{FCN}/(?!snapshots/)[^/]+',
    )


def _goes_on(kind, file):
    return _solves(kind, file, ('data', f'runs/{VGG}'), (f'runs/{FCN}',), 'solve, going on', 3)


def _prepares(kind, argv, file, command='prepare', **more):
    return Recipe(kind, command, prepare.main, 'prepare.py', argv, file, **more)


def _weights():
    kind, file, part = 'caffemodel', 'given.caffemodel', WEIGHTS[FCN]
    yield _init(kind, f'{FCN} out.caffemodel --weights {file}', file=file, part=part)
    yield _cast(kind, f'{VGG} {file} out', file=file, part=WEIGHTS[VGG])
    yield _infers(kind, f'photos/a.jpg --weights {file}', file, part=part, links=('photos',))
    yield _scores(kind, file, f'{FCN} --weights {file} --data data', ('data',), (), part=part)
    yield _solves(kind, WEIGHTS[VGG], ('data',), (f'runs/{VGG}',))
    yield _prepares(
        kind,
        f'fcn-weights voc-fcn-alexnet --from {_PUBLISHED} --weights weights',
        _PUBLISHED,
        part=part,
    )
    yield _goes_on(kind, part)
    yield _goes_on('solverstate', part.replace(kind, 'solverstate'))


def _nets():
    yield _init(
        'prototxt',
        'net.prototxt out.caffemodel --init-missing',
        file='net.prototxt',
        part='fcn.prototxt',
    )
    yield _cast(
        'prototxt',
        'net.prototxt w.caffemodel out',
        file='net.prototxt',
        part='vgg.prototxt',
        links=('w.caffemodel',),
    )
    for more in ('', ' --batch'):
        yield _rarefies(
            'prototxt',
            f'net.prototxt out.prototxt --top score_fr{more}',
            file='net.prototxt',
            part='fcn.prototxt',
        )


def _images():
    for ending in ENDINGS:
        file = f'photos/a.{ending}'
        kind = {'jpg': 'JPEG', 'png': 'PNG image'}.get(ending, 'other image')
        yield _infers(kind, f'{file} --runs runs', file, links=(f'runs/{FCN}',))
    yield _scores('JPEG', 'data/JPEGImages/val_00001.jpg')
    yield _solves('JPEG', f'data/JPEGImages/{FIRST}.jpg')
    for main, folder in ((convert.main, 'colours'), (hha.main, 'depth')):
        command = main.__module__.rpartition('.')[2]
        yield Recipe(
            'PNG image',
            command,
            main,
            f'data_layers/{command}.py',
            f'{folder} out',
            f'{folder}/b.png',
            copies=(folder,),
            leaves=r'out/a\.png',
        )


def _labels():
    for side in ('pred', 'truth'):
        yield Recipe(
            'PNG label',
            f'score --{side}',
            score.main,
            'score.py',
            '--pred pred --truth truth --out out',
            f'{side}/a.png',
            copies=('pred', 'truth'),
        )
    yield _scores('PNG label', 'data/SegmentationClass/val_00001.png')
    yield _solves('PNG label', f'data/SegmentationClass/{FIRST}.png')
    for index in range(2):  # one is compressed
        yield _scores(
            '.mat',
            f'sbd/cls/val_{index:05}.mat',
            'voc-fcn-googlenet --weights googlenet.caffemodel --data sbd --split val',
            ('googlenet.caffemodel',),
            ('sbd',),
        )
    yield _prepares(
        '.mat',
        'nyud --from nyud.tar.gz --from splits.mat --data sets',
        'splits.mat',
        links=('nyud.tar.gz',),
    )


def _records():
    yield _init(
        'JSON',
        'net.prototxt out.caffemodel --init-missing',
        file='net.prototxt',
        part='param_str',
        links=('data',),
        wrap=_in_prototxt,
    )
    for name in (
        f'runs/{FCN}/run.json',
        f'runs/{FCN}/log.jsonl',
        f'{SNAPSHOTS[FCN]}/manifest.json',
    ):
        yield _goes_on('JSON', name)
    # Its runs lie in no folder, lest it train.
    yield Recipe(
        'JSON',
        'miniature',
        miniature.__main__.main,
        'miniature/__main__.py',
        '--data mini --runs a.txt --quick --out out',
        'mini/miniature.json',
        ('a.txt',),
        ('mini',),
    )
    yield _prepares('JSON', 'nyud --data sets', f'{DOWNLOADS}/checksums.json', copies=('sets',))


def _lists():
    yield _scores('list', 'data/ImageSets/Segmentation/val.txt')
    yield _solves('list', 'data/ImageSets/Segmentation/train.txt')
    given = 'sbd --from sbd.tar.gz --from train.txt --data sets'
    yield _prepares('list', given, 'train.txt', links=('sbd.tar.gz',))
    yield _prepares('archive', given, 'sbd.tar.gz', 'prepare --from', links=('train.txt',))
    yield _prepares('archive', 'nyud --data sets', f'{DOWNLOADS}/nyud.tar.gz', copies=('sets',))


def _in_prototxt(text):
    """A net whose data layer has the bytes `text` as its param_str."""
    escaped = ''.join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f'\\{byte:03o}' for byte in text
    )
    return _PYTHON_NET.format(escaped).encode()


def arrange(recipe, setting, folder, content):
    """Make a case's folder of what its recipe names in the setting, with `content` in the place of the file."""
    for name in recipe.links:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(setting / name)
    for name in recipe.copies:
        shutil.copytree(setting / name, folder / name)
    file = folder / recipe.file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(recipe.wrap(content) if recipe.wrap else content)
