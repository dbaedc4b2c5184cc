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
from importlib.util import find_spec
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
    _make_own()
    own = ['--data', 'own/colours', '--runs', 'ownruns', '--iterations', '2', *TRAINED]
    _in_a_fork(solve.main, [FCN, '--init-missing', *own])


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


def _make_own() -> None:
    """Write sets of four pictures, as tools annotate them, into own/NAME."""
    names, corners = ['a', 'b', 'c', 'd'], [[2, 3], [20, 5], [9, 18]]
    labels = np.zeros((24, 32), np.uint8)
    labels[4:12, 3:9], labels[14:22, 20:30] = 1, 2
    colours = np.array([(0, 0, 0), (48, 112, 32), (176, 112, 32)], np.uint8)
    for tool in ('coco', 'labelme', 'yolo', 'yaml', 'supervisely', 'colours', 'csv', 'json'):
        masks = Path('own', tool, 'masks')
        for number, name in enumerate(names):
            file = Path('own', tool, 'ds/img' if tool == 'supervisely' else 'images', f'{name}.png')
            file.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(number).integers(0, 256, (24, 32, 3), np.uint8)
            Image.fromarray(noise).save(file)
            if tool in ('colours', 'csv', 'json'):
                masks.mkdir(exist_ok=True)
                Image.fromarray(colours[labels]).save(masks / f'{name}.png')
    for name in names:
        shape = {'label': 'box', 'points': corners, 'shape_type': 'polygon'}
        circle = {'label': 'tri', 'points': [[20, 15], [24, 15]], 'shape_type': 'circle'}
        held = {'shapes': [shape, circle], 'imagePath': f'{name}.png', 'version': '5.2.1'}
        _write_json(f'labelme/images/{name}.json', {**held, 'imageHeight': 24, 'imageWidth': 32})
        polygon = {'exterior': corners, 'interior': [[[9, 8], [11, 8], [10, 10]]]}
        thing = {'classTitle': 'box', 'geometryType': 'polygon', 'points': polygon}
        size = {'height': 24, 'width': 32}
        _write_json(f'supervisely/ds/ann/{name}.png.json', {'size': size, 'objects': [thing]})
        for tool in ('yolo', 'yaml'):
            file = Path('own', tool, 'labels', f'{name}.txt')
            file.parent.mkdir(exist_ok=True)
            file.write_text('0 0.1 0.2 0.7 0.3 0.3 0.8\n1 0.5 0.5 0.9 0.5 0.9 0.9 0.5 0.9\n')
    meta = {'title': 'box', 'shape': 'polygon', 'color': '#307020'}
    _write_json('supervisely/meta.json', {'classes': [meta]})
    flat = [[part for corner in corners for part in corner]]
    shapes = [
        {'category_id': 1, 'segmentation': flat, 'iscrowd': 0},
        {'category_id': 2, 'segmentation': {'size': [24, 32], 'counts': [40, 9, 719]}},
        {'category_id': 1, 'segmentation': {'size': [24, 32], 'counts': [8, 5, 755]}, 'iscrowd': 1},
    ]
    kinds = [{'id': 1, 'name': 'box'}, {'id': 2, 'name': 'tri'}]
    pictures = [
        {'id': number, 'file_name': f'{name}.png', 'height': 24, 'width': 32}
        for number, name in enumerate(names)
    ]
    held = [{**shape, 'image_id': picture['id']} for picture in pictures for shape in shapes]
    annotations = [{**one, 'id': number} for number, one in enumerate(held)]
    coco = {'images': pictures, 'annotations': annotations, 'categories': kinds}
    _write_json('coco/annotations.json', coco)
    legend = dict(zip(('ground', 'box', 'tri'), colours.tolist(), strict=True))
    _write_json('json/legend.json', legend)
    rows = [(name, *colour) for name, colour in legend.items()]
    for file, text in {
        'yolo/classes.txt': 'box\ntri\n',
        'yaml/data.yaml': 'train: images\nnc: 2\nnames:\n  0: box\n  1: tri\n',
        'csv/legend.csv': ''.join('{},{},{},{}\n'.format(*row) for row in rows),
        'colours/labelmap.txt': ''.join('{}:{},{},{}::\n'.format(*row) for row in rows),
        'colours/train.txt': 'images/a.png masks/a.png\nimages/b.png masks/b.png\nc.png\n',
        'colours/val.txt': 'd\n',
    }.items():
        Path('own', file).write_text(text)
    if not find_spec('yaml'):  # then there are no cases of it
        shutil.rmtree('own/yaml')


def _write_json(file: str, content: Any) -> None:
    path = Path('own', file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _archive(path: str, folder: str) -> None:
    """Write a folder to a tar.gz."""
    with gzip.open(path, 'wb', compresslevel=1) as packed, io.BytesIO() as plain:
        with tarfile.open(fileobj=plain, mode='w') as tar:
            tar.add(folder)
        packed.write(plain.getvalue())
