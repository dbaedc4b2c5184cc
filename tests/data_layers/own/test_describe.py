"""What masks are taken for: certain, said, or asked about; and what a check counts."""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_sets import NAMES, save_mask, save_picture, truth
from exported_sets import LAYOUTS
from PIL import Image, ImageFilter
from support import make_voc

from fcn.commands import check as command_check
from fcn.commands import convert
from fcn.data_layers.images import VOID
from fcn.data_layers.own.check import Checked, check
from fcn.data_layers.own.dataset import read_own_label, turns
from fcn.data_layers.own.describe import Asked, Described, describe
from fcn.errors import DataError
from fcn.own import is_own

Draw = Callable[[np.ndarray], Image.Image]


def draw(root: Path, mask: Draw, ending: str = 'png') -> Path:
    """Write pictures, and masks that `mask` draws of the true classes."""
    (root / 'masks').mkdir(parents=True)
    for number, name in enumerate(NAMES):
        save_picture(root / 'images' / f'{name}.jpg', number)
        mask(truth(number)).save(root / 'masks' / f'{name}.{ending}')
    return root


def sound(root: Path, **asked: Any) -> tuple[Described, Checked]:
    described = describe(root, Asked(**asked))
    checked = check(described)
    assert checked.errors == []
    return described, checked


def labels_of(described: Described) -> dict[str, np.ndarray]:
    examples = described.manifest.examples()
    return {e.name: read_own_label(described.manifest, e) for e in examples}


def assert_labels(described: Described, table: Sequence[int]) -> None:
    """Assert that labels are the true classes, each by its place in a table."""
    held = labels_of(described)
    for number, name in enumerate(NAMES):
        np.testing.assert_array_equal(held[name], np.array(table, np.uint8)[truth(number)])


def counted(described: Described) -> dict[int, int]:
    whole = np.concatenate([label.ravel() for label in labels_of(described).values()])
    values, counts = np.unique(whole, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def object_of(value: int, dtype: Any = np.uint8) -> Draw:
    return lambda labels: Image.fromarray((labels > 0).astype(dtype) * dtype(value))


def on_transparent_ground(labels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.where(labels[..., np.newaxis] > 0, np.uint8(255), np.zeros(4, 'u1')))


@pytest.mark.parametrize(
    'mask, value',
    [
        (object_of(255), 255),
        (object_of(128), 128),
        (object_of(65535, np.uint16), 65535),
        (on_transparent_ground, 255),
    ],
)
def test_one_kind_of_object_is_asked_about(tmp_path: Path, mask: Draw, value: int) -> None:
    root = draw(tmp_path / 'set', mask)
    with pytest.raises(DataError, match=f'--foreground {value} '):
        describe(root, Asked())
    for asked in (dict(foreground=value), dict(classes='background,thing')):
        described, checked = sound(root, **asked)
        assert_labels(described, (0, 1, 1))
        assert dict(checked.pixels) == counted(described)


def smoothed(labels: np.ndarray) -> Image.Image:
    return object_of(255)(labels).filter(ImageFilter.GaussianBlur(1))


@pytest.mark.parametrize('mask, ending', [(smoothed, 'png'), (object_of(255), 'jpg')])
def test_an_object_with_smoothed_edges(tmp_path: Path, mask: Draw, ending: str) -> None:
    root = draw(tmp_path / 'set', mask, ending)
    with pytest.raises(DataError, match='--foreground 255 --unknown snap'):
        describe(root, Asked())
    with pytest.raises(DataError):
        describe(root, Asked(foreground=255))
    levels = {name: np.array(Image.open(root / 'masks' / f'{name}.{ending}')) for name in NAMES}
    described, checked = sound(root, foreground=255, unknown='snap')
    for name, held in labels_of(described).items():
        np.testing.assert_array_equal(held, levels[name] >= 128)
    assert dict(checked.pixels) == counted(described)
    described, checked = sound(root, foreground=255, unknown='void')
    for name, held in labels_of(described).items():
        assert ((held == VOID) == (levels[name] % 255 > 0)).all()
        assert ((held == 1) == (levels[name] == 255)).all()
    assert dict(checked.pixels) == counted(described)


def test_numbers_in_a_jpeg_are_refused(tmp_path: Path) -> None:
    root = draw(tmp_path / 'set', Image.fromarray, 'jpg')
    for asked in (Asked(), Asked(classes='3'), Asked(classes='a,b,c')):
        with pytest.raises(DataError, match='JPEG'):
            describe(root, asked)


def test_all_grey_levels_are_no_classes(tmp_path: Path) -> None:
    ramp = np.arange(30 * 40, dtype=np.int64).reshape(30, 40) % 250
    root = draw(tmp_path / 'set', lambda labels: Image.fromarray(ramp.astype(np.uint8)))
    with pytest.raises(DataError, match='--classes 250'):
        describe(root, Asked())
    described, _ = sound(root, classes='250')
    np.testing.assert_array_equal(labels_of(described)['p0'], ramp)


@pytest.mark.parametrize('void', ['void', "don't care"])
def test_a_void_class_keeps_its_number(tmp_path: Path, void: str) -> None:
    """In training, and in convert."""
    root = draw(tmp_path / 'set', Image.fromarray)
    (root / 'classes.txt').write_text(f'ground\n{void}\ntri\n')
    described, _ = sound(root)
    assert described.manifest.classes == ('ground', 'tri')
    assert_labels(described, (0, VOID, 1))
    arguments = [str(root / 'masks'), str(tmp_path / 'out')]
    convert.main([*arguments, '--legend', str(root / 'classes.txt')])
    for number, name in enumerate(NAMES):
        with Image.open(tmp_path / 'out' / f'{name}.png') as image:
            np.testing.assert_array_equal(image, np.array([0, VOID, 1])[truth(number)])


def test_colours_where_a_legend_has_numbers(tmp_path: Path) -> None:
    colours = np.array([(0, 0, 0), (128, 0, 0), (0, 128, 0)], np.uint8)
    root = draw(tmp_path / 'set', lambda labels: Image.fromarray(colours[labels]))
    (root / 'classes.txt').write_text('ground\nvoid\ntri\n')
    with pytest.raises(DataError, match='--legend'):
        describe(root, Asked())
    (root / 'classes.txt').write_text('ground\nbox\ntri\n')
    assert_labels(sound(root)[0], (0, 1, 2))


@pytest.mark.parametrize('names', ['', 'ground\nbox\ntri\n', 'ground\nbox\ntri\nvoid\nmore\n'])
def test_palettes_that_differ_are_refused(tmp_path: Path, names: str) -> None:
    """The same value is another colour in every second mask."""
    root = draw(tmp_path / 'set', Image.fromarray)
    for number, name in enumerate(NAMES):
        mask = Image.fromarray(truth(number)).convert('P')
        mask.putpalette(
            [0, 0, 0, *((200, 0, 0, 0, 200, 0) if number % 2 else (0, 200, 0, 200, 0, 0))]
        )
        mask.save(root / 'masks' / f'{name}.png')
    if names:
        (root / 'classes.txt').write_text(names)
    with pytest.raises(DataError, match='palettes differ'):
        describe(root, Asked())
    (root / 'legend.csv').write_text('ground,0,0,0\nbox,200,0,0\ntri,0,200,0\n')
    described, _ = sound(root)
    held = labels_of(described)
    for number, name in enumerate(NAMES):
        table = np.array((0, 1, 2) if number % 2 else (0, 2, 1))
        np.testing.assert_array_equal(held[name], table[truth(number)])


def test_a_palette_that_is_cut_short_says_nothing(tmp_path: Path) -> None:
    """Void, 255, is not the last of its colours."""
    root = draw(tmp_path / 'set', Image.fromarray)
    for number, name in enumerate(NAMES):
        values = np.array([0, 1, VOID], np.uint8)[truth(number)]
        mask = Image.fromarray(values).convert('P')
        file = root / 'masks' / f'{name}.png'
        mask.save(file)
        content, colours = file.read_bytes(), bytes((0, 0, 0, 128, 0, 0, 0, 128, 0))
        start = content.index(b'PLTE') - 4
        end = start + 12 + int.from_bytes(content[start : start + 4], 'big')
        checksum = zlib.crc32(b'PLTE' + colours).to_bytes(4, 'big')
        chunk = len(colours).to_bytes(4, 'big') + b'PLTE' + colours + checksum
        file.write_bytes(content[:start] + chunk + content[end:])
    with Image.open(root / 'masks' / 'p0.png') as held:
        assert held.mode == 'P' and len(held.getpalette()) < 3 * 256
    assert_labels(sound(root)[0], (0, 1, VOID))


def test_numbers_that_begin_with_1_are_noted(tmp_path: Path) -> None:
    root = draw(tmp_path / 'set', lambda labels: Image.fromarray(labels + np.uint8(1)))
    _, checked = sound(root)
    assert any('begin with 1' in line for line in checked.warnings)
    with pytest.raises(DataError):
        describe(root, Asked(classes='ground,box,tri'))


def test_what_is_wrong_with_a_set(tmp_path: Path) -> None:
    """One class alone, sizes that differ by a pixel, pictures in train and in val."""
    one = draw(tmp_path / 'one', lambda labels: Image.fromarray(labels * np.uint8(0)))
    assert len(check(describe(one, Asked())).errors) == 1
    sized = draw(tmp_path / 'sized', Image.fromarray)
    save_mask(sized / 'masks' / 'p1.png', np.pad(truth(1), ((0, 1), (0, 0))))
    (error,) = check(describe(sized, Asked())).errors
    assert 'p1' in error and '40×31' in error
    twice = draw(tmp_path / 'twice', Image.fromarray)
    save_picture(twice / 'images' / 'p7.jpg', 0)
    (twice / 'train.txt').write_text('\n'.join(NAMES[:5]))
    (twice / 'val.txt').write_text('\n'.join(NAMES[4:]))
    lines = check(describe(twice, Asked())).warnings
    assert any('p4' in line for line in lines) and any('p7 = p0' in line for line in lines)


def test_any_name_is_drawn(tmp_path: Path) -> None:
    root = draw(tmp_path / 'set', Image.fromarray)
    (root / 'classes.txt').write_text('_ground\n$\\bad{\n' + '天' * 100 + '\n', 'utf-8')
    assert command_check.main([str(root), '--out', str(tmp_path / 'out')]) == 0
    with Image.open(tmp_path / 'out' / 'contact.png') as sheet:
        assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 100


@pytest.mark.parametrize('follows', [False, True])
def test_the_size_in_an_annotation_tells_how_it_lies(tmp_path: Path, follows: bool) -> None:
    """Of photos that an EXIF tag turns, annotated as they are seen, or as they are stored."""
    LAYOUTS['coco polygons'].write(tmp_path)
    exif = Image.Exif()
    exif[274] = 6
    for name in NAMES:
        file = tmp_path / 'images' / f'{name}.jpg'
        with Image.open(file) as image:
            stored = image.rotate(90, expand=True) if follows else image.copy()
        stored.save(file, exif=exif)
    described, _ = sound(tmp_path)
    assert_labels(described, (0, 1, 2))
    for example in described.manifest.examples():
        assert turns(described.manifest, example) == follows


def test_voc_images_with_a_legend_are_ones_own(tmp_path: Path) -> None:
    """Else VOC's classes would be taken for the user's."""
    make_voc(tmp_path, ['2007_000001', '2007_000002'])
    asked = Asked()
    assert not is_own(tmp_path, 'voc-fcn8s', asked)
    (tmp_path / 'labelmap.txt').write_text('ground:0,0,0::\n')
    assert is_own(tmp_path, 'voc-fcn8s', asked)
