"""Small inputs that went wrong for users, as they are read: ../shared/cases, where it is there."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.data_layers.images import VOID, read_image
from fcn.data_layers.own.check import check
from fcn.data_layers.own.dataset import OwnData
from fcn.data_layers.own.describe import Asked, describe
from fcn.data_layers.palette import voc_palette
from fcn.errors import DataError

Shared = Callable[[str], Path]


def learned(root: Path, file: Path, asked: Asked = Asked()) -> OwnData:  # noqa: B008
    """Return the images to learn from of a set that is sound."""
    described = describe(root, asked)
    assert check(described).errors == []
    described.manifest.write(file)
    return OwnData(file, 'train')


def raw(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def in_voc_colours(path: Path) -> np.ndarray:
    """Return the classes whose VOC colours a picture's pixels have, looked up one by one."""
    with Image.open(path) as image:
        pixels = np.array(image.convert('RGB'))
    distances = np.abs(pixels[..., np.newaxis, :].astype(int) - voc_palette()[:21]).sum(-1)
    assert (distances.min(-1) == 0).all()
    return distances.argmin(-1).astype(np.uint8)


def as_a_set(masks: Path, root: Path) -> Path:
    """Put masks into the layout of VOC, with grey pictures."""
    shutil.copytree(masks, root / 'SegmentationClass')
    (root / 'JPEGImages').mkdir()
    for path in masks.glob('*.png'):
        with Image.open(path) as mask:
            Image.new('RGB', mask.size, 'grey').save(root / 'JPEGImages' / path.name)
    return root


def test_masks_of_0_and_255(shared: Shared, tmp_path: Path) -> None:
    root = shared('cases/binary-masks')
    with pytest.raises(DataError, match='--foreground 255'):
        describe(root, Asked())
    for asked in (Asked(foreground=VOID), Asked(classes='background,thing')):
        data = learned(root, tmp_path / 'set.json', asked)
        for name in data.names:
            path = root / 'SegmentationClass' / f'{name}.png'
            np.testing.assert_array_equal(data.label(name), raw(path) == VOID)


def test_masks_of_16_bits(shared: Shared, tmp_path: Path) -> None:
    root = shared('cases/sixteen-bit-masks')
    data = learned(root, tmp_path / 'set.json')
    for name in data.names:
        held = raw(root / 'SegmentationClass' / f'{name}.png')
        assert held.dtype == np.uint16
        np.testing.assert_array_equal(data.label(name), held)


def test_a_palette_in_an_order_of_its_own(shared: Shared, tmp_path: Path) -> None:
    root = shared('cases/own-palette')
    data = learned(root, tmp_path / 'set.json')
    for name in data.names:
        path = root / 'SegmentationClass' / f'{name}.png'
        np.testing.assert_array_equal(data.label(name), in_voc_colours(path))


def test_the_colours_of_a_tool(shared: Shared, tmp_path: Path) -> None:
    root = as_a_set(shared('cases/tool-colours'), tmp_path / 'set')
    legend = root / 'SegmentationClass' / 'labelmap.txt'
    data = learned(root, tmp_path / 'set.json')
    assert data.labels == {'label': ('background', 'box', 'bar', 'edge')}
    colours = data.manifest.palette
    for name in data.names:
        path = root / 'SegmentationClass' / f'{name}.png'
        np.testing.assert_array_equal(colours[data.label(name)], raw(path))
    legend.write_text('background:0,0,0::\nbox:48,112,32::\nbar:176,112,32::\n')
    errors = check(describe(root, Asked())).errors
    count = sum((raw(path) == (250, 50, 83)).all(-1).sum() for path in legend.parent.glob('*.png'))
    assert len(errors) == 1 and '(250, 50, 83)' in errors[0] and f'{count} pixels' in errors[0]
    legend.unlink()
    with pytest.raises(DataError, match='--legend'):
        describe(root, Asked())


@pytest.mark.parametrize('unlabelled, ground', [('background', 0), ('void', VOID)])
def test_objects_on_a_transparent_ground(
    shared: Shared, tmp_path: Path, unlabelled: str, ground: int
) -> None:
    root = as_a_set(shared('cases/alpha-masks/transparent'), tmp_path / 'set')
    data = learned(root, tmp_path / 'set.json', Asked(unlabelled=unlabelled))  # type: ignore[arg-type]
    for name in data.names:
        pixels = raw(root / 'SegmentationClass' / f'{name}.png')
        label = data.label(name)
        assert (label[pixels[..., 3] == 0] == ground).all()
        opaque = pixels[..., 3] > 0
        assert (voc_palette()[label[opaque]] == pixels[opaque][:, :3]).all()


def test_smoothed_edges(shared: Shared, tmp_path: Path) -> None:
    root = as_a_set(shared('cases/alpha-masks/smooth'), tmp_path / 'set')
    with pytest.raises(DataError, match='--unknown snap'):
        describe(root, Asked(classes='3'))
    snapped = learned(root, tmp_path / 'snap.json', Asked(classes='3', unknown='snap'))
    void = learned(root, tmp_path / 'void.json', Asked(classes='3', unknown='void'))
    for name in snapped.names:
        label, certain = snapped.label(name), void.label(name)
        assert set(np.unique(label)) <= {0, 1, 2}
        assert (label[certain != VOID] == certain[certain != VOID]).all()
        pixels = raw(root / 'SegmentationClass' / f'{name}.png')
        exact = (pixels[..., np.newaxis, :] == voc_palette()[:3]).all(-1).any(-1)
        np.testing.assert_array_equal(certain != VOID, exact)


def test_numbers_with_an_alpha_channel(shared: Shared, tmp_path: Path) -> None:
    root = as_a_set(shared('cases/alpha-masks/la'), tmp_path / 'set')
    data = learned(root, tmp_path / 'set.json')
    for name in data.names:
        held = raw(root / 'SegmentationClass' / f'{name}.png')
        np.testing.assert_array_equal(data.label(name), held[..., 0])


@pytest.mark.parametrize(
    'case, images',
    [
        *(('suffixes-JPG', 6), ('suffixes-png', 6)),
        *(('lists-pairs', 6), ('lists-with-endings', 6), ('lists-none', 5)),
    ],
)
def test_endings_and_lists(shared: Shared, tmp_path: Path, case: str, images: int) -> None:
    root = shared('cases') / case
    data = learned(root, tmp_path / 'set.json')
    assert len(data.names) == images
    for name in data.names:
        np.testing.assert_array_equal(
            data.label(name), raw(root / 'SegmentationClass' / f'{name}.png')
        )
        assert data.path('data', name).stem == name


def test_turned_photos_are_as_upright_ones(shared: Shared, tmp_path: Path) -> None:
    turned = learned(shared('cases/exif-turned'), tmp_path / 'turned.json')
    upright = learned(shared('cases/exif-upright'), tmp_path / 'upright.json')
    assert turned.names == upright.names
    for name in turned.names:
        one, other = turned.image(name).astype(int), upright.image(name).astype(int)
        assert one.shape == other.shape and np.abs(one - other).mean() < 8  # JPEG
        np.testing.assert_array_equal(turned.label(name), upright.label(name))


def test_depths_of_photographs(shared: Shared) -> None:
    folder = shared('cases/pixel-depths')
    plain = read_image(folder / 'g08.png').astype(int)
    for name in ('g16.png', 'f32_0to1.tif', 'i32.tif'):
        assert np.abs(read_image(folder / name).astype(int) - plain).max() <= 1, name


def test_labelmes_export(shared: Shared, tmp_path: Path) -> None:
    root = shared('cases/labelme-export')
    data = learned(root, tmp_path / 'set.json')
    assert data.labels == {'label': ('_background_', 'red', 'green')}
    for name in data.names:
        np.testing.assert_array_equal(
            data.label(name), raw(root / 'SegmentationClassPNG' / f'{name}.png')
        )
