"""Exports of annotation tools: COCO, LabelMe, YOLO and Supervisely."""

import base64
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_sets import (
    CLASSES,
    COLOURS,
    NAMES,
    SIZE,
    check_shapes,
    inside,
    save_picture,
    shapes,
    truths,
)
from PIL import Image, ImageDraw

from fcn.data_layers.images import VOID
from fcn.data_layers.own.annotations import read_annotation
from fcn.data_layers.own.layouts import Options, find
from fcn.data_layers.own.manifest import read_manifest
from fcn.errors import DataError

HEIGHT, WIDTH = SIZE


def write_json(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, ensure_ascii=False), 'utf-8')


def runs(mask: np.ndarray) -> list[int]:
    """Return COCO's run lengths of a mask, which begin with those of 0."""
    flat = np.concatenate([[0], mask.ravel(order='F').astype(int), [2]])
    places = np.flatnonzero(np.diff(flat))
    return np.diff([0, *places]).tolist()


def flat(corners: list[tuple[float, float]]) -> list[float]:
    return [number for corner in corners for number in corner]


def coco_json(numbers: range, segment: Callable[[list[Any]], Any] = lambda c: [flat(c)]) -> Any:
    """Return a COCO file of pictures; `segment` makes the segmentation of corners."""
    annotations = [
        {'image_id': 10 + number, 'category_id': 5 * kind, 'segmentation': segment(corners)}
        for number in numbers
        for kind, corners in shapes(number)
    ]
    return {
        'info': {},
        'images': [
            {'id': 10 + n, 'file_name': f'{NAMES[n]}.jpg', 'height': HEIGHT, 'width': WIDTH}
            for n in numbers
        ],
        'annotations': [{'id': n, 'iscrowd': 0, **one} for n, one in enumerate(annotations)],
        'categories': [{'id': 5, 'name': 'box'}, {'id': 10, 'name': 'tri'}],
    }


def save_pictures(root: Path, place: str = 'images/{name}.jpg') -> None:
    for number, name in enumerate(NAMES):
        split = 'train' if number < 6 else 'val'
        save_picture(root / place.format(name=name, split=split), number)


@pytest.mark.parametrize(
    'images, annotations',
    [
        ('images/{name}.jpg', 'annotations/instances_{split}.json'),
        ('{split}2017/{name}.jpg', 'annotations/instances_{split}2017.json'),
        ('{split}/{name}.jpg', '{split}/_annotations.coco.json'),
        ('data/{name}.jpg', '{split}.json'),
    ],
)
def test_coco_of_splits(tmp_path: Path, images: str, annotations: str) -> None:
    save_pictures(tmp_path, images)
    for split, numbers in (('train', range(6)), ('val', range(6, 8))):
        write_json(tmp_path / annotations.format(split=split), coco_json(numbers))
    write_json(tmp_path / 'annotations/captions_train2017.json', {'images': [], 'annotations': []})
    if '_annotations' in annotations or 'data/' in images:
        (tmp_path / 'annotations/captions_train2017.json').unlink()
    found = find(tmp_path)
    check_shapes(found, truths())
    assert found.manifest.classes == CLASSES
    assert [e.name for e in found.manifest.splits['val']] == NAMES[6:]
    found.manifest.write(tmp_path / 'kept.json')
    assert read_manifest(tmp_path / 'kept.json') == found.manifest


@pytest.mark.parametrize('compressed', [False, True])
def test_coco_run_lengths(tmp_path: Path, compressed: bool) -> None:
    def segment(corners: list[Any]) -> Any:
        mask = inside(corners)
        if not compressed:
            return {'counts': runs(mask), 'size': [*SIZE]}
        masks = pytest.importorskip('pycocotools.mask')
        held = masks.encode(np.asfortranarray(mask.astype(np.uint8)))
        return {'counts': held['counts'].decode(), 'size': [*SIZE]}

    save_pictures(tmp_path)
    write_json(tmp_path / 'annotations.json', coco_json(range(8), segment))
    found = find(tmp_path)
    check_shapes(found, truths())
    assert found.drawn and len(found.manifest.splits['val']) == 2


def test_coco_crowds_are_void_below_objects(tmp_path: Path) -> None:
    save_pictures(tmp_path)
    data = coco_json(range(8))
    crowd = np.zeros(SIZE, bool)
    crowd[:12] = True
    data['annotations'].append(
        {
            'id': 99,
            'image_id': 10,
            'category_id': 5,
            'iscrowd': 1,
            'segmentation': {'counts': runs(crowd), 'size': [*SIZE]},
        }
    )
    write_json(tmp_path / 'coco.json', data)
    expected = truths()
    expected['p0'] = np.where(crowd & (expected['p0'] == 0), VOID, expected['p0'])
    check_shapes(find(tmp_path), expected)


def test_coco_of_several_parts_and_without_any(tmp_path: Path) -> None:
    save_pictures(tmp_path)
    data = coco_json(range(8))
    parts = [[(1, 1), (9, 1), (9, 9), (1, 9)], [(5, 5), (20, 5), (20, 12), (5, 12)]]
    data['annotations'] = [one for one in data['annotations'] if one['image_id'] not in (10, 11)]
    data['annotations'].append(
        {'id': 98, 'image_id': 10, 'category_id': 5, 'segmentation': [flat(p) for p in parts]}
    )
    write_json(tmp_path / 'coco.json', data)
    both = (inside(parts[0]) | inside(parts[1])).astype(np.uint8)
    nothing = np.zeros(SIZE, np.uint8)
    check_shapes(find(tmp_path), {**truths(), 'p0': both, 'p1': nothing})


def test_roboflows_common_category_is_no_class(tmp_path: Path) -> None:
    save_pictures(tmp_path)
    data = coco_json(range(8))
    for one in data['categories']:
        one['supercategory'] = 'things'
    data['categories'].insert(0, {'id': 0, 'name': 'things', 'supercategory': 'none'})
    write_json(tmp_path / 'coco.json', data)
    assert find(tmp_path).manifest.classes == CLASSES


def test_coco_without_a_picture_or_an_annotation(tmp_path: Path) -> None:
    save_pictures(tmp_path)
    write_json(tmp_path / 'coco.json', coco_json(range(1, 8)))
    (tmp_path / 'images' / 'p7.jpg').unlink()
    found = find(tmp_path)
    assert found.unlabelled_images == ('images/p0.jpg',)
    assert len(found.orphan_labels) == 1 and 'p7.jpg' in found.orphan_labels[0]


@pytest.mark.parametrize('unlabelled', ['background', 'void'])
def test_pixels_of_nothing(tmp_path: Path, unlabelled: str) -> None:
    save_pictures(tmp_path)
    write_json(tmp_path / 'coco.json', coco_json(range(8)))
    found = find(tmp_path, Options(unlabelled=unlabelled))
    if unlabelled == 'background':
        check_shapes(found, truths())
    else:
        assert found.manifest.classes == ('box', 'tri')
        check_shapes(
            found, {n: np.array([VOID, 0, 1], np.uint8)[held] for n, held in truths().items()}
        )


def test_what_is_not_chosen_is_unlabelled_and_noted(tmp_path: Path) -> None:
    save_pictures(tmp_path)
    write_json(tmp_path / 'coco.json', coco_json(range(8)))
    found = find(tmp_path, Options(classes=('tri',)))
    assert found.manifest.classes == ('background', 'tri')
    assert any('box (8 shapes)' in note for note in found.manifest.notes)
    table = np.array([0, 0, 1], np.uint8)
    check_shapes(found, {name: table[held] for name, held in truths().items()})
    with pytest.raises(DataError, match='trii'):
        find(tmp_path, Options(classes=('trii',)))


def change(data: Any, place: str, value: Any) -> None:
    """Put a value at a place such as 'annotations.0.segmentation'."""
    *steps, last = [int(step) if step.isdigit() else step for step in place.split('.')]
    for step in steps:
        data = data[step]
    data[last] = value


@pytest.mark.parametrize(
    'place, value',
    [
        ('images', {}),
        ('images.0', 7),
        ('images.0.id', None),
        ('images.0.id', 11),
        ('images.0.file_name', 8),
        ('images.0.height', HEIGHT + 1),
        ('annotations', None),
        ('annotations.0', []),
        ('annotations.0.image_id', 99),
        ('annotations.0.image_id', [1]),
        ('annotations.0.category_id', 99),
        ('annotations.0.category_id', {}),
        ('annotations.0.segmentation', []),
        ('annotations.0.segmentation', None),
        ('annotations.0.segmentation', 'x'),
        ('annotations.0.segmentation', [[1, 2, 3]]),
        ('annotations.0.segmentation', [['a', 'b', 'c', 'd', 'e', 'f']]),
        ('annotations.0.segmentation', [[1, 2, 1e300, 4, 5, 6]]),
        ('annotations.0.segmentation', [[1, 2, float('nan'), 4, 5, 6]]),
        ('annotations.0.segmentation', {'counts': 'zzz', 'size': [*SIZE]}),
        ('annotations.0.segmentation', {'counts': [HEIGHT * WIDTH], 'size': [WIDTH, HEIGHT]}),
        ('annotations.0.segmentation', {'counts': [1], 'size': [10**9, 10**9]}),
        ('annotations.0.segmentation', {}),
        ('categories', []),
        ('categories.0.name', ''),
        ('categories.0.name', 'a\x1b[2J'),
    ],
)
def test_damaged_coco_is_refused_in_a_line(tmp_path: Path, place: str, value: Any) -> None:
    save_pictures(tmp_path)
    data = coco_json(range(8))
    change(data, place, value)
    write_json(tmp_path / 'coco.json', data)
    refused(tmp_path)


def refused(root: Path) -> None:
    """Assert that a set, or one of its labels, is refused in one line."""
    with pytest.raises(DataError) as caught:
        found = find(root)
        for example in found.manifest.examples():
            read_annotation(found.manifest, example, SIZE)
    text = str(caught.value)
    assert text.isprintable() and len(text) < 700 and str(root) in text


def test_a_picture_annotated_twice_is_refused(tmp_path: Path) -> None:
    save_pictures(tmp_path)
    for name in ('a', 'b'):
        write_json(tmp_path / f'{name}.json', coco_json(range(8)))
    refused(tmp_path)


def labelme_json(number: int, **more: Any) -> Any:
    """Return a LabelMe file, whose boxes are rectangles."""
    held = []
    for kind, corners in shapes(number):
        points = [corners[0], corners[2]] if kind == 1 else corners
        shape_type = 'rectangle' if kind == 1 else 'polygon'
        held.append({'label': CLASSES[kind], 'points': points, 'shape_type': shape_type})
    return {
        'version': '5.2.1',
        'flags': {},
        'shapes': held,
        'imagePath': f'{NAMES[number]}.jpg',
        'imageData': None,
        'imageHeight': HEIGHT,
        'imageWidth': WIDTH,
        **more,
    }


def with_outlines(number: int) -> np.ndarray:
    """Return the classes of a picture's pixels, H×W uint8, as LabelMe's own export draws them."""
    canvas = Image.new('L', (WIDTH, HEIGHT))
    for kind, corners in shapes(number):
        ImageDraw.Draw(canvas).polygon(corners, outline=kind, fill=kind)
    return np.array(canvas)


@pytest.mark.parametrize(
    'images, labels',
    [
        ('{name}.jpg', '{name}.json'),
        ('images/{name}.jpg', 'labels/{name}.json'),
        ('{split}/images/{name}.jpg', '{split}/annotations/{name}.json'),
    ],
)
def test_labelme(tmp_path: Path, images: str, labels: str) -> None:
    save_pictures(tmp_path, images)
    for number, name in enumerate(NAMES):
        split = 'train' if number < 6 else 'val'
        write_json(tmp_path / labels.format(name=name, split=split), labelme_json(number))
    found = find(tmp_path)
    assert found.manifest.classes == CLASSES
    held = {name: with_outlines(number) for number, name in enumerate(NAMES)}
    check_shapes(found, held)
    box = shapes(0)[0][1]
    assert held['p0'][2, 3] == held['p0'][2, int(box[2][0])] == 1  # both corners are in it
    for name, labels_of in held.items():  # and the outlines are all that is more
        assert (labels_of != truths()[name]).mean() < 0.08


def test_a_rare_class_is_in_both_splits(tmp_path: Path) -> None:
    save_pictures(tmp_path)
    for seed in range(5):
        for number, name in enumerate(NAMES):
            data = labelme_json(number)
            if number not in (seed, 7):
                data['shapes'] = [one for one in data['shapes'] if one['label'] == 'box']
            write_json(tmp_path / 'images' / f'{name}.json', data)
        splits = find(tmp_path, Options(seed=seed)).manifest.splits
        rare = {NAMES[seed], 'p7'}
        assert all(rare & {example.name for example in split} for split in splits.values())


def test_yolo_of_cvat(tmp_path: Path) -> None:
    pytest.importorskip('yaml')
    save_pictures(tmp_path, 'images/train/{name}.jpg')
    write_yolo(tmp_path, 'labels/train/{name}.txt')
    (tmp_path / 'data.yaml').write_text('names:\n  0: box\n  1: tri\npath: .\ntrain: train.txt\n')
    lines = [f'data/images/train/{name}.jpg\n' for name in NAMES[:6]]
    (tmp_path / 'train.txt').write_text(''.join(lines))
    found = find(tmp_path)
    check_shapes(found, {name: truths()[name] for name in NAMES[:6]})
    assert any('p6' in note for note in found.manifest.notes)


def test_coco_of_label_studio(tmp_path: Path) -> None:
    save_pictures(tmp_path)
    data = coco_json(range(8))
    for one in data['images']:
        one['file_name'] = f'..\\..\\media\\upload\\1\\{one["file_name"]}'
    write_json(tmp_path / 'result.json', data)
    check_shapes(find(tmp_path), truths())


def test_labelme_of_other_kinds(tmp_path: Path) -> None:
    save_pictures(tmp_path)
    mask = np.zeros((4, 6), np.uint8)
    mask[1:3] = 255
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, 'PNG')
    for number, name in enumerate(NAMES):
        data = labelme_json(number)
        data['shapes'] = [
            {'label': 'Scheibe', 'points': [[20, 15], [26, 15]], 'shape_type': 'circle'},
            {'label': 'x', 'points': [[1, 1], [5, 5]], 'shape_type': 'linestrip'},
            {'label': 'x', 'points': [[1, 1]], 'shape_type': 'point'},
            {
                'label': '__ignore__',
                'points': [[30, 4], [36, 8]],
                'shape_type': 'mask',
                'mask': base64.b64encode(buffer.getvalue()).decode(),
            },
        ]
        write_json(tmp_path / 'images' / f'{name}.json', data)
    found = find(tmp_path)
    assert found.manifest.classes == ('background', 'Scheibe')
    assert any('8 linestrip' in note and '8 point' in note for note in found.manifest.notes)
    labels = read_annotation(found.manifest, found.manifest.examples()[0], SIZE)
    assert labels[15, 20] == 1 and labels[0, 0] == 0
    assert (labels[5:7, 30:36] == VOID).all() and (labels == VOID).sum() == 12


def test_labelme_with_the_names_of_classes(tmp_path: Path) -> None:
    save_pictures(tmp_path)
    for number, name in enumerate(NAMES):
        write_json(tmp_path / 'images' / f'{name}.json', labelme_json(number))
    (tmp_path / 'labels.txt').write_text('__ignore__\n_background_\ntri\nbox\n')
    manifest = find(tmp_path).manifest
    assert manifest.classes == ('_background_', 'tri', 'box')
    (tmp_path / 'labels.txt').write_text('_background_\ntri\n')
    with pytest.raises(DataError, match="8 shapes are of 'box'"):
        find(tmp_path)


@pytest.mark.parametrize(
    'place, value',
    [
        ('shapes', {}),
        ('shapes.0', None),
        ('shapes.0.label', 3),
        ('shapes.0.label', ''),
        ('shapes.0.points', None),
        ('shapes.0.points', [[1, 2]]),  # of a rectangle
        ('shapes.0.points', [[1, 2], [3]]),
        ('shapes.0.points', [[1, 2], [float('inf'), 1]]),
        ('shapes.0.shape_type', 'spiral'),
        ('shapes.0.shape_type', []),
        ('shapes.0.shape_type', 'mask'),
        ('imageHeight', HEIGHT * 2),
        ('imagePath', '..\\images\\p5.jpg'),
    ],
)
def test_damaged_labelme_is_refused_in_a_line(tmp_path: Path, place: str, value: Any) -> None:
    save_pictures(tmp_path)
    for number, name in enumerate(NAMES):
        data = labelme_json(number)
        if number == 3:
            change(data, place, value)
        write_json(tmp_path / 'images' / f'{name}.json', data)
    refused(tmp_path)


def write_yolo(root: Path, labels: str) -> None:
    for number, name in enumerate(NAMES):
        path = root / labels.format(name=name, split='train' if number < 6 else 'val')
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            ' '.join([str(kind - 1), *(f'{x / WIDTH:.6f} {y / HEIGHT:.6f}' for x, y in corners)])
            for kind, corners in shapes(number)
        ]
        path.write_text('\n'.join(lines) + '\n')


@pytest.mark.parametrize(
    'images, labels, names',
    [
        ('images/{name}.jpg', 'labels/{name}.txt', 'classes.txt'),
        ('images/{name}.jpg', 'labels/{name}.txt', 'labels/classes.txt'),
        ('images/{split}/{name}.jpg', 'labels/{split}/{name}.txt', 'data.yaml'),
        ('{split}/images/{name}.jpg', '{split}/labels/{name}.txt', 'dataset.yaml'),
        ('{name}.jpg', '{name}.txt', 'classes.txt'),
    ],
)
def test_yolo(tmp_path: Path, images: str, labels: str, names: str) -> None:
    save_pictures(tmp_path, images)
    write_yolo(tmp_path, labels)
    if names.endswith('.yaml'):
        pytest.importorskip('yaml')
        (tmp_path / names).write_text('train: images/train\nnc: 2\nnames: {0: box, 1: tri}\n')
    else:
        (tmp_path / names).write_text('box\ntri\n')
    found = find(tmp_path)
    assert found.manifest.classes == CLASSES
    check_shapes(found, truths())
    if 'split' in images:
        assert [e.name for e in found.manifest.splits['val']] == NAMES[6:]


def test_yolo_pictures_of_nothing(tmp_path: Path) -> None:
    save_pictures(tmp_path)
    write_yolo(tmp_path, 'labels/{name}.txt')
    (tmp_path / 'labels' / 'p0.txt').write_text('')
    (tmp_path / 'labels' / 'p1.txt').unlink()
    found = find(tmp_path, Options(classes=('box', 'tri')))
    assert found.unlabelled_images == ('images/p1.jpg',)
    expected = {**truths(), 'p0': np.zeros(SIZE, np.uint8)}
    del expected['p1']
    check_shapes(found, expected)


@pytest.mark.parametrize(
    'line',
    [
        '0 0.5 0.5 0.2 0.2',
        '0 0.1 0.1 0.2 0.2 0.3',
        '2 0.1 0.1 0.2 0.2 0.3 0.3',
        '-1 0.1 0.1 0.2 0.2 0.3 0.3',
        '0.5 0.1 0.1 0.2 0.2 0.3 0.3',
        '² 0.1 0.1 0.2 0.2 0.3 0.3',
        '0 0.1 0.1 0.2 0.2 nan 0.3',
        '0 0.1 0.1 0.2 0.2 1e999 0.3',
        '0 10 10 20 10 20 20',
        '0 a b c d e f',
    ],
)
def test_damaged_yolo_is_refused_in_a_line(tmp_path: Path, line: str) -> None:
    save_pictures(tmp_path)
    write_yolo(tmp_path, 'labels/{name}.txt')
    (tmp_path / 'classes.txt').write_text('box\ntri')
    with (tmp_path / 'labels' / 'p4.txt').open('a') as file:
        file.write(line)
    refused(tmp_path)


def test_yolo_without_names_is_refused(tmp_path: Path) -> None:
    save_pictures(tmp_path)
    write_yolo(tmp_path, 'labels/{name}.txt')
    refused(tmp_path)


def supervisely_json(number: int) -> Any:
    """Return a Supervisely file, of bitmaps."""
    objects = []
    for kind, corners in shapes(number):
        mask = inside(corners)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        buffer = io.BytesIO()
        Image.fromarray(part).save(buffer, 'PNG')
        data = base64.b64encode(zlib.compress(buffer.getvalue())).decode()
        held = {'data': data, 'origin': [int(columns[0]), int(rows[0])]}
        objects.append({'classTitle': CLASSES[kind], 'geometryType': 'bitmap', 'bitmap': held})
    return {'description': '', 'size': {'height': HEIGHT, 'width': WIDTH}, 'objects': objects}


def write_supervisely(root: Path, change_of: Callable[[Any], None] = lambda data: None) -> None:
    for number, name in enumerate(NAMES):
        split = 'train' if number < 6 else 'val'
        save_picture(root / split / 'img' / f'{name}.jpg', number)
        data = supervisely_json(number)
        if number == 2:
            change_of(data)
        write_json(root / split / 'ann' / f'{name}.jpg.json', data)
    classes = [
        {'title': name, 'shape': 'bitmap', 'color': '#{:02X}{:02X}{:02X}'.format(*colour)}
        for name, colour in zip(CLASSES[1:], COLOURS[1:], strict=True)
    ]
    write_json(root / 'meta.json', {'classes': classes, 'tags': []})


def test_supervisely(tmp_path: Path) -> None:
    write_supervisely(tmp_path)
    found = find(tmp_path)
    assert (found.manifest.classes, found.manifest.colours) == (CLASSES, COLOURS)
    assert [e.name for e in found.manifest.splits['val']] == NAMES[6:]
    check_shapes(found, truths())
    void = find(tmp_path, Options(unlabelled='void'))
    shift = np.array([VOID, 0, 1], np.uint8)
    check_shapes(void, {name: shift[held] for name, held in truths().items()})


def test_supervisely_polygons_with_holes(tmp_path: Path) -> None:
    def with_hole(data: Any) -> None:
        points = {
            'exterior': [[2, 2], [30, 2], [30, 20], [2, 20]],
            'interior': [[[5, 5], [10, 5], [10, 10], [5, 10]]],
        }
        polygon = {'classTitle': 'box', 'geometryType': 'polygon', 'points': points}
        line = {'classTitle': 'tri', 'geometryType': 'line', 'points': points}
        data['objects'] = [polygon, line]

    write_supervisely(tmp_path, with_hole)
    expected = np.zeros(SIZE, np.uint8)
    expected[2:21, 2:31] = 1
    expected[5:11, 5:11] = 0
    check_shapes(find(tmp_path), {**truths(), 'p2': expected})


BOMB = base64.b64encode(zlib.compress(b'\0' * 100_000_000)).decode()


@pytest.mark.parametrize(
    'place, value',
    [
        ('size.height', HEIGHT - 1),
        ('objects', None),
        ('objects.0', 'x'),
        ('objects.0.classTitle', 'unknown'),
        ('objects.0.classTitle', None),
        ('objects.0.geometryType', 'polygon'),
        ('objects.0.geometryType', []),
        ('objects.0.geometryType', 'ball'),
        ('objects.0.bitmap', None),
        ('objects.0.bitmap.data', None),
        ('objects.0.bitmap.data', 'not base64 é'),
        ('objects.0.bitmap.data', base64.b64encode(b'not zlib').decode()),
        ('objects.0.bitmap.data', base64.b64encode(zlib.compress(b'not PNG')).decode()),
        ('objects.0.bitmap.data', BOMB),
        ('objects.0.bitmap.origin', [1]),
        ('objects.0.bitmap.origin', [1, float('inf')]),
    ],
)
def test_damaged_supervisely_is_refused_in_a_line(tmp_path: Path, place: str, value: Any) -> None:
    write_supervisely(tmp_path, lambda data: change(data, place, value))
    refused(tmp_path)


@pytest.mark.parametrize('meta', ['{}', '[]', '{"classes": [{}]}', '{"classes": [7]}', '{'])
def test_damaged_meta_is_refused_in_a_line(tmp_path: Path, meta: str) -> None:
    write_supervisely(tmp_path)
    (tmp_path / 'meta.json').write_text(meta)
    refused(tmp_path)


@pytest.mark.parametrize('content', [b'', b'{"shapes": [', b'\xff"shapes"', b'["shapes"' * 100_000])
def test_damaged_json_is_refused_in_a_line(tmp_path: Path, content: bytes) -> None:
    save_pictures(tmp_path)
    for number, name in enumerate(NAMES):
        write_json(tmp_path / 'images' / f'{name}.json', labelme_json(number))
    (tmp_path / 'images' / 'p3.json').write_bytes(content)
    if content:
        refused(tmp_path)
    else:
        assert find(tmp_path).unlabelled_images == ('images/p3.jpg',)
