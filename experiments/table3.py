"""A report as of a test set (section 5, Table 3): what PASCAL's server would be sent, its score,
and time.

The server keeps the truth of its test sets. Here the images are held out too, the validation split:
they are labelled from files to files in the server's layout, and the files are scored as the server
would score them.
"""

import shutil
import time
from typing import Any

from fcn.data_layers import DATASETS, evenly_spread
from fcn.evaluation import score_folders, write_labels
from fcn.metrics import or_none
from fcn.nets import find
from fcn.text import Cell, markdown_table

from .pages import Page
from .paper import TABLE3
from .records import Figure
from .study import Study

YEAR = 2012
MAX_SECONDS = 0.2  # an image, says the paper


def measure(study: Study) -> dict[str, Any]:
    settings = study.settings
    net = settings.net('fcn8s')
    config, trained = find(net), study.runs.train(net)
    images = 10 if settings.quick else None
    source, dataset = study.sets.source(net, 'val', images), study.sets.dataset(net)
    root = settings.runs / settings.stem
    if root.exists():  # What a run on other images left must not be sent.
        shutil.rmtree(root)
    names, began = evenly_spread(dataset.names, images), time.monotonic()
    folder = write_labels(config, trained.weights(), source, root, YEAR)
    seconds = (time.monotonic() - began) / len(names)
    # As the server: from the files alone.
    truths = [dataset.path('label', name) for name in names]
    classes = DATASETS[config.data].classes
    evaluation = score_folders(folder, truths[0].parent, classes, truths)
    return dict(
        percent={name: 100 * value for name, value in evaluation.metrics.items()},
        class_iou=or_none(evaluation.per_class),
        seconds_per_image=seconds,
        images=len(names),
        split=source.split,
        folder=str(folder.relative_to(settings.runs)),
    )


def body(page: Page) -> str:
    raw, net = page.raw, page.net('fcn8s')
    iterations = page.iterations(net)
    first: list[tuple[Cell, ...]] = [
        (
            f'`{net}`',
            iterations,
            float(raw['percent']['mean_iu']),
            None,
            None,
            f'{raw["seconds_per_image"]:.3f}',
        )
    ]
    paper: list[tuple[Cell, ...]] = [
        (f'{name}, in the paper', None, None, *scores, seconds and f'about {seconds:g}')
        for name, (*scores, seconds) in TABLE3.items()
    ]
    head = [
        '',
        'iterations',
        f'mean IU, {raw["images"]} images of {raw["split"]}',
        'mean IU, VOC2011 test',
        'mean IU, VOC2012 test',
        'seconds an image',
    ]
    by_class = [
        (name, None if value is None else 100 * value) for name, value in raw['class_iou'].items()
    ]
    after = f', after {iterations} iterations' if iterations else ''
    claims = {
        'An image takes less than a fifth of a second': raw['seconds_per_image'] < MAX_SECONDS
    }
    text = [
        markdown_table(head, [*first, *paper]),
        markdown_table(['class', f'IU{after}'], by_class),
        '' if page.mini else page.verdicts(lambda page: claims),
        f'The {raw["images"]} files lie in `{raw["folder"]}` of the folder of runs, as the server '
        f'of VOC{YEAR} takes them; `{raw["folder"].partition("/")[0]}` there is emptied first. '
        '`python score.py NET --submit DIR --split test` writes them for a test split. The time is '
        'from a file of the image to a file of its labels, with loading the net; the paper has a '
        "GPU's.",
    ]
    return '\n\n'.join(filter(None, text))


def figures(page: Page) -> list[Figure]:
    net, raw = page.net('fcn8s'), page.raw
    how = f'one seed, scored on {raw["images"]} images'
    return [Figure(net, raw['percent']['mean_iu'], page.iterations(net), how)]
