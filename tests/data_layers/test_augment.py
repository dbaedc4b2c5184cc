"""Augmentation: all of an example moves together, the same from whatever position."""

import json

import caffe
import numpy as np
import pytest
from caffe import NetSpec
from caffe import layers as L

from fcn.data_layers import VOC
from fcn.data_layers.augment import augment, crop
from fcn.errors import DataError


def example(height=9, width=12):
    """Three inputs and two labels that all say where a pixel comes from, from 1 on."""
    place = np.arange(1, 1 + height * width, dtype=np.float32).reshape(1, height, width)
    return {
        'color': np.concatenate([place, -place, 2 * place]),
        'depth': place.copy(),
        'hha': np.concatenate([place, place, 3 * place]),
        'sem': place.copy(),
        'geo': place.copy(),
    }


def drawn(count=400, **options):
    return [
        augment(example(), ('sem', 'geo'), np.random.default_rng([7, index]), **options)
        for index in range(count)
    ]


def test_all_inputs_and_labels_move_together():
    for moved in drawn(mirror=True, jitter=3):
        gone = moved['sem'] == 255
        for label in ('sem', 'geo'):
            assert (moved[label] == np.where(gone, 255, moved['depth'])).all()
        for top, factors in {'color': (1, -1, 2), 'depth': (1,), 'hha': (1, 1, 3)}.items():
            assert moved[top].dtype == np.float32
            for channel, factor in zip(moved[top], factors, strict=True):
                np.testing.assert_array_equal(
                    channel, np.where(gone[0], 0, factor * moved['sem'][0])
                )


def test_a_mirror_comes_half_of_the_time_and_exchanges_left_and_right():
    mirrored = 0
    for moved in drawn(mirror=True):
        flipped = bool((moved['sem'] != example()['sem']).any())
        mirrored += flipped
        assert (moved['color'] == example()['color'][:, :, :: -1 if flipped else 1]).all()
    assert 160 < mirrored < 240


def test_jitter_reaches_every_translation_and_leaves_a_void_border():
    seen = set()
    for moved in drawn(jitter=2):
        label, before = moved['sem'][0], example()['sem'][0]
        # Where pixel (4, 5), which cannot leave, has gone.
        (row,), (column,) = np.nonzero(label == before[4, 5])
        down, right = row - 4, column - 5
        seen.add((down, right))
        kept = label != 255
        assert kept.sum() == (9 - abs(down)) * (12 - abs(right))
        assert (np.roll(before, (down, right), (0, 1))[kept] == label[kept]).all()
    assert seen == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_an_example_may_leave_the_image_altogether():
    moves = drawn(jitter=40)
    assert any((moved['sem'] == 255).all() and not moved['color'].any() for moved in moves)


def test_a_class_of_a_whole_picture_stays():
    blobs = {'data': np.ones((3, 4, 4), np.float32), 'label': np.array([3], np.float32)}
    for index in range(20):
        assert augment(blobs, ('label',), np.random.default_rng(index), True, 2)['label'] == 3


def make_net(path, **param):
    n = NetSpec()
    n.data, n.label = L.Python(
        module='fcn.data_layers.layers',
        layer='SegDataLayer',
        ntop=2,
        param_str=json.dumps({'dataset': 'VOC', **param}),
    )
    path.write_text(str(n.to_proto()))
    return caffe.Net(str(path), caffe.TRAIN)


def blobs_of(net, count):
    blobs = []
    for _ in range(count):
        net.forward()
        blobs.append([net.blobs[top].data.copy() for top in ('data', 'label')])
    return blobs


def test_in_caffe_the_same_is_drawn_from_whatever_position(voc, tmp_path):
    options = dict(root=str(voc), split='train', mirror=True, jitter=8)
    whole = blobs_of(make_net(tmp_path / 'n.prototxt', **options), 14)
    late = blobs_of(make_net(tmp_path / 'n.prototxt', position=4, **options), 10)
    plain = blobs_of(make_net(tmp_path / 'n.prototxt', root=str(voc), split='train'), 14)
    for (data, label), (data_late, label_late) in zip(whole[4:], late, strict=True):
        assert (data == data_late).all() and (label == label_late).all()
    assert [data.shape for data, _ in whole] == [data.shape for data, _ in plain]
    assert any((data != before).any() for (data, _), (before, _) in zip(whole, plain, strict=True))
    # An example of the second epoch is drawn anew.
    names = VOC(voc, 'train').names
    first = {data.shape: label for data, label in whole[: len(names)]}
    assert any((first[data.shape] != label).any() for data, label in whole[len(names) :])


@pytest.mark.parametrize(
    ('option', 'named'),
    [
        (dict(mirror=1), 'mirror is 1'),
        (dict(jitter=-1), 'jitter is -1'),
        (dict(jitter=1.5), 'jitter is 1.5'),
        (dict(jitter=10**30), 'jitter is 1000.*0 to 16384'),
        (dict(crop=0), 'crop is 0'),
    ],
)
def test_bad_options_are_named(option, named, voc, tmp_path):
    with pytest.raises(DataError, match=named):
        make_net(tmp_path / 'n.prototxt', root=str(voc), split='train', **option)


def cropped(side, count=300, **size):
    return [
        crop(example(**size), ('sem', 'geo'), np.random.default_rng([7, index]), side)
        for index in range(count)
    ]


def test_a_crop_is_a_slice_of_all_tops_at_one_place():
    whole, seen = example(), set()
    for blobs in cropped(5):
        y, x = divmod(int(blobs['depth'][0, 0, 0]) - 1, 12)
        seen.add((y, x))
        for top, blob in blobs.items():
            assert blob.dtype == np.float32
            np.testing.assert_array_equal(blob, whole[top][:, y : y + 5, x : x + 5])
    assert seen == {(y, x) for y in range(9 - 5 + 1) for x in range(12 - 5 + 1)}


def test_a_crop_that_is_larger_holds_all_and_is_void_around_it():
    whole, seen = example(), set()
    for blobs in cropped(11):
        rows = np.flatnonzero((blobs['sem'][0] != 255).any(1))
        seen.add((int(rows[0]), int(blobs['depth'].max() - 108)))
        y, x = rows[0], int(blobs['depth'][0, rows[0], 0]) - 1
        for top, blob in blobs.items():
            assert blob.shape[1:] == (11, 11)
            inside = blob[:, y : y + 9]
            np.testing.assert_array_equal(inside, whole[top][:, :, x : x + 11])
            outside = np.delete(blob, slice(y, y + 9), axis=1)
            assert (outside == (255 if top in ('sem', 'geo') else 0)).all()
    assert seen == {(y, x) for y in range(3) for x in (0, -1)}


def test_in_caffe_crops_make_a_batch_of_images_of_any_size(voc, tmp_path):
    options = dict(root=str(voc), split='train', crop=40, batch=2)
    whole = blobs_of(make_net(tmp_path / 'n.prototxt', **options), 7)
    late = blobs_of(make_net(tmp_path / 'n.prototxt', position=4, **options), 5)
    single = blobs_of(make_net(tmp_path / 'n.prototxt', **options | dict(batch=1)), 14)
    for (data, label), (data_late, label_late) in zip(whole[2:], late, strict=True):
        assert (data == data_late).all() and (label == label_late).all()
    for number, (data, label) in enumerate(whole):
        assert data.shape == (2, 3, 40, 40) and label.shape == (2, 1, 40, 40)
        for place in range(2):
            one, its_label = single[2 * number + place]
            assert (data[place] == one[0]).all() and (label[place] == its_label[0]).all()
