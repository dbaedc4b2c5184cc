"""A report as of a test set (section 5, Table 3): what PASCAL's server would be sent, its score, and time.

The server keeps the truth of its test sets. Here the images are held out too, the validation split: they are labelled
from files to files in the server's layout, and the files are scored as the server would score them.
"""

import shutil
import time

from fcn.commands.score import score_folders, write_labels
from fcn.data_layers import DATASETS
from fcn.data_layers.dataset import evenly_spread
from fcn.metrics import METRICS, class_iou, metrics
from fcn.nets import find

from .study import claims, table

YEAR = 2012
# Mean IU on the tests of VOC2011 and VOC2012, and seconds an image, about.
PAPER = {'R-CNN': (47.9, None, None), 'SDS': (52.6, 51.6, 50.0), 'FCN-8s': (62.7, 62.2, 0.175)}


def run(study):
    net = study.net('fcn8s')
    row, trained = find(net), study.train(net)
    images = 10 if study.quick else None
    source, dataset, root = (
        study.source(net, 'val', images),
        study.dataset(net),
        study.runs / study.stem,
    )
    if root.exists():  # What a run on other images left is not to be sent.
        shutil.rmtree(root)
    names, began = evenly_spread(dataset.names, images), time.monotonic()
    folder = write_labels(row, trained.weights(), source, root, YEAR)
    seconds = (time.monotonic() - began) / len(names)
    # As the server: of the files alone.
    classes, truths = DATASETS[row.data].classes, [dataset.path('label', name) for name in names]
    matrix = score_folders(folder, truths[0].parent, len(classes), truths)
    values = metrics(matrix)
    iou = dict(zip(classes, class_iou(matrix).tolist(), strict=True))
    text = '\n\n'.join(
        [
            table(
                [
                    '',
                    f'mean IU, {len(names)} images of {source.split}',
                    'mean IU, VOC2011 test',
                    'mean IU, VOC2012 test',
                    'seconds an image',
                ],
                [
                    (f'`{net}`', 100 * values['mean_iu'], None, None, f'{seconds:.3f}'),
                    *(
                        (
                            f'{name}, in the paper',
                            None,
                            first,
                            second,
                            None if taken is None else f'about {taken:g}',
                        )
                        for name, (first, second, taken) in PAPER.items()
                    ),
                ],
            ),
            table(
                ['class', 'IU'],
                [(name, None if value != value else 100 * value) for name, value in iou.items()],
            ),
            *(
                [claims({'An image takes less than a fifth of a second': seconds < 0.2})]
                if study.data
                else []
            ),
            f'The {len(names)} files lie in `{folder.relative_to(study.runs)}` of the folder of runs, as the server of '
            f'VOC{YEAR} takes them; `{root.name}` there is emptied first. `python score.py NET --submit DIR --split test` '
            'writes them for a test split. The time is from a file of the image to a file of its labels, loading the net '
            "included; the paper's is a GPU's.",
        ]
    )
    study.report(
        text,
        dict(
            percent={name: 100 * values[name] for name in METRICS},
            class_iou=iou,
            seconds_per_image=seconds,
            images=len(names),
            paper=PAPER,
        ),
    )
