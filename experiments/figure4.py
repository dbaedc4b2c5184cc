"""What each stage sees (section 4.2, Figure 4): FCN-32s, FCN-16s, FCN-8s and the truth.

The paper shows one image whose outlines grow finer from stage to stage. The numbers behind the picture are of the
pixels near an outline, where a coarse labelling errs.
"""

from itertools import pairwise

import numpy as np
from scipy.ndimage import binary_dilation

from data_layers import VOID
from data_layers.prefetch import limited
from miniature.pictures import figure4
from solvers import confusion, metrics

from .study import claims, table
from .table2 import STAGES

SHOWN = 4
BAND = 4  # pixels to either side of an outline
KINDS = ('fcn32s', 'fcn16s', 'fcn8s')


def near_outlines(truth):
    """Where a pixel of another class, or void, lies within BAND pixels: H×W bool."""
    edge = np.zeros(truth.shape, bool)
    edge[1:] |= truth[1:] != truth[:-1]
    edge[:, 1:] |= truth[:, 1:] != truth[:, :-1]
    return binary_dilation(edge, iterations=BAND)


def run(study):
    nets = study.nets(KINDS)
    segmenters = {STAGES[kind]: study.segmenter(net, study.train(net)) for kind, net in nets.items()}
    dataset = study.dataset(nets['fcn32s'])
    names = limited(dataset.names, SHOWN if study.quick else 10 * SHOWN)
    rows, matrices = {}, dict.fromkeys(segmenters, 0)
    for name in names:
        image, truth = dataset.pair(name)
        labels = {stage: label(image) for stage, label in segmenters.items()}
        rows[name] = image, labels, truth
        near = np.where(near_outlines(truth), truth, VOID)
        for stage, label in labels.items():
            matrices[stage] = matrices[stage] + confusion(near, label, len(next(iter(dataset.labels.values()))))
    shown, picture = limited(names, SHOWN), study.picture('stages')
    figure4(picture, [rows[name] for name in shown])
    near = {stage: 100 * metrics(matrix)['pixel_accuracy'] for stage, matrix in matrices.items()}
    text = '\n\n'.join([
        f'![images, the stages, and the truth]({picture.name})',
        table(['stage', f'pixel acc. within {BAND} pixels of an outline'], near.items()),
        claims({'Outlines grow finer from stage to stage': all(a < b for a, b in pairwise(near.values()))}),
        f'Over {len(names)} validation images, evenly spread, of which {", ".join(shown)} are drawn.'])
    study.report(text, dict(near_outlines=near, shown=shown, images=len(names)))
