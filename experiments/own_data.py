"""Writes results/own-data.md: a set of one's own, exported by two tools, to a trained net.

    python -m experiments.own_data --data DIR --weights FILE     a VOC folder, GoogLeNet's weights

The photographs of a VOC folder get three classes of their own: animal, person and other. They are
exported as COCO JSON and as masks in colours with a legend. Both are learned by the one command
that a user types; the first iterations have to give the same bits.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

import fcn
from benchmarks.machine import machine
from fcn.cli import Parser, folder_for_caffe, integer, run
from fcn.commands import check
from fcn.data_layers import VOC, VOID
from fcn.engine import versions
from fcn.errors import FCNError
from fcn.io import write_text
from fcn.metrics import METRICS
from fcn.progress import TrainingBar
from fcn.solvers import Run
from fcn.surgery import read_weights
from fcn.text import markdown_table

from .runs import minutes
from .voc_googlenet import draw_overlays

NET = 'voc-fcn-googlenet'
CLASSES = 'other', 'animal', 'person'
COLOURS = (60, 60, 60), (230, 120, 20), (40, 110, 220)
VOID_COLOUR = 224, 224, 192
ANIMALS = 'bird', 'cat', 'cow', 'dog', 'horse', 'sheep'
SAME = 2  # iterations whose bits are compared
PHOTOS = 6
SPLITS = {'train': 'train', 'val': 'seg11valid'}


def three_classes(label: np.ndarray) -> np.ndarray:
    """Return the classes of VOC's label: H×W uint8, with its void."""
    names = VOC.labels['label']
    table = np.zeros(256, np.uint8)
    table[[names.index(animal) for animal in ANIMALS]] = CLASSES.index('animal')
    table[names.index('person')] = CLASSES.index('person')
    table[VOID] = VOID
    return table[label]


def run_lengths(mask: np.ndarray) -> list[int]:
    """Return a mask's runs by columns, zeros first, as COCO's uncompressed RLE has them."""
    flat = np.concatenate([[False], mask.ravel(order='F'), [False]])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], ends, [mask.size]])).tolist()


class Exports:
    """One set in the forms of two tools, in `folder`/coco and `folder`/masks."""

    def __init__(self, folder: Path) -> None:
        self.coco, self.masks = folder / 'coco', folder / 'masks'
        self.masks.mkdir(parents=True, exist_ok=True)
        rows = [*zip(CLASSES, COLOURS, strict=True), ('void', VOID_COLOUR)]
        lines = [f'{name},{",".join(map(str, colour))}\n' for name, colour in rows]
        (self.masks / 'legend.csv').write_text(''.join(lines))
        self._palette = np.zeros((256, 3), np.uint8)
        self._palette[: len(COLOURS)], self._palette[VOID] = COLOURS, VOID_COLOUR

    def add(self, source: VOC, split: str) -> None:
        """Export the images of a split."""
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for folder in (
            self.coco / split,
            self.masks / 'images' / split,
            self.masks / 'masks' / split,
        ):
            folder.mkdir(parents=True)
        for number, name in enumerate(tqdm(source.names, desc=split, unit='image')):
            photo, label = source.path('data', name), three_classes(source.label(name))
            for folder in (self.coco / split, self.masks / 'images' / split):
                (folder / photo.name).write_bytes(photo.read_bytes())
            painted = Image.fromarray(self._palette[label])
            painted.save(self.masks / 'masks' / split / f'{name}.png')
            height, width = label.shape
            images.append({'id': number, 'file_name': photo.name, 'height': height, 'width': width})
            for category in (1, 2, VOID):
                mask = label == category
                if mask.any():
                    annotations.append(
                        {
                            'id': len(annotations) + 1,
                            'image_id': number,
                            'category_id': 1 if category == VOID else category,
                            'iscrowd': int(category == VOID),
                            'area': int(mask.sum()),
                            'segmentation': {'size': [height, width], 'counts': run_lengths(mask)},
                        }
                    )
        categories = [{'id': number, 'name': CLASSES[number]} for number in (1, 2)]
        content = {'images': images, 'annotations': annotations, 'categories': categories}
        file = self.coco / 'annotations' / f'instances_{split}.json'
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))


def train(data: Path, args: argparse.Namespace, runs: Path, iterations: int) -> fcn.TrainingResult:
    """Learn a set as the command in the page does."""
    with TrainingBar(data.name) as progress:
        return fcn.train(
            None,
            data=data,
            runs=runs,
            weights=str(args.weights),
            iterations=iterations,
            val_every=max(1, iterations // 3),
            val_images=60,
            gpu=-1,
            progress=progress,
        )


def same_bits(one: fcn.TrainingResult, other: fcn.TrainingResult) -> int:
    """Return how many layers two runs ended with, in equal bits. Raises FCNError if one differs."""
    layers = [dict(read_weights(_newest(result.folder))) for result in (one, other)]
    for name, blobs in layers[0].items():
        if not all(map(np.array_equal, blobs, layers[1][name])):
            raise FCNError(f'{name}: differs between {one.folder} and {other.folder}')
    return len(layers[0])


def _newest(folder: Path) -> Path:
    return max(folder.glob('snapshots/*/*.caffemodel'), key=lambda path: path.stat().st_mtime)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__, prog='python -m experiments.own_data')
    add = parser.add_argument
    add('--data', type=Path, required=True, metavar='DIR', help='a folder in the layout of VOC')
    add('--weights', type=Path, required=True, metavar='FILE', help='ILSVRC weights of GoogLeNet')
    add('--iterations', type=integer(1), default=900, metavar='N', help='default: 900')
    add('--runs', type=folder_for_caffe, default=Path('runs/own-data'), metavar='DIR')
    add('--out', type=Path, default=Path('results'), metavar='DIR')
    return parser.parse_args(arguments)


def page(args: argparse.Namespace, facts: dict[str, Any], evaluation: fcn.Evaluation) -> str:
    """Return the page."""
    metrics = [(name, 100 * evaluation.metrics[name]) for name in METRICS]
    classes = [(name, 100 * iou) for name, iou in evaluation.per_class.items()]
    return f"""# Images and classes of one's own

Can somebody point the program at a folder that a tool exported, and get a net that is of use? The
photographs of a VOC folder got three classes: animal, person and other. They were exported twice,
as COCO JSON (run lengths; void as crowd) and as PNG masks in colours with a legend. Each folder was
learned by one command; the classes, the split, the net and its starting weights were found:

```
python prepare.py check {facts['folder']}
python solve.py --data {facts['folder']} --weights FILE --iterations {args.iterations}
python score.py runs/photos ; python infer.py photo.jpg --weights runs/photos
```

- Both forms give the same training: after {SAME} iterations, all {facts['layers']} layers of the
  two nets have equal bits.
- {facts['train']} images to learn from, {facts['val']} to score on; {NET}, {args.iterations}
  iterations of one image.
- Training took {facts['minutes']:.0f} minutes, its validations included; the check, the score
  and the pictures are not in it.

{markdown_table(['metric', '%'], metrics)}

{markdown_table(['class', 'IU'], classes)}

If every pixel were called *background*, the mean IU would be {100 * facts['all_other']:.1f}.

![what check drew](own-data-contact.jpg)

![photographs that the net did not learn from](own-data-overlays.jpg)

`python -m experiments.own_data --iterations {args.iterations}` at commit {facts['commit']} on
{facts['date']}; {machine()}, {facts['threads']} threads.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse(arguments)
    folder = args.runs / 'data'
    sources = {split: VOC(args.data, name) for split, name in SPLITS.items()}
    exports = Exports(folder)
    if not exports.coco.exists():  # else the run goes on
        for split, source in sources.items():
            exports.add(source, split)
    short = [train(path, args, args.runs / 'short', SAME) for path in (exports.coco, exports.masks)]
    layers = same_bits(*short)
    result = train(exports.coco, args, args.runs, args.iterations)
    if result.interrupted:
        return 130
    check.main([str(exports.coco), '--out', str(args.runs / 'check')])
    evaluation = fcn.evaluate(result.folder, gpu=-1)
    truth = evaluation.confusion.sum(1)
    facts = dict(
        folder='photos/',
        layers=layers,
        train=len(sources['train'].names),
        val=len(sources['val'].names),
        minutes=minutes(Run(result.folder)),
        all_other=truth[0] / truth.sum() / len(truth),
        commit=versions()['fcn'],
        date=time.strftime('%Y-%m-%d'),
        threads=fcn.threads(),
    )
    args.out.mkdir(parents=True, exist_ok=True)
    contact = Image.open(args.runs / 'check' / 'contact.png').convert('RGB')
    contact.thumbnail((700, 2000))
    contact.save(args.out / 'own-data-contact.jpg', quality=85)
    names = sources['val'].names
    photos = [
        sources['val'].path('data', name)
        for name in names[:: max(1, len(names) // PHOTOS)][:PHOTOS]
    ]
    draw_overlays(result.folder, photos, args.out / 'own-data-overlays.jpg')
    text = page(args, facts, evaluation)
    write_text(args.out / 'own-data.md', text)
    print(text)
    return 0


if __name__ == '__main__':
    run(main)
