"""Lists of examples in the forms that tools write."""

import unicodedata
from pathlib import Path

import pytest
from drawn_sets import NAMES, check_masks, save_mask, save_picture, truth, truths

from fcn.data_layers.own.layouts import find
from fcn.errors import DataError

WHERE = Path('ImageSets') / 'Segmentation'


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """A set in the layout of VOC, without lists."""
    for number, name in enumerate(NAMES):
        save_picture(tmp_path / 'JPEGImages' / f'{name}.jpg', number)
        save_mask(tmp_path / 'SegmentationClass' / f'{name}.png', truth(number))
    (tmp_path / WHERE).mkdir(parents=True)
    return tmp_path


def splits(root: Path) -> dict[str, list[str]]:
    """Return the names of a set's splits."""
    found = find(root)
    check_masks(found, {e.name: truths()[e.name] for e in found.manifest.examples()})
    return {
        split: [example.name for example in examples]
        for split, examples in found.manifest.splits.items()
    }


@pytest.mark.parametrize(
    'line',
    [
        '{name}',
        '{name}.jpg',
        '{name}.JPG',
        '/JPEGImages/{name}.jpg /SegmentationClass/{name}.png',
        'JPEGImages/{name}.jpg\tSegmentationClass/{name}.png',
        'JPEGImages/{name}.jpg,SegmentationClass/{name}.png',
        './JPEGImages/{name}.jpg',
        '../../JPEGImages/{name}.jpg',
        'JPEGImages\\{name}.jpg',
        '{root}/JPEGImages/{name}.jpg',
        '/home/somebody/set/JPEGImages/{name}.jpg',
        'C:\\sets\\mine\\JPEGImages\\{name}.jpg C:\\sets\\mine\\SegmentationClass\\{name}.png',
        '{name} -1',
        '{name}  1',
    ],
)
@pytest.mark.parametrize('coding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_lines_of_every_form(voc: Path, line: str, coding: str) -> None:
    for split, names in (('train', NAMES[:5]), ('val', NAMES[5:])):
        text = '\r\n'.join(line.format(name=name, root=voc) for name in names) + '\r\n\r\n'
        (voc / WHERE / f'{split}.txt').write_bytes(text.encode(coding))
    assert splits(voc) == {'train': NAMES[:5], 'val': NAMES[5:]}


def test_a_name_with_blanks_and_umlauts(tmp_path: Path) -> None:
    names = ['mein Äcker 1', 'mein Äcker', 'x -1', 'a,b']
    for number, name in enumerate(names):
        name = unicodedata.normalize('NFD', name)
        save_picture(tmp_path / 'images' / f'{name}.jpg', number)
        save_mask(tmp_path / 'masks' / f'{name}.png', truth(number))
    (tmp_path / 'train.txt').write_text('\n'.join(names[:3]), 'utf-8')
    (tmp_path / 'val.txt').write_text(names[3], 'utf-8')
    found = find(tmp_path)
    assert [e.name for e in found.manifest.splits['train']] == names[:3]
    check_masks(found, {name: truth(number) for number, name in enumerate(names)})


def test_a_list_of_pairs_pairs_what_names_do_not(tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        save_picture(tmp_path / 'images' / f'{name}.jpg', number)
        save_mask(tmp_path / 'masks' / f'{number + 100}.png', truth(number))
    for split, numbers in (('train', range(6)), ('val', range(6, 8))):
        lines = [f'images/p{number}.jpg masks/{number + 100}.png' for number in numbers]
        (tmp_path / f'{split}.txt').write_text('\n'.join(lines))
    found = find(tmp_path)
    check_masks(found, truths())
    assert (found.unlabelled_images, found.orphan_labels) == ((), ())


@pytest.mark.parametrize(
    'lists, expected',
    [
        ({'train': NAMES[:6]}, {'train': 5, 'val': 1}),
        ({'default': NAMES}, {'train': 6, 'val': 2}),
        ({'trainval': NAMES[:6], 'test': NAMES[6:]}, {'train': 5, 'val': 1, 'test': 2}),
        ({'val': NAMES[:3]}, {'train': 5, 'val': 3}),
        ({'train': NAMES[:4], 'val': NAMES[4:6]}, {'train': 4, 'val': 2}),
        ({'default': NAMES[:5]}, {'train': 4, 'val': 1, 'default': 5}),
        ({'trainval': NAMES[:6], 'val': NAMES[3:5]}, {'train': 4, 'val': 2}),
        (
            {'train': NAMES[:4], 'seg11valid': NAMES[4:]},
            {'train': 4, 'val': 4, 'seg11valid': 4},
        ),
        (
            {'train': NAMES[:5], 'one': NAMES[5:7], 'two': NAMES[7:]},
            {'train': 4, 'val': 1, 'one': 2, 'two': 1},
        ),
    ],
)
def test_lists_that_lack_a_split(
    voc: Path, lists: dict[str, list[str]], expected: dict[str, int]
) -> None:
    for split, names in lists.items():
        (voc / WHERE / f'{split}.txt').write_text('\n'.join(names))
    found = splits(voc)
    assert {split: len(found[split]) for split in expected} == expected
    assert not {*found['train']} & {*found['val']}


@pytest.mark.parametrize(
    'line',
    [
        'missing',
        '../../../../etc/passwd',
        '/etc/passwd',
        '../../../outside.jpg',
        '/elsewhere/p0.jpg',
        'p0.jpg missing.png',
        'p0\x00',
        'x' * 100_000,
        '\ufffd',
    ],
)
def test_lines_that_name_nothing_are_refused(voc: Path, line: str) -> None:
    save_picture(voc.parent / 'outside.jpg')
    (voc / WHERE / 'train.txt').write_text('p1\n' + line, 'utf-8')
    with pytest.raises(DataError, match='line 2') as caught:
        find(voc)
    assert len(str(caught.value)) < 400 and str(caught.value).isprintable()


@pytest.mark.parametrize('content', [b'', b'\r\n \n', b'\xff\xfe\x00', b'\xff\xff\xff', b'a\xe4\n'])
def test_lists_that_are_none_are_refused(voc: Path, content: bytes) -> None:
    (voc / WHERE / 'train.txt').write_bytes(content)
    with pytest.raises(DataError, match=r'train\.txt'):
        find(voc)
