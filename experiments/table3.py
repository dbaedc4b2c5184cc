"""A report as of a test set (section 5, Table 3): what PASCAL's server would be sent, its score, and time.

The server keeps the truth of its test sets. Here the images are held out too, the validation split: they are labelled
from files to files in the server's layout, and the files are scored as the server would score them.
"""

import time

from data_layers import DATASETS
from nets import find
from score import score_folders, write_labels
from solvers import METRICS, class_iou, metrics

from .study import claims, table

YEAR = 2012
PAPER = {'R-CNN': (47.9, None, None), 'SDS': (52.6, 51.6, 50.0), 'FCN-8s': (62.7, 62.2, 0.175)}


def run(study):
    net = study.net('fcn8s')
    row, trained = find(net), study.train(net)
    source, dataset = study.source(net, 'val', 10 if study.quick else None), study.dataset(net)
    began = time.monotonic()
    folder = write_labels(row, trained.weights(), source, study.runs / study.stem, YEAR)
    seconds, files = time.monotonic() - began, sorted(folder.glob('*.png'))
    seconds /= len(files)
    # As the server: of the files alone.
    classes, truths = DATASETS[row.data].classes, [dataset.path('label', file.stem) for file in files]
    matrix = score_folders(folder, truths[0].parent, len(classes), truths)
    values = metrics(matrix)
    iou = dict(zip(classes, class_iou(matrix).tolist(), strict=True))
    text = '\n\n'.join([
        table(['', 'mean IU', 'seconds an image'], [
            (f'`{net}`, on {len(files)} images of {source.split}', 100 * values['mean_iu'], f'{seconds:.3f}'),
            *((f"{name}, the paper's Table 3: VOC2011 and VOC2012 test",
               ' and '.join(f'{figure:.1f}' for figure in (first, second) if figure is not None),
               None if time is None else f'{time:g}') for name, (first, second, time) in PAPER.items())]),
        table(['class', 'IU'], [(name, None if value != value else 100 * value) for name, value in iou.items()]),
        *([claims({'An image takes less than a fifth of a second': seconds < 0.2})] if study.data else []),
        f'The {len(files)} files lie in `{folder.relative_to(study.runs)}` of the folder of runs, as the server of '
        f'VOC{YEAR} takes them; `python score.py NET --submit DIR --split test` writes them for a test split. The time '
        "is from a file of the image to a file of its labels, loading the net included; the paper's is a GPU's."])
    study.report(text, dict(percent={name: 100 * values[name] for name in METRICS}, class_iou=iou,
                            seconds_per_image=seconds, images=len(files), paper=PAPER))
