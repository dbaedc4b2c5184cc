"""What each stage sees (section 4.2, Figure 4): FCN-32s, FCN-16s, FCN-8s and the truth.

The paper shows one image whose outlines grow finer from stage to stage. The numbers behind the
picture are of the pixels near an outline, where a coarse labelling errs.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation

from fcn.data_layers import DATASETS, VOID, evenly_spread
from fcn.metrics import confusion, metrics
from fcn.nets import find
from fcn.text import markdown_table
from fcn.visualize import grid

from .claims import Claims, Verdict, all_hold, exceeds
from .pages import Page
from .records import Figure
from .study import Study
from .table2 import STAGES

SHOWN = 4
BAND = 4  # pixels to either side of an outline, counted along rows and columns
KINDS = ('fcn32s', 'fcn16s', 'fcn8s')


def near_outlines(truth: np.ndarray) -> np.ndarray:
    """Return where a pixel of another class, or void, lies within BAND pixels: H×W bool."""
    edge = np.zeros(truth.shape, bool)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = truth[one] != truth[other]
        edge[one] |= differ
        edge[other] |= differ
    return binary_dilation(edge, iterations=BAND - 1)


def is_rising(values: Iterable[float], noise: float | None) -> Verdict:
    """Return whether each of the values exceeds the one before.

    None if that depends on a difference of no more than `noise`.
    """
    return all_hold(exceeds(fine - coarse, noise) for coarse, fine in pairwise(values))


def measure(study: Study) -> dict[str, Any]:
    """Draw the picture, and return each stage's pixel accuracy near outlines in percent."""
    nets = study.settings.nets(KINDS)
    segmenters = {
        STAGES[kind]: study.scoring.segmenter(net, study.runs.train(net))
        for kind, net in nets.items()
    }
    dataset = study.sets.dataset(nets['fcn32s'])
    config = DATASETS[find(nets['fcn32s']).data]
    names = evenly_spread(dataset.names, SHOWN if study.settings.quick else 10 * SHOWN)
    classes = len(config.classes)
    rows, matrices = {}, {stage: np.zeros((classes, classes), int) for stage in segmenters}
    for name in names:
        image, truth = dataset.pair(name)
        labels = {stage: segment(image) for stage, segment in segmenters.items()}
        rows[name] = image, labels, truth
        near = np.where(near_outlines(truth), truth, VOID)
        for stage, label in labels.items():
            matrices[stage] += confusion(near, label, classes)
    shown = evenly_spread(names, SHOWN)
    grid(study.picture('stages'), [rows[name] for name in shown], config)
    return dict(
        near_outlines={
            stage: 100 * metrics(matrix)['pixel_accuracy'] for stage, matrix in matrices.items()
        },
        shown=shown,
        images=len(names),
    )


def check_claims(page: Page) -> Claims:
    near = page.raw['near_outlines'].values()
    return {'Outlines grow finer from stage to stage': is_rising(near, page.noise)}


def body(page: Page) -> str:
    raw = page.raw
    stages = {STAGES[kind]: page.net(kind) for kind in KINDS}
    rows = [
        (stage, page.iterations(stages[stage]), accuracy)
        for stage, accuracy in raw['near_outlines'].items()
    ]
    head = ['stage', 'iterations', f'pixel acc. within {BAND} pixels of an outline']
    text = [
        f'![images, the stages, and the truth]({page.picture("stages")})',
        markdown_table(head, rows),
        'Each stage goes on from the one before.',
        page.verdicts(check_claims),
        f'Over {raw["images"]} validation images, evenly spread, of which '
        f'{", ".join(raw["shown"])} are drawn.',
        page.seeds(),
    ]
    return '\n\n'.join(filter(None, text))


def figures(page: Page) -> list[Figure]:
    """Return nothing: accuracy near outlines is no score of a net that another page gives."""
    return []
