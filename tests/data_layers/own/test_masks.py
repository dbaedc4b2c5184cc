"""Masks in every coding are read as the classes that they are, or refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.data_layers.images import VOID, read_image
from fcn.data_layers.own.coding import Wishes, decide
from fcn.data_layers.own.facts import examine, pixels_of
from fcn.data_layers.own.legends import Legend
from fcn.data_layers.own.masks import Coding, kinds_of, read_mask
from fcn.data_layers.palette import voc_palette
from fcn.errors import DataError

COLOURS = np.array([[10, 20, 30], [200, 0, 0], [0, 200, 0], [90, 90, 250]], np.uint8)
LEGEND = Legend(('ground', 'red', 'green', 'blue'), tuple(map(tuple, COLOURS.tolist())))


def labels(seed: int = 0, classes: int = 4, void: bool = True) -> np.ndarray:
    """Return blocks of classes, some of them void: H×W uint8."""
    values = np.random.default_rng(seed).integers(0, classes, (4, 5), np.uint8)
    values.flat[:classes] = range(classes)
    if void:
        values[3, 4] = VOID
    return values.repeat(6, 0).repeat(7, 1)


def of_palette(label: np.ndarray, palette: np.ndarray) -> Image.Image:
    image = Image.fromarray(label)
    image.putpalette(palette.astype(np.uint8).tobytes())
    return image


def grey_alpha(label: np.ndarray) -> Image.Image:
    return Image.merge('LA', [Image.fromarray(label), Image.new('L', label.shape[::-1], 255)])


def transparent(label: np.ndarray) -> Image.Image:
    """Return colours on a transparent ground: class 0 is transparent."""
    alpha = np.where(label == 0, 0, 255).astype(np.uint8)
    return Image.fromarray(np.dstack([voc_palette()[label], alpha]))


@pytest.mark.parametrize(
    'make',
    [
        Image.fromarray,
        lambda label: Image.fromarray(label.astype(np.uint16)),
        lambda label: Image.fromarray(label.astype(np.int32)),
        lambda label: Image.fromarray(label.astype(np.float32)),
        lambda label: Image.fromarray(label.repeat(3).reshape(*label.shape, 3)),
        lambda label: of_palette(label, voc_palette()),
        lambda label: Image.fromarray(voc_palette()[label]),
        grey_alpha,
    ],
    ids=['8bit', '16bit', '32bit', 'float', 'grey-rgb', 'palette', 'voc-colours', 'grey-alpha'],
)
def test_every_coding_is_read_as_its_classes(make: Callable, tmp_path: Path) -> None:
    files = []
    for seed in range(3):
        image = make(labels(seed))
        files.append(tmp_path / f'{seed}.{"tif" if image.mode in "IF" else "png"}')
        image.save(files[-1])
    decision = decide([examine(file) for file in files], None, Wishes())
    assert len(decision.names) == 4
    for seed, file in enumerate(files):
        assert np.array_equal(read_mask(file, decision.coding), labels(seed))
        counted = pixels_of(examine(file), decision.coding)
        assert counted == dict(zip(*np.unique(labels(seed), return_counts=True), strict=True))


def test_one_bit_is_two_classes(tmp_path: Path) -> None:
    label = labels(classes=2, void=False)
    Image.fromarray(label.astype(bool)).save(tmp_path / 'a.png')
    decision = decide([examine(tmp_path / 'a.png')], None, Wishes())
    assert np.array_equal(read_mask(tmp_path / 'a.png', decision.coding), label)


def test_a_legend_tells_colours_and_palettes(tmp_path: Path) -> None:
    """Palettes may list the colours in any order, another one in each file."""
    order = np.array([2, 0, 3, 1])
    label = labels(void=False)
    Image.fromarray(COLOURS[label]).save(tmp_path / 'rgb.png')
    of_palette(np.argsort(order).astype(np.uint8)[label], COLOURS[order]).save(tmp_path / 'p.png')
    for name in ('rgb.png', 'p.png'):
        decision = decide([examine(tmp_path / name)], LEGEND, Wishes())
        assert decision.names == LEGEND.names
        assert np.array_equal(read_mask(tmp_path / name, decision.coding), label)


def test_palettes_in_an_order_of_their_own_are_read_by_their_colours(tmp_path: Path) -> None:
    facts, order = [], np.array([3, 1, 0, 2])
    for seed in range(2):
        order = np.roll(order, 1)
        moved = np.argsort(order).astype(np.uint8)[labels(seed, void=False)]
        of_palette(moved, voc_palette()[order]).save(tmp_path / f'{seed}.png')
        facts.append(examine(tmp_path / f'{seed}.png'))
    decision = decide(facts, None, Wishes())
    for seed in range(2):
        found = read_mask(tmp_path / f'{seed}.png', decision.coding)
        assert np.array_equal(found, labels(seed, void=False))


def refused(tmp_path: Path, images: list[Image.Image], wishes: Wishes = Wishes()) -> str:  # noqa: B008
    """Return why the masks are refused."""
    facts = []
    for index, image in enumerate(images):
        image.save(tmp_path / f'{index}.png')
        facts.append(examine(tmp_path / f'{index}.png'))
    with pytest.raises(DataError) as caught:
        decide(facts, None, wishes)
    return str(caught.value)


def test_what_could_be_read_as_other_classes_is_refused(tmp_path: Path) -> None:
    label = labels(void=False)
    binary = Image.fromarray((label > 1).astype(np.uint8) * 255)
    assert '--foreground 255' in refused(tmp_path, [binary])
    assert '--classes' in refused(tmp_path, [Image.fromarray(label * 60)])  # grey levels
    assert '--legend' in refused(tmp_path, [Image.fromarray(COLOURS[label])])
    palettes = [of_palette(label, COLOURS), of_palette(label, COLOURS[::-1])]
    assert '--legend' in refused(tmp_path, palettes)
    mixed = [Image.fromarray(label), Image.fromarray(COLOURS[label])]
    assert 'alike' in refused(tmp_path, mixed)
    instances = Image.fromarray(np.arange(30 * 35, dtype=np.uint16).reshape(30, 35))
    assert 'instances' in refused(tmp_path, [instances])
    smooth = Image.fromarray(voc_palette()[label]).resize((70, 48), Image.Resampling.BILINEAR)
    assert 'smoothed' in refused(tmp_path, [smooth])
    assert '255' in refused(tmp_path, [Image.new('L', (5, 5), VOID)])


def test_a_foreground_is_the_second_class(tmp_path: Path) -> None:
    label = labels(classes=2, void=False)
    Image.fromarray(label * 255).save(tmp_path / 'a.png')
    facts = [examine(tmp_path / 'a.png')]
    named = Legend(('background', 'cat'), None)
    for legend, wishes in ((None, Wishes(foreground=255)), (named, Wishes())):
        decision = decide(facts, legend, wishes)
        assert np.array_equal(read_mask(tmp_path / 'a.png', decision.coding), label)
    assert decision.names == ('background', 'cat')


@pytest.mark.parametrize('transparent_is', [0, VOID])
def test_transparent_pixels_are_what_the_user_says(tmp_path: Path, transparent_is: int) -> None:
    label = labels(void=False)
    transparent(label).save(tmp_path / 'a.png')
    wishes = Wishes(unlabelled=transparent_is)
    decision = decide([examine(tmp_path / 'a.png')], None, wishes)
    expected = np.where(label == 0, transparent_is, label)
    assert np.array_equal(read_mask(tmp_path / 'a.png', decision.coding), expected)


def test_colours_of_no_class_are_refused_snapped_or_void(tmp_path: Path) -> None:
    label = labels(void=False)
    image = COLOURS[label]
    image[0, 0] = (190, 10, 5)  # nearest to red
    Image.fromarray(image).save(tmp_path / 'a.png')
    for unknown, first in (('snap', 1), ('void', VOID)):
        decision = decide([examine(tmp_path / 'a.png')], LEGEND, Wishes(unknown=unknown))
        found = read_mask(tmp_path / 'a.png', decision.coding)
        assert found[0, 0] == first and np.array_equal(found.flat[1:], label.flat[1:])
    decision = decide([examine(tmp_path / 'a.png')], LEGEND, Wishes())
    with pytest.raises(DataError, match=r'190, 10, 5.*1 pixels'):
        read_mask(tmp_path / 'a.png', decision.coding)


def test_values_beyond_the_classes_are_refused_or_void(tmp_path: Path) -> None:
    Image.fromarray(labels()).save(tmp_path / 'a.png')
    with pytest.raises(DataError, match='3'):
        read_mask(tmp_path / 'a.png', Coding(3))
    found = read_mask(tmp_path / 'a.png', Coding(3, unknown='void'))
    assert np.array_equal(found, np.where(labels() == 3, VOID, labels()))


def test_depths_of_one_photograph_give_the_same_pixels(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (6, 7), np.uint8)
    grey[0, 0] = 255
    deep = grey.astype(np.uint16) * 257
    for name, array in (
        ('8.png', grey),
        ('16.png', deep),
        ('32.tif', deep.astype(np.int32)),
        ('f.tif', (grey / 255).astype(np.float32)),
        ('f255.tif', grey.astype(np.float32)),
    ):
        Image.fromarray(array).save(tmp_path / name)
        assert np.array_equal(read_image(tmp_path / name), grey[..., None].repeat(3, 2)), name
    twelve = np.rint(grey / 255 * 4095).astype(np.uint16)
    Image.fromarray(twelve).save(tmp_path / '12.png')
    assert np.array_equal(read_image(tmp_path / '12.png', white=4095)[..., 0], grey)
    for name, array in (('12.png', twelve), ('x.tif', grey * 3.3)):
        Image.fromarray(array.astype(np.float32) if name == 'x.tif' else array).save(
            tmp_path / name
        )
        with pytest.raises(DataError, match='--white'):
            read_image(tmp_path / name)


@pytest.mark.parametrize(('low', 'high'), [(0, 9), (0, 1 << 16), (0, 1 << 24), (-3, 4), (7, 8)])
def test_kinds_are_those_that_sorting_finds(low: int, high: int) -> None:
    values = np.random.default_rng(0).integers(low, high, (30, 40))
    found, places = kinds_of(values)
    assert np.array_equal(found, np.unique(values))
    assert np.array_equal(found[places], values)
    nothing, none = kinds_of(values[:0])
    assert nothing.size == none.size == 0
