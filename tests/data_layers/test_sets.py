"""Every set from an archive in its own layout, through prepare.py, to the blobs in Caffe."""

import json

import caffe
import numpy as np
import pytest
from archives import build
from caffe import NetSpec
from caffe import layers as L
from PIL import Image
from scipy.io import loadmat, savemat

from fcn.data_layers import DATASETS, NYUD, VOID, PASCALContext, SIFTFlow
from fcn.data_layers.context import CLASSES, RENAMED
from fcn.data_layers.inputs import HHA, Colour, LogDepth
from fcn.errors import DataError
from fcn.preparation import make

SCENES = 'spatial_envelope_256x256_static_8outdoorcategories'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder with a few examples of every set."""
    root = tmp_path_factory.mktemp('sets')
    for name in ('pascal-context', 'nyud', 'siftflow'):
        make(name, root / 'data', build(name, root / name, count=3))
    return root / 'data'


def blobs_of(folder, tops, **param):
    """The first example's blobs, from the layer in a Caffe net."""
    n = NetSpec()
    made = L.Python(
        module='fcn.data_layers.layers',
        layer='SegDataLayer',
        param_str=json.dumps({**param, 'tops': tops}),
        ntop=len(tops),
    )
    for top, blob in zip(tops, made if len(tops) > 1 else [made], strict=True):
        n[top] = blob
    (folder / 'n.prototxt').write_text(str(n.to_proto()))
    net = caffe.Net(str(folder / 'n.prototxt'), caffe.TEST)
    net.forward()
    return {top: np.array(net.blobs[top].data) for top in tops}


@pytest.mark.parametrize(
    'tops',
    [
        ['color', 'label'],
        ['hha', 'label'],
        ['color', 'depth', 'label'],
        ['label', 'hha', 'depth', 'color'],
    ],
)
def test_nyud_feeds_any_of_its_inputs(data, tmp_path, tops):
    root = data / 'nyud'
    name = NYUD(root, 'test').names[0]
    blobs = blobs_of(tmp_path, tops, dataset='NYUD', root=str(root), split='test')

    def picture(kind):
        return np.asarray(Image.open(root / 'data' / kind / f'img_{name}.png')).astype(np.float64)

    expected = {
        'color': picture('images')[:, :, ::-1].transpose(2, 0, 1)
        - np.array([[[116.190]], [[97.203]], [[92.318]]]),
        'hha': picture('hha').transpose(2, 0, 1) - np.array([[[132.431]], [[94.076]], [[118.477]]]),
    }
    depth = picture('depth')
    assert (depth == 0).any() and (depth > 0).any()
    expected['depth'] = np.where(depth > 0, np.log(np.maximum(depth, 1)) - 7.844, 0)[None]
    own = loadmat(root / 'segmentation' / f'img_{name}.mat')['segmentation'].astype(int)
    expected['label'] = np.where(own == 0, 255, own - 1)[None]
    for top in tops:
        assert blobs[top].shape == (1, *expected[top].shape)
        np.testing.assert_allclose(blobs[top][0], expected[top], atol=1e-4, err_msg=top)


def test_sift_flow_feeds_both_labels(data, tmp_path):
    root = data / 'siftflow'
    name = SIFTFlow(root, 'test').names[0]
    blobs = blobs_of(
        tmp_path, ['data', 'sem', 'geo'], dataset='SIFTFlow', root=str(root), split='test'
    )
    for top, folder, classes in (('sem', 'SemanticLabels', 33), ('geo', 'GeoLabels', 3)):
        own = loadmat(root / folder / SCENES / f'{name}.mat')['S'].astype(int)
        assert (own < 1).any() and own.max() <= classes
        assert (blobs[top][0, 0] == np.where(own < 1, 255, own - 1)).all()
    assert blobs['data'].shape[1] == 3


def test_context_maps_459_labels_to_60(data):
    root = data / 'pascal-context'
    dataset = PASCALContext(root, 'val')
    own_names = dict(line.split(': ') for line in (root / 'labels.txt').read_text().splitlines())
    assert len(own_names) == 459 and len(CLASSES) == 60
    for name in dataset.names:
        own = loadmat(root / 'trainval' / f'{name}.mat')['LabelMap']
        label = dataset.label(name)
        for value in np.unique(own):
            theirs = own_names.get(str(value), '').replace(' ', '')
            ours = {new: old for old, new in RENAMED.items()}.get(theirs, theirs)
            assert set(label[own == value]) == {CLASSES.index(ours) if ours in CLASSES[1:] else 0}
    assert set(RENAMED) <= set(CLASSES) and not set(RENAMED.values()) & set(CLASSES)


def test_a_pixel_that_context_does_not_label_is_void(data, tmp_path):
    dataset = PASCALContext(data / 'pascal-context', 'val')
    savemat(tmp_path / 'a.mat', {'LabelMap': np.array([[-1, 0, 1]], np.int16)})
    label = dataset.read_label(tmp_path / 'a.mat', 'label')
    assert label.dtype == np.uint8 and label.tolist() == [[VOID, 0, 0]]


def test_a_list_of_labels_is_read_in_bounds(data, tmp_path):
    for folder in ('ImageSets', 'JPEGImages', 'trainval'):
        (tmp_path / folder).symlink_to(data / 'pascal-context' / folder)
    (tmp_path / 'labels.txt').write_bytes(b'1: thing\n' * (1 << 18))
    with pytest.raises(DataError, match=r'labels\.txt: .*1 MiB'):
        PASCALContext(tmp_path, 'val')


def test_class_lists_have_the_published_lengths():
    lengths = {
        name: [len(classes) for classes in dataset.labels.values()]
        for name, dataset in DATASETS.items()
    }
    assert lengths == {
        'ilsvrc': [1000],
        'voc': [21],
        'pascal-context': [60],
        'nyud': [40],
        'siftflow': [33, 3],
        'mini': [7],
        'mini-objects': [7],
        'mini-nyud': [7],
        'mini-siftflow': [7, 3],
    }


def test_what_inputs_become():
    rgb = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert Colour((1, 2, 3)).blob(rgb)[:, 0, 0].tolist() == [1, -1, -3]
    assert HHA((1, 2, 3)).blob(rgb)[:, 0, 0].tolist() == [-1, -1, -1]
    blob = LogDepth(7.844).blob(np.array([[0, 2550]], np.float32))
    assert blob.shape == (1, 1, 2) and blob[0, 0, 0] == 0
    assert blob[0, 0, 1] == pytest.approx(np.log(2550) - 7.844, abs=1e-6)


@pytest.mark.parametrize(
    ('content', 'named'),
    [
        (dict(other=1), 'segmentation'),
        (dict(segmentation=np.zeros((4, 5, 2))), r'\(4, 5, 2\)'),
        (dict(segmentation=np.full((4, 5), 41)), '0–40'),
        (dict(segmentation=np.full((4, 5), 1.5)), '0–40'),
        (dict(segmentation=np.full((4, 5), np.nan)), '0–40'),
        (dict(segmentation=np.ones((4, 5), np.uint8)), 'label is 5×4'),
    ],
)
def test_a_bad_label_is_named(data, tmp_path, content, named):
    dataset = NYUD(data / 'nyud', 'test')
    dataset.root = tmp_path
    for top in dataset.inputs:
        path = dataset.path(top, dataset.names[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(NYUD(data / 'nyud', 'test').path(top, dataset.names[0]))
    label = dataset.path('label', dataset.names[0])
    label.parent.mkdir()
    savemat(label, content)
    with pytest.raises(DataError, match=named) as caught:
        dataset.example(dataset.names[0], None)
    assert str(label) in str(caught.value)


def test_depth_of_eight_bits_is_refused(tmp_path):
    Image.new('L', (4, 3)).save(tmp_path / 'd.png')
    with pytest.raises(DataError, match=r'd\.png: .*16 bits'):
        LogDepth(7.844).read(tmp_path / 'd.png')
