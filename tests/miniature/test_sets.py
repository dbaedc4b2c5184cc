"""The miniature's rooms and landscapes: their layouts, what depth shows, and that a seed always
gives the same."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from fcn.data_layers import DATASETS, VOID, MiniNYUD, MiniSIFTFlow
from fcn.data_layers.hha import encode
from fcn.errors import FCNError
from miniature.landscapes import GEOMETRIC, SEMANTIC, Landscape, draw_landscape
from miniature.rooms import (
    CAMERA,
    CLASSES,
    FLOOR,
    PICTURE,
    SIZE,
    WALL,
    Room,
    draw_room,
    without_holes,
)
from miniature.sets import generate_nyud, generate_siftflow

TRAINVAL, TEST = 4, 2


@pytest.fixture(scope='module')
def nyud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_nyud(tmp_path_factory.mktemp('data') / 'nyud', TRAINVAL, TEST, seed=3)


@pytest.fixture(scope='module')
def siftflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_siftflow(tmp_path_factory.mktemp('data') / 'siftflow', TRAINVAL, TEST, seed=3)


@pytest.fixture(scope='module')
def rooms() -> list[Room]:
    return [draw_room(0, 0, index) for index in range(30)]


@pytest.fixture(scope='module')
def landscapes() -> list[Landscape]:
    return [draw_landscape(0, 0, index) for index in range(40)]


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob('*') if path.is_file()
    }


@pytest.mark.parametrize('name', ['nyud', 'siftflow'])
def test_the_sets_own_data_layers_read_them(name: str, request: pytest.FixtureRequest) -> None:
    root, dataset = request.getfixturevalue(name), DATASETS[f'mini-{name}']
    for source, count in ((dataset.train, TRAINVAL), (dataset.val, TEST)):
        read = dataset.kind(root, source.split)
        assert len(read.names) == count
        for example in read.names:
            blobs = read.example(example, None)
            assert set(blobs) == {*dataset.inputs, *dataset.labels}
            for top, given in dataset.inputs.items():
                assert (
                    blobs[top].shape[0] == given.channels and 0.1 < np.abs(blobs[top]).mean() < 3
                ), top


def test_rooms_lie_as_nyud_does(nyud: Path) -> None:
    drawn, name = draw_room(3, 1, 0), MiniNYUD(nyud, 'test').names[0]
    with Image.open(nyud / f'data/images/img_{name}.png') as image:
        assert np.array_equal(np.asarray(image), drawn.image)
    with Image.open(nyud / f'data/depth/img_{name}.png') as depth:
        assert depth.mode.startswith('I') and np.array_equal(np.asarray(depth), drawn.depth)
    with Image.open(nyud / f'data/hha/img_{name}.png') as hha:
        expected = encode(without_holes(drawn.depth) / 1000, drawn.depth == 0, CAMERA)
        assert np.array_equal(np.asarray(hha), expected)
    stored = loadmat(nyud / f'segmentation/img_{name}.mat')['segmentation']
    assert np.array_equal(stored, np.where(drawn.label == VOID, 0, drawn.label.astype(int) + 1))


def test_landscapes_lie_as_sift_flow_does(siftflow: Path) -> None:
    drawn, read = draw_landscape(3, 0, 1), MiniSIFTFlow(siftflow, 'trainval')
    image = read.image(read.names[1]).astype(float)
    assert np.abs(image - drawn.image).mean() < 6  # what JPEG loses
    assert np.array_equal(read.label(read.names[1], 'sem'), drawn.semantic)
    assert np.array_equal(read.label(read.names[1], 'geo'), drawn.geometric)
    assert loadmat(read.path('geo', read.names[1]))['S'].max() <= len(GEOMETRIC)


def test_boards_stand_out_in_depth_and_pictures_do_not(rooms: list[Room]) -> None:
    """Near the outline of each class, within a row: how much nearer it is than the wall there."""
    nearer = {value: [] for value in (PICTURE, *range(PICTURE + 1, len(CLASSES)))}
    for room in rooms:
        depth, label = without_holes(room.depth).astype(float), room.label
        for row in range(SIZE[0]):
            wall = np.flatnonzero(label[row] == WALL)
            for value in set(label[row]) & set(nearer):
                inside = np.flatnonzero(label[row] == value)
                if len(wall) > 20 and len(inside) > 10:
                    nearest = wall[np.abs(wall[:, None] - inside[None]).argmin(0)]
                    nearer[value].append(np.median(depth[row, inside] / depth[row, nearest]))
    assert 0.95 < np.median(nearer.pop(PICTURE)) < 1.05
    assert all(0.4 < np.median(ratios) < 0.85 for ratios in nearer.values())


def test_a_picture_and_a_board_look_alike_in_colour(rooms: list[Room]) -> None:
    means = [
        np.mean(
            [
                room.image[room.label == value].mean(0)
                for room in rooms
                if (room.label == value).any()
            ],
            axis=0,
        )
        for value in range(PICTURE, len(CLASSES))
    ]
    assert np.ptp(means, axis=0).max() < 40


def test_depth_is_a_kinects(rooms: list[Room]) -> None:
    for room in rooms:
        assert room.depth.dtype == np.uint16 and room.depth.shape == SIZE
        assert room.depth[room.depth > 0].min() > 500 and room.depth.max() < 9000
    assert 0.01 < np.mean([(room.depth == 0).mean() for room in rooms]) < 0.15


def test_hha_tells_floor_from_wall(rooms: list[Room]) -> None:
    """A floor's normal is level with gravity (38) and low, a wall's upright (128)."""
    angles = {value: [] for value in (WALL, FLOOR)}
    for room in rooms:
        hha = encode(without_holes(room.depth) / 1000, room.depth == 0, CAMERA)
        for value, found in angles.items():
            if (room.label == value).sum() > 500:
                found.append(np.median(hha[..., 2][room.label == value]))
    assert abs(np.median(angles[FLOOR]) - 38) < 10 and abs(np.median(angles[WALL]) - 128) < 10


def test_every_class_is_frequent(rooms: list[Room], landscapes: list[Landscape]) -> None:
    for count, labels in (
        (len(CLASSES), [room.label for room in rooms]),
        (len(SEMANTIC), [scene.semantic for scene in landscapes]),
        (len(GEOMETRIC), [scene.geometric for scene in landscapes]),
    ):
        assert set(np.unique(labels)) == {*range(count), VOID}
        for value in range(count):
            assert np.mean([(label == value).sum() > 50 for label in labels]) > 0.3, value


def test_neither_labelling_follows_from_the_other(landscapes: list[Landscape]) -> None:
    semantic, geometric = (np.stack([scene[index] for scene in landscapes]) for index in (1, 2))
    assert np.array_equal(semantic == VOID, geometric == VOID)
    for value in range(3, len(SEMANTIC)):  # every shape floats, stands and lies
        shares = np.bincount(geometric[semantic == value], minlength=3) / (semantic == value).sum()
        assert (shares > 0.05).all()
    for value in range(3):
        assert len(np.unique(semantic[geometric == value])) > 3


@pytest.mark.parametrize('generate', [generate_nyud, generate_siftflow])
def test_same_seed_same_bytes_however_many(generate: Callable[..., Path], tmp_path: Path) -> None:
    few, many = (contents(generate(tmp_path / f'{count}', count, 1, seed=3)) for count in (1, 2))
    drawn = [name for name in few if name.endswith(('.jpg', '.png', '.mat'))]
    assert len(drawn) in (6, 8) and all(few[name] == many[name] for name in drawn)
    assert contents(generate(tmp_path / 'other', 1, 1, seed=4))[drawn[0]] != few[drawn[0]]


def test_a_whole_set_is_kept_and_another_refused(nyud: Path) -> None:
    before = contents(nyud)
    assert generate_nyud(nyud, TRAINVAL, TEST, seed=3) == nyud
    with pytest.raises(FCNError, match='other trainval;'):
        generate_nyud(nyud, TRAINVAL + 1, TEST, seed=3)
    with pytest.raises(FCNError, match='other kind, labels'):
        generate_siftflow(nyud, TRAINVAL, TEST, seed=3)
    assert contents(nyud) == before
    with pytest.raises(FCNError, match='trainval=-1'):
        generate_nyud(nyud, -1, 1)


def test_a_set_that_lost_a_file_is_refused(tmp_path: Path) -> None:
    root = generate_siftflow(tmp_path / 'set', 1, 1)
    next((root / 'GeoLabels').rglob('*.mat')).unlink()
    with pytest.raises(FCNError, match=re.escape(str(root))):
        generate_siftflow(root, 1, 1)
