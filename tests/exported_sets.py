"""A set of eight small pictures in the layout of every tool: what tests train on."""

import base64
import io
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from drawn_sets import CLASSES, COLOURS, NAMES, SIZE, inside, save_mask, save_picture, shapes, truth
from PIL import Image

from fcn.data_layers.images import VOID
from fcn.data_layers.own.known import CITYSCAPES

HEIGHT, WIDTH = SIZE


class Layout(NamedTuple):
    """What writes a set into a folder, the classes that it is read with, the options that it needs,
    its classes' colours, if it has some of its own, and which classes `drawn_sets.CLASSES` are."""

    write: Callable[[Path], None]
    classes: tuple[str, ...]
    options: tuple[str, ...] = ()
    colours: tuple[tuple[int, ...], ...] = ()
    truth: tuple[int, ...] = (0, 1, 2)


def split_of(number: int) -> str:
    """Return the list that a picture is in."""
    return 'train' if number < 6 else 'val'


def masks(
    image: str, mask: str, colours: Any = (), of: Callable[[np.ndarray], Any] = np.asarray
) -> Callable[[Path], None]:
    """Return what writes pictures and masks; paths are patterns of a name and a split."""

    def write(root: Path) -> None:
        for number, name in enumerate(NAMES):
            split = split_of(number)
            save_picture(root / image.format(name=name, split=split), number)
            save_mask(root / mask.format(name=name, split=split), of(truth(number)), colours)

    return write


def with_text(write: Callable[[Path], None], name: str, text: str) -> Callable[[Path], None]:
    """Return what writes a set and a text besides."""

    def both(root: Path) -> None:
        write(root)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)

    return both


def one_json_each(image: str, label: str, make: Callable[[int], Any]) -> Callable[[Path], None]:
    """Return what writes pictures with a file of annotations each."""

    def write(root: Path) -> None:
        for number, name in enumerate(NAMES):
            save_picture(root / image.format(name=name), number)
            path = root / label.format(name=name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(make(number)))

    return write


def coco(runs: bool) -> Callable[[Path], None]:
    """Return what writes images and annotations/instances_SPLIT.json, of polygons or of runs."""

    def write(root: Path) -> None:
        for split in ('train', 'val'):
            numbers = [number for number in range(len(NAMES)) if split_of(number) == split]
            images, annotations = [], []
            for number in numbers:
                file = f'{NAMES[number]}.jpg'
                save_picture(root / 'images' / file, number)
                images.append({'id': number, 'file_name': file, 'height': HEIGHT, 'width': WIDTH})
                for kind, corners in shapes(number):
                    segmentation: Any = [[part for corner in corners for part in corner]]
                    if runs:
                        segmentation = {'counts': lengths(inside(corners)), 'size': SIZE}
                    annotations.append(
                        {
                            'id': len(annotations) + 100 * number,
                            'image_id': number,
                            'category_id': 5 * kind,
                            'iscrowd': 0,
                            'segmentation': segmentation,
                        }
                    )
            categories = [{'id': 5 * kind, 'name': CLASSES[kind]} for kind in (1, 2)]
            content = dict(images=images, annotations=annotations, categories=categories)
            path = root / 'annotations' / f'instances_{split}.json'
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(content))

    return write


def lengths(mask: np.ndarray) -> list[int]:
    """Return COCO's run lengths of a mask, down its columns; the first are of 0."""
    edges = np.flatnonzero(np.diff(mask.ravel(order='F').astype(int), prepend=0)).tolist()
    return np.diff([0, *edges, mask.size]).tolist()


def labelme(number: int) -> Any:
    """Return a picture's annotations as LabelMe has them."""
    held = [
        {'label': CLASSES[kind], 'points': corners, 'shape_type': 'polygon'}
        for kind, corners in shapes(number)
    ]
    size = {'imageHeight': HEIGHT, 'imageWidth': WIDTH}
    return {'version': '5.2.1', 'shapes': held, 'imagePath': f'{NAMES[number]}.jpg', **size}


def supervisely(number: int) -> Any:
    """Return a picture's annotations as Supervisely has them: bitmaps."""
    objects = []
    for kind, corners in shapes(number):
        buffer = io.BytesIO()
        Image.fromarray(inside(corners)).save(buffer, 'PNG')
        data = base64.b64encode(zlib.compress(buffer.getvalue())).decode()
        bitmap = {'data': data, 'origin': [0, 0]}
        objects.append({'classTitle': CLASSES[kind], 'geometryType': 'bitmap', 'bitmap': bitmap})
    return {'size': {'height': HEIGHT, 'width': WIDTH}, 'objects': objects}


def yolo(root: Path) -> None:
    """Write images, labels of polygons, and the names of classes."""
    for number, name in enumerate(NAMES):
        save_picture(root / 'images' / f'{name}.jpg', number)
        lines = [
            f'{kind - 1} ' + ' '.join(f'{x / WIDTH:.6f} {y / HEIGHT:.6f}' for x, y in corners)
            for kind, corners in shapes(number)
        ]
        path = root / 'labels' / f'{name}.txt'
        path.parent.mkdir(exist_ok=True)
        path.write_text('\n'.join(lines) + '\n')
    (root / 'classes.txt').write_text('box\ntri\n')


def values(*of_classes: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return what turns classes into the values that masks have for them."""
    return lambda labels: np.array(of_classes, np.uint8)[labels]


def rows(form: str, colours: Sequence[Sequence[int]] = COLOURS) -> str:
    """Return a legend: a line of a class's name and colour each."""
    pairs = zip(CLASSES, colours, strict=True)
    return '\n'.join(form.format(name, *colour) for name, colour in pairs) + '\n'


NUMBERED = 'class 0', 'class 1', 'class 2'
META = json.dumps(
    {
        'classes': [
            {'title': CLASSES[kind], 'shape': 'bitmap', 'color': '#{:02X}{:02X}{:02X}'.format(*rgb)}
            for kind, rgb in enumerate(COLOURS)
            if kind
        ]
    }
)
OBJECTS = 'Idx\tRatio\tTrain\tVal\tName\n1\t.5\t1\t1\tbox, case\n2\t.5\t1\t1\ttri\n'
SPLITS = 'images/{split}/{name}.jpg', 'masks/{split}/{name}.png'
LAYOUTS = {
    'numbers': Layout(masks('images/{name}.jpg', 'masks/{name}_mask.png'), NUMBERED),
    'colours': Layout(
        with_text(masks(*SPLITS, COLOURS), 'legend.csv', rows('{},{},{},{}')), CLASSES, (), COLOURS
    ),
    'one object': Layout(
        masks('images/{name}.png', 'masks/{name}.png', of=values(0, 255, 255)),
        ('background', 'foreground'),
        ('--foreground', '255'),
        truth=(0, 1, 1),
    ),
    'voc': Layout(masks('JPEGImages/{name}.JPG', 'SegmentationClass/{name}.png'), NUMBERED),
    'cvat': Layout(
        with_text(
            masks('JPEGImages/{name}.png', 'SegmentationClass/{name}.png', COLOURS),
            'labelmap.txt',
            '# label:color_rgb:parts:actions\n' + rows('{}:{},{},{}::'),
        ),
        CLASSES,
        (),
        COLOURS,
    ),
    'coco polygons': Layout(coco(runs=False), CLASSES),
    'coco runs': Layout(coco(runs=True), CLASSES),
    'labelme': Layout(
        one_json_each('{name}.jpg', '{name}.json', labelme), CLASSES, truth=()
    ),  # outlines, too
    'cityscapes': Layout(
        masks(
            'leftImg8bit/{split}/town/{name}_leftImg8bit.png',
            'gtFine/{split}/town/{name}_gtFine_labelIds.png',
            of=values(7, 26, 0),
        ),
        CITYSCAPES.names,
        colours=CITYSCAPES.colours or (),
        truth=(0, 13, VOID),
    ),
    'camvid': Layout(
        with_text(
            masks('{split}/{name}.png', '{split}_labels/{name}_L.png', COLOURS),
            'class_dict.csv',
            'name,r,g,b\n' + rows('{},{},{},{}'),
        ),
        CLASSES,
        (),
        COLOURS,
    ),
    'ade20k': Layout(
        with_text(
            masks(
                'images/{split}/{name}.jpg', 'annotations/{split}/{name}.png', of=values(0, 1, 2)
            ),
            'objectInfo150.txt',
            OBJECTS,
        ),
        ('background', 'box', 'tri'),
    ),
    'supervisely': Layout(
        with_text(
            one_json_each('ds/img/{name}.jpg', 'ds/ann/{name}.jpg.json', supervisely),
            'meta.json',
            META,
        ),
        CLASSES,
        (),
        COLOURS,
    ),
    'yolo': Layout(yolo, CLASSES),
}
