"""The generated data set: its layout, its labels, and that a seed always gives the same one."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcn.data_layers import VOID
from fcn.data_layers.palette import voc_palette
from fcn.errors import FCNError
from miniature import generate as drawing
from miniature import shapes
from miniature.generate import CLASSES, MANIFEST, draw, draw_object, generate

TRAIN, VAL = 6, 3
SIZE = (96, 160)


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(
        tmp_path_factory.mktemp('data') / 'set', train=TRAIN, val=VAL, objects=40, seed=3
    )


@pytest.fixture(scope='module')
def labels() -> list[np.ndarray]:
    return [draw(0, 'train', index, SIZE).label for index in range(60)]


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob('*') if path.is_file()
    }


def names(root: Path, split: str) -> list[str]:
    return (root / 'ImageSets' / 'Segmentation' / f'{split}.txt').read_text().splitlines()


def test_palette_is_that_of_voc() -> None:
    palette = voc_palette()
    assert palette.shape == (256, 3) and palette.dtype == np.uint8
    assert palette[[0, 1, 2, 15, 20, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [192, 128, 128],
        [0, 64, 128],
        [224, 224, 192],
    ]
    assert len(np.unique(palette, axis=0)) == 256


def test_layout_is_that_of_voc(root: Path) -> None:
    assert len(names(root, 'train')) == TRAIN and len(names(root, 'val')) == VAL
    listed = names(root, 'train') + names(root, 'val')
    assert sorted(path.name for path in (root / 'JPEGImages').iterdir()) == sorted(
        f'{n}.jpg' for n in listed
    )
    assert sorted(p.name for p in (root / 'SegmentationClass').iterdir()) == sorted(
        f'{n}.png' for n in listed
    )
    for name in listed:
        with (
            Image.open(root / 'JPEGImages' / f'{name}.jpg') as image,
            Image.open(root / 'SegmentationClass' / f'{name}.png') as label,
        ):
            assert (image.format, image.mode, label.format, label.mode) == (
                'JPEG',
                'RGB',
                'PNG',
                'P',
            )
            assert image.size == label.size and all(
                SIZE[0] <= side <= SIZE[1] for side in image.size
            )
            assert np.array_equal(np.reshape(label.getpalette(), (-1, 3)), voc_palette())
            assert set(np.unique(np.asarray(label))) <= {*range(len(CLASSES)), VOID}


def test_files_hold_the_scenes(root: Path) -> None:
    scene = draw(3, 'val', 2, SIZE)
    with Image.open(root / 'JPEGImages' / 'val_00002.jpg') as picture:
        image = np.asarray(picture, float)
    with Image.open(root / 'SegmentationClass' / 'val_00002.png') as picture:
        assert np.array_equal(np.asarray(picture), scene.label)
    assert np.abs(image - scene.image).mean() < 6  # what JPEG loses


def test_sizes_vary(labels: list[np.ndarray]) -> None:
    assert len({label.shape for label in labels}) > len(labels) / 2
    assert draw(0, 'val', 0, (64, 64)).image.shape == (64, 64, 3)


def test_every_class_is_frequent(labels: list[np.ndarray]) -> None:
    for value in range(len(CLASSES)):
        share = np.mean([(label == value).sum() > 50 for label in labels])
        assert share > 0.4, f'{CLASSES[value]} in {share:.0%} of the images'
    background = np.mean([(label == 0).mean() for label in labels])
    assert 0.5 < background < 0.75


def test_void_is_thin_and_parts_the_labels(labels: list[np.ndarray]) -> None:
    for label in labels:
        height, width = label.shape
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
            left, right = max(0, -dx), max(0, dx)
            one = label[: height - dy, left : width - right]
            other = label[dy:, right : width - left]
            assert not ((one != other) & (one != VOID) & (other != VOID)).any()
    assert 0.02 < np.mean([(label == VOID).mean() for label in labels]) < 0.1
    # A pixel of void is near one that is not: no band is wider than four pixels.
    padded = [np.pad(label != VOID, 2, mode='edge') for label in labels]
    windows = [
        np.lib.stride_tricks.sliding_window_view(known, (5, 5)).any((2, 3)) for known in padded
    ]
    assert np.mean([near.mean() for near in windows]) > 0.999


@pytest.mark.parametrize('name', CLASSES[1:])
def test_shapes_are_distances(name: str) -> None:
    """No slope is above one, so that the void band is as wide as it says everywhere."""
    v, u = np.mgrid[-50:51, -50:51].astype(float)
    distance = shapes.shape(name, u, v, 40, np.random.default_rng(0))
    assert distance.min() < -3 and distance[0, 0] > 10
    for axis in (0, 1):
        assert np.abs(np.diff(distance, axis=axis)).max() <= 1 + 1e-6


def test_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match='blimp'):
        shapes.shape('blimp', np.zeros(1), np.zeros(1), 10, np.random.default_rng(0))


def test_colour_does_not_tell_the_class() -> None:
    """The mean colour of a class over many scenes is that of any other, within chance."""
    scenes = [draw(1, 'train', index, SIZE) for index in range(120)]
    means = [
        np.mean(
            [
                scene.image[scene.label == value].mean(0)
                for scene in scenes
                if (scene.label == value).any()
            ],
            axis=0,
        )
        for value in range(1, len(CLASSES))
    ]
    assert np.ptp(means, axis=0).max() < 25


def test_same_seed_same_files(root: Path, tmp_path: Path) -> None:
    again = generate(tmp_path / 'again', train=TRAIN, val=VAL, objects=40, seed=3)
    assert contents(again) == contents(root)


def test_other_seed_and_split_other_scenes() -> None:
    scenes = [
        draw(0, 'train', 0, SIZE),
        draw(1, 'train', 0, SIZE),
        draw(0, 'val', 0, SIZE),
        draw(0, 'train', 1, SIZE),
    ]
    assert len({scene.image.tobytes() for scene in scenes}) == len(scenes)


def test_a_scene_does_not_depend_on_how_many_there_are(root: Path, tmp_path: Path) -> None:
    few = contents(generate(tmp_path / 'few', train=2, val=1, objects=40, seed=3))
    many = contents(root)
    drawn = [name for name in few if name.endswith(('.jpg', '.png'))]
    assert len(drawn) == 6 + 40 and all(few[name] == many[name] for name in drawn)


def test_objects_are_listed_by_class_and_split(root: Path) -> None:
    lists = root / 'ImageSets' / 'Main'
    train, val = ((lists / f'{split}.txt').read_text().split() for split in ('train', 'val'))
    assert (len(train), len(val)) == (38, 2) and not set(train) & set(val)
    for name in train + val:
        with Image.open(root / 'Objects' / f'{name}.jpg') as image:
            assert image.size == (104, 104) and name.partition('_')[0] in CLASSES[1:]


def test_objects_are_centred_and_named() -> None:
    found = [draw_object(0, index, 100) for index in range(40)]
    assert all(image.shape == (100, 100, 3) and image.dtype == np.uint8 for image, _ in found)
    assert {value for _, value in found} == set(range(1, len(CLASSES)))
    assert np.array_equal(found[7][0], draw_object(0, 7, 100)[0])


def test_complete_set_is_kept(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    assert generate(root, train=TRAIN, val=VAL, objects=40, seed=3) == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob('*')} == before


def test_empty_folder_is_filled(tmp_path: Path) -> None:
    assert (generate(tmp_path, train=1, val=0, objects=40) / MANIFEST).is_file()


def test_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'thesis.tex').write_text('chapter one')
    with pytest.raises(FCNError, match=re.escape(str(tmp_path))):
        generate(tmp_path, train=1, val=1, objects=40)
    assert list(contents(tmp_path)) == ['thesis.tex']
    with pytest.raises(FCNError, match=re.escape(str(tmp_path))):
        generate(tmp_path / 'thesis.tex', train=1, val=1, objects=40)


def test_other_parameters_are_refused_by_name(root: Path) -> None:
    before = contents(root)
    with pytest.raises(FCNError, match='other seed, train;'):
        generate(root, train=TRAIN + 1, val=VAL, objects=40, seed=4)
    assert contents(root) == before


def test_damaged_set_is_refused(tmp_path: Path) -> None:
    generate(tmp_path / 'set', train=2, val=0, objects=40)
    (tmp_path / 'set' / 'JPEGImages' / 'train_00001.jpg').unlink()
    with pytest.raises(FCNError, match=re.escape(str(tmp_path / 'set'))):
        generate(tmp_path / 'set', train=2, val=0, objects=40)


@pytest.mark.parametrize('numbers', [dict(train=-1), dict(size=(128, 96)), dict(size=(8, 96))])
def test_impossible_numbers_are_refused(tmp_path: Path, numbers: dict[str, Any]) -> None:
    with pytest.raises(FCNError, match='no such set'):
        generate(tmp_path / 'set', **numbers)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('error', [KeyboardInterrupt, OSError])
def test_interrupted_drawing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def interrupted(seed: int, split: str, index: int, size: Sequence[int]) -> shapes.Scene:
        if index == 2:
            raise error
        return draw(seed, split, index, size)

    monkeypatch.setattr(drawing, 'draw', interrupted)
    with pytest.raises(error):
        generate(tmp_path / 'set', train=4, val=0, objects=40)
    assert not list(tmp_path.iterdir())


def test_the_same_set_drawn_meanwhile_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands may draw one set at once: the slower finds the other's and is content."""

    def overtaken(folder: Path, manifest: dict[str, Any]) -> None:
        monkeypatch.undo()
        generate(tmp_path / 'set', train=2, val=0, objects=40)
        (folder / 'ImageSets').mkdir(parents=True)

    monkeypatch.setattr(drawing, '_write_voc', overtaken)
    root = generate(tmp_path / 'set', train=2, val=0, objects=40)
    assert json.loads((root / MANIFEST).read_text())['train'] == len(names(root, 'train')) == 2
    assert list(tmp_path.iterdir()) == [root]
