"""The data layers in real Caffe, their order, and what bad data gets."""

import json
import os

import caffe
import numpy as np
import pytest
from caffe import NetSpec
from caffe import layers as L
from PIL import Image
from scipy.io import savemat

from fcn.data_layers import (
    DATASETS,
    SBD,
    VOC,
    MiniObjects,
    evenly_spread,
    layers,
    source_at,
    voc_palette,
)
from fcn.data_layers.images import read_image, save_label
from fcn.data_layers.prefetch import order
from fcn.errors import DataError
from fcn.nets import find


def make_net(path, phase=caffe.TRAIN, **param):
    n = NetSpec()
    param = json.dumps({'dataset': 'VOC', **param})
    n.data, n.label = L.Python(
        module='fcn.data_layers.layers', layer='SegDataLayer', param_str=param, ntop=2
    )
    path.write_text(str(n.to_proto()))
    return caffe.Net(str(path), phase)


def test_blobs_are_the_images_and_labels_in_order(voc, tmp_path):
    net = make_net(tmp_path / 'n.prototxt', caffe.TEST, root=str(voc), split='train')
    dataset = VOC(voc, 'train')
    for name in [*dataset.names, dataset.names[0]]:
        net.forward()
        rgb = np.asarray(Image.open(voc / 'JPEGImages' / f'{name}.jpg')).astype(float)
        label = np.asarray(Image.open(voc / 'SegmentationClass' / f'{name}.png'))
        data = net.blobs['data'].data
        assert data.shape == (1, 3, *label.shape)
        for channel, mean in enumerate((104.00699, 116.66877, 122.67892)):  # blue, green, red
            np.testing.assert_allclose(data[0, channel], rgb[..., 2 - channel] - mean, atol=1e-4)
        assert net.blobs['label'].data.shape == (1, 1, *label.shape)
        assert (net.blobs['label'].data[0, 0] == label).all()


def test_each_epoch_is_a_permutation_that_any_position_can_enter():
    count = 7
    steps = order(count, seed=3, shuffle=True)
    seen = [next(steps) for _ in range(3 * count)]
    epochs = [[index for epoch, index in seen if epoch == e] for e in range(3)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    for position in (0, 4, 7, 11):
        late = order(count, 3, True, position)
        assert [next(late) for _ in range(5)] == seen[position : position + 5]
    other = order(count, 4, True)
    assert [next(other)[1] for _ in range(2 * count)] != [index for _, index in seen[: 2 * count]]


def test_order_leaves_the_global_generator_alone():
    runs = []
    for state in (0, 1):
        np.random.seed(state)
        before = np.random.get_state()[1].copy()
        steps = order(9, seed=5, shuffle=True)
        runs.append([next(steps) for _ in range(20)])
        assert (np.random.get_state()[1] == before).all()
    assert runs[0] == runs[1]


def test_the_seed_gives_the_order_in_caffe(voc, tmp_path):
    """The six images have six sizes, so shapes tell them apart."""
    runs = []
    for seed in (5, 5, 6):
        net = make_net(tmp_path / 'n.prototxt', root=str(voc), split='train', seed=seed)
        runs.append([net.forward() and net.blobs['data'].data.shape for _ in range(12)])
    assert runs[0] == runs[1] != runs[2]
    assert len(set(runs[0][:6])) == len(set(runs[0][6:])) == 6


def test_limit_spreads_evenly():
    assert evenly_spread(list('abcdefgh'), 4) == list('aceg')
    assert evenly_spread(list('abc'), 9) == list('abc') == evenly_spread(list('abc'), None)


def test_sbd(tmp_path):
    root = tmp_path / 'sbd'
    for folder in ('img', 'cls'):
        (root / folder).mkdir(parents=True)
    label = np.arange(48, dtype=np.uint8).reshape(6, 8) % 21
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(root / 'img' / 'a.jpg')
    (root / 'train.txt').write_text('a\n')
    savemat(
        root / 'cls' / 'a.mat',
        {'GTcls': {'Boundaries': 0, 'Segmentation': label, 'CategoriesPresent': 0}},
    )
    image, read = SBD(root, 'train').pair('a')
    assert (read == label).all() and image.shape == (6, 8, 3)
    net = make_net(tmp_path / 'n.prototxt', dataset='SBD', root=str(root), split='train')
    net.forward()
    assert (net.blobs['label'].data[0, 0] == label).all()
    (root / 'cls' / 'a.mat').write_bytes(b'MATLAB 5.0 nonsense' * 20)
    with pytest.raises(DataError, match=r'a\.mat: .*GTcls'):
        SBD(root, 'train').pair('a')


def spoil(voc, kind):
    """Spoil the first training example; return the file and the value that must be named."""
    jpeg, png = (
        voc / 'JPEGImages' / '2007_000000.jpg',
        voc / 'SegmentationClass' / '2007_000000.png',
    )
    label = np.array(Image.open(png))
    if kind == 'missing image':
        jpeg.unlink()
        return jpeg, 'no such file'
    if kind == 'truncated image':
        jpeg.write_bytes(jpeg.read_bytes()[:-300])
        return jpeg, 'truncated'
    if kind == 'text for an image':
        jpeg.write_text('<html>')
        return jpeg, 'JPEG, PNG'
    if kind == 'empty label':
        png.write_bytes(b'')
        return png, 'JPEG, PNG'
    if kind == 'other size':
        save_label(label[1:], png)
        return png, r'\d+×\d+.*\d+×\d+'
    if kind == 'value out of range':
        label[5, 5] = 21
        save_label(label, png)
        return png, '21.*0–20'
    if kind == 'RGB label':
        Image.fromarray(voc_palette()[label]).save(png)
        return png, 'fcn convert'
    Image.new('L', (20_000, 2)).save(png)
    return png, '20000×2'


@pytest.mark.parametrize(
    'kind',
    [
        'missing image',
        'truncated image',
        'text for an image',
        'empty label',
        'other size',
        'value out of range',
        'RGB label',
        'absurd size',
    ],
)
def test_bad_examples_are_named_before_caffe_sees_them(kind, voc, tmp_path):
    file, named = spoil(voc, kind)
    with pytest.raises(DataError, match=named) as caught:
        net = make_net(tmp_path / 'n.prototxt', caffe.TEST, root=str(voc), split='train')
        net.forward()
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ('param', 'named'),
    [
        ('not json', 'not JSON'),
        ('[1]', r'JSON object.*\[1\]'),
        ('{"dataset": "VOC", "root": "."}', "'split'"),
        ('{"root": ".", "split": "x"}', "'dataset'"),
        ('{"dataset": "VOC", "root": 1, "split": "x"}', 'root is 1'),
        ('{"dataset": "Cityscapes", "root": ".", "split": "x"}', "'Cityscapes'"),
        ('{"dataset": "VOC", "root": ".", "split": "x", "tops": "data"}', "tops is 'data'"),
        ('{"dataset": "VOC", "root": ".", "split": "x", "tops": ["data"]}', '2 tops'),
        (
            '{"dataset": "VOC", "root": ".", "split": "x", "tops": ["data", "depth"]}',
            "VOC .*'depth'; .*data, label",
        ),
        ('{"dataset": "VOC", "root": ".", "split": "x", "rot": 1}', "'rot'"),
        ('{"dataset": "VOC", "root": ".", "split": "x", "seed": "1"}', "seed is '1'"),
        ('{"dataset": "VOC", "root": ".", "split": "x", "batch": 0}', 'batch is 0'),
        ('{"dataset": "VOC", "root": ".", "split": "x", "shuffle": 1}', 'shuffle is 1'),
        ('{"dataset": "VOC", "root": ".", "split": "nowhere"}', "nowhere.txt: .*'nowhere'"),
        ('__import__("os").system("true")', 'not JSON'),
    ],
)
def test_bad_param_str(param, named, tmp_path):
    n = NetSpec()
    n.data, n.label = L.Python(
        module='fcn.data_layers.layers', layer='SegDataLayer', param_str=param, ntop=2
    )
    (tmp_path / 'n.prototxt').write_text(str(n.to_proto()))
    with pytest.raises(DataError, match=named):
        caffe.Net(str(tmp_path / 'n.prototxt'), caffe.TRAIN)


def test_a_list_cannot_lead_out_of_its_folder(voc):
    (voc / 'ImageSets' / 'Segmentation' / 'bad.txt').write_text('../../etc/passwd\n')
    with pytest.raises(DataError, match=r"bad\.txt: .*'\.\./\.\./etc/passwd'"):
        VOC(voc, 'bad')
    (voc / 'ImageSets' / 'Segmentation' / 'bad.txt').write_text(' \n')
    with pytest.raises(DataError, match=r'bad\.txt: .*empty'):
        VOC(voc, 'bad')


def test_images_of_two_sizes_make_no_batch(voc, tmp_path):
    with pytest.raises(DataError, match='iter_size'):
        make_net(tmp_path / 'n.prototxt', root=str(voc), split='train', batch=2)


def test_a_missing_set_says_how_it_is_made():
    """A fresh clone has none: the command that makes each is named, and where it is looked for."""
    for name, dataset in DATASETS.items():
        if dataset.train is None:
            continue
        for source in (dataset.train, dataset.val):
            moved = source._replace(root=f'nowhere/{name}')
            with pytest.raises(DataError, match=f'/nowhere/{name}: .*python .*--data'):
                moved.open()


def test_a_source_opens_its_set_and_names_its_layer(voc):
    source = source_at(DATASETS['voc'].val, voc, 'train')
    dataset = source.open(('label',))
    assert type(dataset) is VOC and dataset.names == source.names() == VOC(voc, 'train').names
    assert list(dataset.example(dataset.names[0], np.random.default_rng(0))) == ['label']
    assert json.loads(DATASETS['mini-objects'].train.param_str(seed=3)) == {
        'dataset': 'MiniObjects',
        'root': 'data/mini',
        'split': 'train',
        'batch': 16,
        'seed': 3,
    }


def test_source_at_tells_layouts_apart(voc, tmp_path):
    assert source_at(DATASETS[find('voc-fcn8s').data].train, voc).dataset == 'VOC'
    with pytest.raises(DataError, match=f'{tmp_path}: '):
        source_at(DATASETS['voc'].train, tmp_path)
    (tmp_path / 'loop').symlink_to('loop')
    with pytest.raises(DataError, match=r'loop: .*JPEGImages'):
        source_at(DATASETS['voc'].train, tmp_path / 'loop')
    with pytest.raises(DataError, match=r'loop: .*python -m miniature'):
        source_at(DATASETS['mini'].train, tmp_path / 'loop').names()


def test_the_real_images_pass_every_check(shared):
    dataset = VOC(shared('data/voc'), 'seg11valid')
    assert len(dataset.names) == 252
    for name in dataset.names[::25]:
        image, label = dataset.pair(name)
        assert image.shape[:2] == label.shape


@pytest.mark.parametrize(
    ('content', 'named'),
    [
        (b'\xff\xfe', 'UTF-8'),
        (bytes(50), 'bare name'),
        (b'a\rb\r', "'a\rb'"),
        (b'x' * 5000, "'xxx"),
        (b'a\n' * (33 << 20), '64 MiB'),
    ],
)
def test_bad_lists_are_refused_in_one_short_line(content, named, voc):
    (voc / 'ImageSets' / 'Segmentation' / 'bad.txt').write_bytes(content)
    with pytest.raises(DataError, match=named) as caught:
        VOC(voc, 'bad')
    assert len(str(caught.value)) < 600 and r'bad.txt' in str(caught.value)


def test_lists_of_other_systems_are_read(voc):
    (voc / 'ImageSets' / 'Segmentation' / 'windows.txt').write_bytes(
        b'\xef\xbb\xbf2007_000000\r\n2007_000001\r\n\r\n'
    )
    assert VOC(voc, 'windows').names == ['2007_000000', '2007_000001']


def test_a_pipe_is_no_image_or_list_and_stops_nothing(voc):
    for file in (
        voc / 'JPEGImages' / '2007_000000.jpg',
        voc / 'ImageSets' / 'Segmentation' / 'train.txt',
    ):
        dataset = VOC(voc, 'seg11valid')
        file.unlink()
        os.mkfifo(file)
        with pytest.raises(DataError, match=file.name):
            read_image(file) if file.suffix == '.jpg' else VOC(voc, 'train')
        assert dataset.names


def test_pictures_of_single_shapes_have_one_size(tmp_path):
    """Caffe ends the process where a picture does not fit the inner products."""
    for folder in ('Objects', 'ImageSets/Main'):
        (tmp_path / folder).mkdir(parents=True)
    Image.new('RGB', (50, 40)).save(tmp_path / 'Objects' / 'ring_0.jpg')
    (tmp_path / 'ImageSets' / 'Main' / 'train.txt').write_text('ring_0\n')
    with pytest.raises(DataError, match=r'ring_0\.jpg: 50×40; .*104×104'):
        MiniObjects(tmp_path, 'train').example('ring_0', np.random.default_rng(0))


@pytest.mark.parametrize(
    'text',
    ['[' * 100_000, '{"dataset": "VOC", "root": ".", "split": "x", "batch": 1' + '0' * 30 + '}'],
)
def test_a_param_str_of_any_depth_or_size(text):
    with pytest.raises(DataError, match='param_str'):
        layers.parse(text, False)
