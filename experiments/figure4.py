"""What each stage sees (section 4.2, Figure 4): FCN-32s, FCN-16s, FCN-8s and the truth.

The paper shows one image whose outlines grow finer from stage to stage. The numbers behind the picture are of the
pixels near an outline, where a coarse labelling errs.
"""

from itertools import pairwise

import numpy as np
from scipy.ndimage import binary_dilation

from fcn.data_layers import DATASETS, VOID
from fcn.data_layers.dataset import evenly_spread
from fcn.metrics import confusion, metrics
from fcn.nets import find
from fcn.visualize import grid

from .report import together
from .study import claims, exceeds, table
from .table2 import STAGES

SHOWN = 4
BAND = 4  # pixels to either side of an outline, counted along rows and columns
KINDS = ('fcn32s', 'fcn16s', 'fcn8s')


def near_outlines(truth):
    """Where a pixel of another class, or void, lies within BAND pixels, of a truth H×W: H×W bool."""
    edge = np.zeros(truth.shape, bool)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = truth[one] != truth[other]
        edge[one] |= differ
        edge[other] |= differ
    return binary_dilation(edge, iterations=BAND - 1)


def order(values, noise):
    """Whether each of the values exceeds the one before; None if that hangs on a difference of no more than `noise`."""
    return together(exceeds(fine - coarse, noise) for coarse, fine in pairwise(values))


def run(study):
    nets = study.nets(KINDS)
    segmenters = {
        STAGES[kind]: study.segmenter(net, study.train(net)) for kind, net in nets.items()
    }
    dataset, kind = study.dataset(nets['fcn32s']), DATASETS[find(nets['fcn32s']).data]
    names = evenly_spread(dataset.names, SHOWN if study.quick else 10 * SHOWN)
    rows, matrices = {}, dict.fromkeys(segmenters, 0)
    for name in names:
        image, truth = dataset.pair(name)
        labels = {stage: label(image) for stage, label in segmenters.items()}
        rows[name] = image, labels, truth
        near = np.where(near_outlines(truth), truth, VOID)
        for stage, label in labels.items():
            matrices[stage] = matrices[stage] + confusion(near, label, len(kind.classes))
    shown, picture = evenly_spread(names, SHOWN), study.picture('stages')
    grid(picture, [rows[name] for name in shown], kind)
    near = {stage: 100 * metrics(matrix)['pixel_accuracy'] for stage, matrix in matrices.items()}
    noise = study.noise()
    text = [
        f'![images, the stages, and the truth]({picture.name})',
        table(['stage', f'pixel acc. within {BAND} pixels of an outline'], near.items()),
        claims({'Outlines grow finer from stage to stage': order(near.values(), noise)}),
        f'Over {len(names)} validation images, evenly spread, of which {", ".join(shown)} are drawn.',
    ]
    if noise is not None:
        text.append(
            f'Each stage was trained once. Mean IU of FCN-32s differs by {noise:.1f} points between the seeds '
            'of [balancing](balancing.md); what hangs on no more points than that here is undecided.'
        )
    study.report('\n\n'.join(text), dict(near_outlines=near, shown=shown, images=len(names)))
