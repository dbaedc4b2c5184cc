"""Folders of images and masks, as people and tools lay them out."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawn_sets import (
    CLASSES,
    COLOURS,
    NAMES,
    check_masks,
    save_mask,
    save_picture,
    truth,
    truths,
)
from PIL import Image

from fcn.data_layers.images import VOID
from fcn.data_layers.own.layouts import Options, find
from fcn.data_layers.own.manifest import read_manifest
from fcn.errors import DataError


def write(root: Path, image: str, mask: str, colours: tuple[tuple[int, ...], ...] = ()) -> None:
    """Write all pictures; `image` and `mask` are patterns of a name and a split."""
    for number, name in enumerate(NAMES):
        split = 'train' if number < 6 else 'val'
        save_picture(root / image.format(name=name, split=split), number)
        save_mask(root / mask.format(name=name, split=split), truth(number), colours)


@pytest.mark.parametrize(
    'image, mask, drawn',
    [
        ('images/{name}.jpg', 'masks/{name}.png', True),
        ('images/{name}.jpg', 'masks/{name}_mask.png', True),
        ('images/{name}_image.png', 'masks/mask_{name}.png', True),
        ('Images/{name}.JPG', 'Labels/{name}.PNG', True),
        ('{name}.jpg', 'masks/{name}.png', True),
        ('Fotos vom Mai/{name}.jpg', 'masks/{name}.png', True),
        ('a/data/{name}.jpg', 'a/labels/{name}.png', True),
        ('{name}.jpg', '{name}_mask.png', True),
        ('{name}_sat.jpg', '{name}_mask.png', True),
        ('a set/images/{name}.jpg', 'a set/masks/{name}.png', True),
        ('images/{split}/{name}.jpg', 'masks/{split}/{name}.png', False),
        ('{split}/images/{name}.jpg', '{split}/masks/{name}.png', False),
        ('{split}/{name}.png', '{split}_labels/{name}_L.png', False),
        ('{split}/{name}.png', '{split}annot/{name}.png', False),
        ('images/{split}/{name}.jpg', 'masks/{name}.png', False),
        ('images/{name}.jpg', 'masks/{split}/{name}.png', False),
    ],
)
def test_images_and_masks_pair_by_name(tmp_path: Path, image: str, mask: str, drawn: bool) -> None:
    write(tmp_path, image, mask)
    found = find(tmp_path)
    names = [Path(image).stem.format(name=name) for name in NAMES]
    check_masks(found, dict(zip(names, truths().values(), strict=True)))
    assert (found.unlabelled_images, found.orphan_labels) == ((), ())
    assert found.drawn == drawn
    train, val = (
        [example.name for example in found.manifest.splits[split]] for split in ('train', 'val')
    )
    assert sorted(train + val) == names
    assert len(val) == 2
    if not drawn:
        assert val == names[6:]
    found.manifest.write(tmp_path / 'kept.json')
    assert read_manifest(tmp_path / 'kept.json') == found.manifest


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'bmp', 'gif', 'tiff', 'webp', 'ppm'])
def test_images_of_every_format(tmp_path: Path, suffix: str) -> None:
    write(tmp_path, f'images/{{name}}.{suffix}', 'masks/{name}.png')
    check_masks(find(tmp_path), truths())


@pytest.mark.parametrize('suffix', ['png', 'bmp', 'tiff', 'pgm'])
def test_masks_of_every_format_that_keeps_numbers(tmp_path: Path, suffix: str) -> None:
    write(tmp_path, 'images/{name}.jpg', f'masks/{{name}}.{suffix}')
    check_masks(find(tmp_path), truths())


def test_equal_names_in_subfolders_stay_apart(tmp_path: Path) -> None:
    for number, place in enumerate(['one', 'two']):
        save_picture(tmp_path / 'images' / place / 'a.jpg', number)
        save_mask(tmp_path / 'masks' / place / 'a.png', truth(number))
    check_masks(find(tmp_path), {'one/a': truth(0), 'two/a': truth(1)})


def test_equal_names_in_two_splits_stay_apart(tmp_path: Path) -> None:
    for number, split in enumerate(['train', 'val']):
        save_picture(tmp_path / split / 'images' / 'a.jpg', number)
        save_mask(tmp_path / split / 'masks' / 'a.png', truth(number))
    check_masks(find(tmp_path), {'train/a': truth(0), 'val/a': truth(1)})


def test_composed_and_decomposed_names_are_equal(tmp_path: Path) -> None:
    names = ['Äcker', 'Straße', 'Größe']
    for number, name in enumerate(names):
        save_picture(tmp_path / 'images' / (unicodedata.normalize('NFD', name) + '.jpg'), number)
        save_mask(tmp_path / 'masks' / (unicodedata.normalize('NFC', name) + '.png'), truth(number))
    check_masks(find(tmp_path), {name: truth(number) for number, name in enumerate(names)})


def test_what_has_no_partner_is_told(tmp_path: Path) -> None:
    write(tmp_path, 'images/{name}.jpg', 'masks/{name}.png')
    save_picture(tmp_path / 'images' / 'alone.jpg')
    save_mask(tmp_path / 'masks' / 'orphan.png', truth(0))
    found = find(tmp_path)
    check_masks(found, truths())
    assert found.unlabelled_images == ('images/alone.jpg',)
    assert found.orphan_labels == ('masks/orphan.png',)


def test_other_files_are_counted(tmp_path: Path) -> None:
    write(tmp_path, 'images/{name}.jpg', 'masks/{name}.png')
    for name in ('images/a.heic', 'images/b.HEIC', 'masks/._p0.png', 'images/Thumbs.db'):
        (tmp_path / name).write_bytes(b'?')
    found = find(tmp_path)
    check_masks(found, truths())
    assert found.passed_over == {'.heic': 2, '._*': 1, '.db': 1}


@pytest.mark.parametrize('second', ['images/p0.png', 'images/P0.jpg', 'masks/p0_mask.png'])
def test_two_files_of_one_name_are_refused(tmp_path: Path, second: str) -> None:
    write(tmp_path, 'images/{name}.jpg', 'masks/{name}.png')
    save_picture(tmp_path / second)
    if second.startswith('masks'):  # is no second label: p0.png is the image's own
        assert find(tmp_path).orphan_labels == (second,)
        return
    with pytest.raises(DataError, match=Path(second).name):
        find(tmp_path)


def test_two_labels_with_suffixes_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 'images/{name}.jpg', 'masks/{name}_mask.png')
    save_mask(tmp_path / 'masks' / 'p0_label.png', truth(0))
    with pytest.raises(DataError, match='p0_label'):
        find(tmp_path)


@pytest.mark.parametrize('folder', [False, True])
def test_links_that_lead_out_are_refused(tmp_path: Path, folder: bool) -> None:
    write(tmp_path / 'set', 'images/{name}.jpg', 'masks/{name}.png')
    save_picture(tmp_path / 'elsewhere' / 'secret.jpg')
    target = tmp_path / 'elsewhere' if folder else tmp_path / 'elsewhere' / 'secret.jpg'
    (tmp_path / 'set' / 'images' / ('more' if folder else 'x.jpg')).symlink_to(target)
    with pytest.raises(DataError, match='leads out'):
        find(tmp_path / 'set')


def test_links_within_the_set_are_followed(tmp_path: Path) -> None:
    write(tmp_path, 'photos/{name}.jpg', 'store/{name}.png')
    (tmp_path / 'masks').symlink_to('store')
    (tmp_path / 'photos' / 'loop').symlink_to('..')
    (tmp_path / 'store').rename(tmp_path / '.store')
    (tmp_path / 'masks').unlink()
    (tmp_path / 'masks').symlink_to('.store')
    found = find(tmp_path)
    check_masks(found, truths())
    assert found.passed_over['links to folders above'] == 1


def test_strange_entries_do_no_harm(tmp_path: Path) -> None:
    write(tmp_path, 'images/{name}.jpg', 'masks/{name}.png')
    os.mkfifo(tmp_path / 'images' / 'pipe.jpg')
    (tmp_path / 'images' / 'gone.jpg').symlink_to('nothing.jpg')
    os.close(os.open(os.fsencode(tmp_path / 'images') + b'/\xff\n.jpg', os.O_CREAT))
    check_masks(find(tmp_path), truths())


@pytest.mark.parametrize('make', ['nothing', 'images', 'names', 'no folder', 'file'])
def test_what_is_no_set_is_refused(tmp_path: Path, make: str) -> None:
    root = tmp_path / 'set'
    if make not in ('no folder', 'file'):
        root.mkdir()
    if make == 'file':
        root.write_text('')
    if make in ('images', 'names'):
        save_picture(root / 'images' / 'a.jpg')
    if make == 'names':
        save_mask(root / 'masks' / 'b.png', truth(0))
    with pytest.raises(DataError):
        find(root)


def test_a_single_labelled_image_is_refused(tmp_path: Path) -> None:
    save_picture(tmp_path / 'images' / 'a.jpg')
    save_mask(tmp_path / 'masks' / 'a.png', truth(0))
    with pytest.raises(DataError):
        find(tmp_path)


LEGENDS = {
    'labelmap.txt': '# label:color_rgb:parts:actions\nbackground:0,0,0::\nbox:48,112,32::\n'
    'tri:176,112,32::\n',
    'label_colors.txt': '0 0 0\tbackground\n48 112 32\tbox\n176 112 32\t\ttri\n',
    'class_dict.csv': 'name,r,g,b\r\nbackground,0,0,0\r\nbox,48,112,32\r\ntri,176,112,32\r\n',
    'legend.json': '{"background": [0, 0, 0], "box": "#307020", "tri": [176, 112, 32]}',
}


@pytest.mark.parametrize('legend', LEGENDS)
def test_colours_are_those_of_the_legend(tmp_path: Path, legend: str) -> None:
    write(tmp_path, 'images/{name}.jpg', 'masks/{name}.png', COLOURS)
    (tmp_path / legend).write_bytes(LEGENDS[legend].encode())
    found = find(tmp_path)
    assert found.manifest.classes == CLASSES
    assert found.manifest.colours == COLOURS
    check_masks(found, truths())


def test_a_palette_in_another_order_is_read_by_its_colours(tmp_path: Path) -> None:
    write(tmp_path, 'JPEGImages/{name}.jpg', 'SegmentationClass/{name}.png')
    for number, name in enumerate(NAMES):
        image = Image.fromarray(np.array([2, 0, 1], np.uint8)[truth(number)])
        image.putpalette([*COLOURS[1], *COLOURS[2], *COLOURS[0]])
        image.save(tmp_path / 'SegmentationClass' / f'{name}.png')
    (tmp_path / 'labelmap.txt').write_text(LEGENDS['labelmap.txt'])
    check_masks(find(tmp_path), truths())


def test_numbers_next_to_a_legend_with_colours_stay_numbers(tmp_path: Path) -> None:
    write(tmp_path, 'images/{name}.jpg', 'masks/{name}.png')
    (tmp_path / 'labelmap.txt').write_text(LEGENDS['labelmap.txt'])
    found = find(tmp_path)
    check_masks(found, truths())
    assert (found.manifest.classes, found.manifest.colours) == (CLASSES, COLOURS)


def test_numbers_of_the_legend(tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        save_picture(tmp_path / 'images' / f'{name}.jpg', number)
        labels = np.array([0, 7, 255], np.uint8)[truth(number)]
        save_mask(tmp_path / 'masks' / f'{name}.png', labels)
    (tmp_path / 'classes.txt').write_text('7 box\n255 tri\n0 background\n')
    found = find(tmp_path)
    assert found.manifest.classes == CLASSES
    check_masks(found, truths())


def test_names_of_void_are_no_classes(tmp_path: Path) -> None:
    write(tmp_path, 'images/{name}.jpg', 'masks/{name}.png')
    (tmp_path / 'classes.txt').write_text('void\nbox\ntri\n')
    found = find(tmp_path)
    assert found.manifest.classes == ('box', 'tri')
    shift = np.array([VOID, 0, 1], np.uint8)
    check_masks(found, {name: shift[labels] for name, labels in truths().items()})


@pytest.mark.parametrize('unlabelled', ['background', 'void'])
def test_chosen_classes_are_some_of_the_legend(tmp_path: Path, unlabelled: str) -> None:
    write(tmp_path, 'images/{name}.jpg', 'masks/{name}.png', COLOURS)
    (tmp_path / 'labelmap.txt').write_text(LEGENDS['labelmap.txt'])
    found = find(tmp_path, Options(classes=('tri',), unlabelled=unlabelled))
    if unlabelled == 'void':
        table, classes = [VOID, VOID, 0], ('tri',)
    else:
        table, classes = [0, 0, 1], ('background', 'tri')
    assert found.manifest.classes == classes
    assert found.manifest.colours[-1] == COLOURS[2]
    check_masks(found, {n: np.array(table, np.uint8)[held] for n, held in truths().items()})


def test_a_chosen_class_that_the_legend_lacks_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 'images/{name}.jpg', 'masks/{name}.png')
    (tmp_path / 'classes.txt').write_text('\n'.join(CLASSES))
    with pytest.raises(DataError, match='trii'):
        find(tmp_path, Options(classes=('trii',)))


def test_classes_and_legend_of_the_user(tmp_path: Path) -> None:
    write(tmp_path / 'set', 'images/{name}.jpg', 'masks/{name}.png')
    assert find(tmp_path / 'set', Options(classes=CLASSES)).manifest.coding.classes == 3
    assert find(tmp_path / 'set').manifest.classes == ()
    (tmp_path / 'mine.txt').write_text('\n'.join(CLASSES))
    found = find(tmp_path / 'set', Options(legend=tmp_path / 'mine.txt'))
    assert found.manifest.classes == CLASSES


@pytest.mark.parametrize('kind', ['labelIds', 'labelTrainIds'])
def test_cityscapes(tmp_path: Path, kind: str) -> None:
    # 0 is unlabeled, 7 road, 26 car; as trainIds void, 0 and 13.
    table = np.array([0, 7, 26] if kind == 'labelIds' else [VOID, 0, 13], np.uint8)
    for number, name in enumerate(NAMES):
        place = f'{"train" if number < 6 else "val"}/aachen/{name}'
        save_picture(tmp_path / 'leftImg8bit' / f'{place}_leftImg8bit.png', number)
        for other in ('color', 'instanceIds'):
            save_mask(tmp_path / 'gtFine' / f'{place}_gtFine_{other}.png', truth(number))
        mask = tmp_path / 'gtFine' / f'{place}_gtFine_{kind}.png'
        save_mask(mask, table[truth(number)])
    found = find(tmp_path)
    classes = found.manifest.classes
    assert (len(classes), classes[0], classes[13], classes[18]) == (19, 'road', 'car', 'bicycle')
    assert [len(found.manifest.splits[split]) for split in ('train', 'val')] == [6, 2]
    learned = np.array([VOID, 0, 13], np.uint8)
    check_masks(found, {f'aachen/{name}_leftImg8bit': learned[t] for name, t in truths().items()})


@pytest.mark.parametrize('unlabelled', ['background', 'void'])
def test_ade20k(tmp_path: Path, unlabelled: str) -> None:
    for number, name in enumerate(NAMES):
        split = 'training' if number < 6 else 'validation'
        save_picture(tmp_path / 'images' / split / f'{name}.jpg', number)
        save_mask(tmp_path / 'annotations' / split / f'{name}.png', truth(number))
    (tmp_path / 'objectInfo150.txt').write_text(
        'Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.1\t1\t1\t1\tbox;case\n2\t0.1\t1\t1\t0\ttri\n'
    )
    found = find(tmp_path, Options(unlabelled=unlabelled))
    if unlabelled == 'background':
        assert found.manifest.classes == CLASSES
        check_masks(found, truths())
    else:
        assert found.manifest.classes == ('box', 'tri')
        held = {name: np.where(t, t - 1, VOID).astype(np.uint8) for name, t in truths().items()}
        check_masks(found, held)


def test_camvid_as_published(tmp_path: Path) -> None:
    # Void, Road and Car.
    colours = np.array([(0, 0, 0), (128, 64, 128), (64, 0, 128)])
    for number in range(4):
        name = f'0001TP_00{number}690'
        save_picture(tmp_path / '701_StillsRaw_full' / f'{name}.png', number)
        mask = tmp_path / 'LabeledApproved_full' / f'{name}_L.png'
        save_mask(mask, truth(number), colours.tolist())
    found = find(tmp_path)
    classes = found.manifest.classes
    assert len(classes) == 31
    table = np.array([VOID, classes.index('Road'), classes.index('Car')], np.uint8)
    held = {f'0001TP_00{number}690': table[truth(number)] for number in range(4)}
    check_masks(found, held)


def test_camvid_of_segnet(tmp_path: Path) -> None:
    table = np.array([11, 3, 8], np.uint8)  # Unlabelled, Road, Car
    held = {}
    for number in range(4):
        split, name = 'train' if number < 3 else 'val', f'0001TP_00{number}690'
        save_picture(tmp_path / split / f'{name}.png', number)
        save_mask(tmp_path / f'{split}annot' / f'{name}.png', table[truth(number)])
        line = f'/SegNet/CamVid/{split}/{name}.png /SegNet/CamVid/{split}annot/{name}.png\n'
        with (tmp_path / f'{split}.txt').open('a') as file:
            file.write(line)
        held[name] = np.array([VOID, 3, 8], np.uint8)[truth(number)]
    found = find(tmp_path)
    assert found.manifest.classes[3] == 'Road' and len(found.manifest.classes) == 11
    assert [len(found.manifest.splits[split]) for split in ('train', 'val')] == [3, 1]
    check_masks(found, held)


@pytest.mark.parametrize('unlabelled', ['background', 'void'])
def test_transparent_pixels_are_of_nothing(tmp_path: Path, unlabelled: str) -> None:
    for number, name in enumerate(NAMES):
        save_picture(tmp_path / 'images' / f'{name}.jpg', number)
        labels = truth(number)
        colours = np.array(COLOURS, np.uint8)[labels]
        alpha = np.where(labels, 255, 0).astype(np.uint8)
        (tmp_path / 'masks').mkdir(exist_ok=True)
        Image.fromarray(np.dstack([colours, alpha])).save(tmp_path / 'masks' / f'{name}.png')
    (tmp_path / 'labelmap.txt').write_text(LEGENDS['labelmap.txt'])
    nothing = 0 if unlabelled == 'background' else VOID
    table = np.array([nothing, 1, 2], np.uint8)
    found = find(tmp_path, Options(unlabelled=unlabelled))
    check_masks(found, {name: table[labels] for name, labels in truths().items()})


def test_cvat_export(tmp_path: Path) -> None:
    write(tmp_path, 'JPEGImages/{name}.png', 'SegmentationClass/{name}.png', COLOURS)
    write(tmp_path, 'JPEGImages/{name}.png', 'SegmentationObject/{name}.png', COLOURS)
    (tmp_path / 'labelmap.txt').write_text(LEGENDS['labelmap.txt'])
    (tmp_path / 'ImageSets' / 'Segmentation').mkdir(parents=True)
    (tmp_path / 'ImageSets' / 'Segmentation' / 'default.txt').write_text('\n'.join(NAMES))
    found = find(tmp_path)
    check_masks(found, truths())
    assert found.drawn and len(found.manifest.splits['val']) == 2


def test_trimaps_in_a_folder_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, 'images/{name}.jpg', 'annotations/trimaps/{name}.png')
    check_masks(find(tmp_path), truths())


def test_labelme_voc_export(tmp_path: Path) -> None:
    write(tmp_path, 'JPEGImages/{name}.jpg', 'SegmentationClassPNG/{name}.png')
    write(tmp_path, 'JPEGImages/{name}.jpg', 'SegmentationClassVisualization/{name}.jpg')
    (tmp_path / 'SegmentationClass').mkdir()
    (tmp_path / 'SegmentationClass' / 'p0.npy').write_bytes(b'\x80never loaded')
    (tmp_path / 'class_names.txt').write_text('_background_\nbox\ntri\n')
    found = find(tmp_path)
    assert found.manifest.classes == ('_background_', 'box', 'tri')
    check_masks(found, truths())
    (tmp_path / 'class_names.txt').rename(tmp_path / 'labels.txt')
    (tmp_path / 'labels.txt').write_text('__ignore__\n_background_\nbox\ntri\n')
    assert find(tmp_path).manifest.classes == found.manifest.classes
    check_masks(find(tmp_path), truths())


def test_the_lot_does_not_depend_on_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / 'one', 'images/{name}.jpg', 'masks/{name}.png')
    first = find(tmp_path / 'one').manifest.splits
    for name in reversed(NAMES):
        save_picture(tmp_path / 'two' / 'images' / f'{name}.jpg')
        save_mask(tmp_path / 'two' / 'masks' / f'{name}.png', truth(0))
    assert find(tmp_path / 'two').manifest.splits == first
    others = [find(tmp_path / 'two', Options(seed=seed)).manifest.splits for seed in range(1, 5)]
    assert any(other != first for other in others)


def test_cases(shared: Callable[[str], Path]) -> None:
    for case, image in {
        'suffixes-JPG': 'a00.JPG',
        'suffixes-png': 'a00.png',
        'lists-pairs': 'a00.jpg',
        'lists-with-endings': 'a00.jpg',
        'binary-masks': 'a00.jpg',
    }.items():
        found = find(shared(f'cases/{case}'))
        assert [len(found.manifest.splits[split]) for split in ('train', 'val')] == [6, 2], case
        assert found.manifest.splits['train'][0].image == f'JPEGImages/{image}'
    assert find(shared('cases/lists-none')).drawn
    export = find(shared('cases/labelme-export'))
    assert export.manifest.classes == ('_background_', 'red', 'green')
    assert export.passed_over == {'.npy': 4}
