"""The small setting that damaged files come from, made of real data and nets.

It has a few scenes and objects of the miniature, its nets trained for two iterations, the same
scenes in the layout of SBD for the paper's FCN-GoogLeNet with random weights, archives of data
sets, photos in several formats, labels in colours, and depth images.
"""

import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from fcn.commands import solve, surgery
from fcn.data_layers import voc_palette
from fcn.data_layers.images import save_label
from fcn.data_layers.prefetch import order
from fcn.errors import FCNError
from fcn.prototxts import prototxts
from miniature.generate import MANIFEST, VERSION, generate
from miniature.shapes import CLASSES

FCN, VGG = 'mini-fcn32s', 'mini-vgg'
SEED = 3
TRAINED = ('--base-lr', '1e-6', '--seed', str(SEED), '--snapshot-every', '1')
FIRST = f'train_{next(order(3, SEED, True))[1]:05}'  # the scene that the first iteration sees
SNAPSHOTS = {name: f'runs/{name}/snapshots/iter_00000002' for name in (VGG, FCN)}
WEIGHTS = {name: f'{folder}/train_iter_2.caffemodel' for name, folder in SNAPSHOTS.items()}
DOWNLOADS = 'sets/downloads/nyud'
ENDINGS = ('jpg', 'png', 'bmp', 'gif', 'tif', 'webp')
PARAM_STR = {
    'dataset': 'Mini',
    'root': 'data',
    'split': 'val',
    'limit': 1,
    'seed': 3,
    'position': 1,
    'batch': 1,
    'tops': ['data', 'label'],
    'shuffle': False,
}
_NYUD = ('data/images', 'data/depth', 'data/hha', 'segmentation')


def build(root: Path) -> None:
    """Make the setting in the empty folder `root`, which becomes the current folder."""
    generate(root / 'data', train=3, val=2, size=(64, 100), objects=40)
    os.chdir(root)
    _in_a_fork(solve.main, [VGG, FCN, '--data', 'data', '--iterations', '2', *TRAINED])
    googlenet = ['voc-fcn-googlenet', 'googlenet.caffemodel']
    _in_a_fork(surgery.main, ['init', *googlenet, '--init-missing'])
    shutil.copy(WEIGHTS[VGG], 'w.caffemodel')
    for file, net in (('fcn.prototxt', FCN), ('vgg.prototxt', VGG)):
        Path(file).write_text(prototxts(net)['deploy.prototxt'])
    Path('param_str').write_text(json.dumps(PARAM_STR))
    Path('a.txt').write_text('no folder\n')
    _make_pictures()
    _make_sbd()
    _make_nyud()
    _make_mini()


def _in_a_fork(main: Callable[[list[str]], Any], arguments: list[str]) -> None:
    """Call a command's `main` in a fork.

    What computes with Caffe starts threads, and this process must have none when it forks.
    """
    if (pid := os.fork()) == 0:
        status = 1
        try:
            silent = os.open(os.devnull, os.O_WRONLY)
            for stream in (1, 2):
                os.dup2(silent, stream)
            status = main(arguments) or 0
        finally:
            os._exit(status)
    if os.waitpid(pid, 0)[1]:
        command = f'{" ".join(arguments)} fails in {os.getcwd()}'
        raise FCNError(f'the setting of the fuzzer cannot be made: {command}')


def _make_pictures() -> None:
    """Write photos, colour masks, depth, and labels with a prediction of them."""
    for folder in ('photos', 'colours', 'depth', 'pred', 'truth'):
        Path(folder).mkdir()
    photo = Image.open('data/JPEGImages/val_00000.jpg')
    for ending in ENDINGS:
        photo.save(f'photos/a.{ending}')
    label = Image.open('data/SegmentationClass/val_00000.png')
    depth = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint16) * 20 + 1000
    for name in 'ab':
        Image.fromarray(voc_palette()[np.asarray(label)]).save(f'colours/{name}.png')
        Image.fromarray(depth).save(f'depth/{name}.png')
    label.save('truth/a.png')
    prediction = np.asarray(label).copy()
    prediction[prediction == 255] = 0
    save_label(prediction, Path('pred/a.png'))


def _make_sbd() -> None:
    """Write the scenes in the layout of SBD, and an archive of them."""
    for folder in ('sbd/img', 'sbd/cls'):
        Path(folder).mkdir(parents=True)
    for split in ('train', 'val'):
        names = Path(f'data/ImageSets/Segmentation/{split}.txt').read_text().split()
        Path(f'sbd/{split}.txt').write_text(''.join(f'{name}\n' for name in names))
        for index, name in enumerate(names):
            shutil.copy(f'data/JPEGImages/{name}.jpg', 'sbd/img')
            label = np.asarray(Image.open(f'data/SegmentationClass/{name}.png'))
            content = {'GTcls': {'Segmentation': label}}
            savemat(f'sbd/cls/{name}.mat', content, do_compression=bool(index % 2))
    shutil.copy('sbd/train.txt', 'train.txt')
    _archive('sbd.tar.gz', 'sbd')


def _make_nyud() -> None:
    """Write two scenes, whose files are not opened, with and without the list of splits."""
    for folder in (DOWNLOADS, *(f'nyud/{name}' for name in _NYUD)):
        Path(folder).mkdir(parents=True)
    for number in (5001, 5002):
        for folder in _NYUD:
            ending = 'mat' if folder == 'segmentation' else 'png'
            Path(f'nyud/{folder}/img_{number}.{ending}').write_bytes(b'as is')
    splits = {'trainNdxs': np.array([[1]]), 'testNdxs': np.array([[2]])}
    savemat('splits.mat', splits, do_compression=True)
    _archive('nyud.tar.gz', 'nyud')
    shutil.copy('splits.mat', 'nyud')
    _archive(f'{DOWNLOADS}/nyud.tar.gz', 'nyud')
    checksums = {'https://example.org/x': 'sha256:00'}
    Path(f'{DOWNLOADS}/checksums.json').write_text(json.dumps(checksums))


def _make_mini() -> None:
    """Write a set as `python -m miniature --quick` expects it; pictures are counted, not opened."""
    counts = {'train': 80, 'val': 40, 'objects': 400}
    manifest = {'version': VERSION, 'classes': list(CLASSES), **counts, 'size': [96, 160]}
    Path('mini').mkdir()
    Path('mini', MANIFEST).write_text(json.dumps({**manifest, 'seed': 0}))
    for folder, count in (('JPEGImages', 120), ('SegmentationClass', 120), ('Objects', 400)):
        Path('mini', folder).mkdir()
        for index in range(count):
            Path('mini', folder, f'{index}.png').touch()


def _archive(path: str, folder: str) -> None:
    """Write a folder to a tar.gz."""
    with gzip.open(path, 'wb', compresslevel=1) as packed, io.BytesIO() as plain:
        with tarfile.open(fileobj=plain, mode='w') as tar:
            tar.add(folder)
        packed.write(plain.getvalue())
