"""The best mean IU that prediction at a stride allows (CVPR, appendix A).

The paper downsamples the truth and upsamples it again, and finds that a coarse labelling may still score well
above the state of the art. It does not say by which interpolation: here by the nearest pixel both ways, and beside
that as a net could do at best, each cell's most frequent class upsampled bilinearly.
"""

import json

import numpy as np
from PIL import Image
from tqdm import tqdm

from fcn.data_layers import VOID
from fcn.data_layers.images import fill_nearest
from fcn.metrics import METRICS, confusion, metrics
from fcn.nets import find

from .study import claims, table

PAPER = {128: 50.9, 64: 73.3, 32: 86.1, 16: 92.8, 8: 96.4, 4: 98.5}
LABELS = 736  # in the paper's seg11valid
FCN8S = 62.7  # Table 2
QUICK = 20  # images
CLOSE = 2.0  # points within which a bound is the paper's
WELL = 10.0  # points that are well above
WAYS = {'nearest': 'nearest pixel', 'frequent': "a cell's most frequent class, bilinear"}


def filled(label):
    """H×W classes with void given the class of the nearest pixel that has one; as it is if none has."""
    return fill_nearest(label, label == VOID)


def nearest(label, factor):
    """The H×W label by every `factor`-th pixel, the middle of its cell, each in the place of its cell."""
    rows, columns = (
        np.minimum(np.arange(size) // factor * factor + factor // 2, size - 1)
        for size in label.shape
    )
    return label[np.ix_(rows, columns)]


def frequent(label, factor):
    """The H×W label by each cell's most frequent class, a cell being `factor`×`factor`, upsampled bilinearly."""
    height, width = label.shape
    tall, wide = -(-height // factor), -(-width // factor)
    classes = np.unique(label)
    padded = np.pad(label, ((0, tall * factor - height), (0, wide * factor - width)), mode='edge')
    counts = np.stack(
        [(padded == value).reshape(tall, factor, wide, factor).sum((1, 3)) for value in classes]
    )
    cells = np.argmax(counts, 0)
    maps = [
        np.asarray(
            Image.fromarray((cells == index).astype(np.float32)).resize(
                (wide * factor, tall * factor), Image.Resampling.BILINEAR
            )
        )[:height, :width]
        for index in range(len(classes))
    ]
    return classes[np.argmax(maps, 0)]


def bounds(dataset, names, factors=PAPER):
    """{method: {factor: mean IU in percent}} of the labels `names` of a data set."""
    classes = len(next(iter(dataset.labels.values())))
    matrices = {
        (method, factor): np.zeros((classes, classes), np.int64)
        for method in (nearest, frequent)
        for factor in factors
    }
    for name in tqdm(names, desc='upperbound', unit='image', dynamic_ncols=True, disable=None):
        truth = dataset.pair(name)[1]
        whole = filled(truth)
        if (whole == VOID).all():
            continue
        for (method, factor), matrix in matrices.items():
            matrix += confusion(truth, method(whole, factor), classes)
    return {
        method.__name__: {
            factor: 100 * metrics(matrices[method, factor])['mean_iu'] for factor in factors
        }
        for method in (nearest, frequent)
    }


def run(study):
    net = study.net('fcn32s')
    dataset = study.dataset(net)
    names = dataset.names[:QUICK] if study.quick else dataset.names
    found = bounds(dataset, names)
    head = ['downsampling factor', *WAYS.values(), 'the paper']
    rows = [
        (factor, found['nearest'][factor], found['frequent'][factor], paper)
        for factor, paper in PAPER.items()
    ]
    if study.data is None and (real := study.beside('voc')):
        head.append('[real images](upperbound-voc.md), nearest pixel')
        rows = [(*row, real['raw']['mean_iu']['nearest'][str(row[0])]) for row in rows]
    text = '\n\n'.join(
        [
            table(head, rows),
            f'Mean IU in percent, over {images(len(names), study.source(net, "val").split, find(net).data)}, of the truth '
            'downsampled and upsampled again; void takes the class of the nearest pixel before, and does not count after. '
            'The paper does not say how it samples.',
            claims(said(found, fcn8s(study), study.data is not None)),
        ]
    )
    study.report(text, dict(mean_iu=found, paper=PAPER, images=len(names)))


def images(count, split, data):
    """How many labels there are, and how many in the paper, in words."""
    if data != 'voc':
        return f"{count} labels of the miniature's {split} (the paper: seg11valid's {LABELS})"
    return (
        f"{count} labels of {split}'s {LABELS} in the paper"
        if count < LABELS
        else f'the {count} labels of {split}'
    )


def fcn8s(study):
    """The mean IU of FCN-8s in percent: the paper's, or of the miniature that of the report of table2; None without."""
    if study.data:
        return FCN8S
    file = study.out / 'table2.json'
    percent = json.loads(file.read_text())['raw']['percent'] if file.is_file() else {}
    return percent['fcn8s'][METRICS.index('mean_iu')] if 'fcn8s' in percent else None


def said(found, best, real):
    """{what the paper says: whether it is so}, of {method: {factor: mean IU}}.

    `best` is the mean IU of an FCN-8s, or None; only bounds of `real` images are compared with the paper's.
    """
    held = {}
    for method, words in WAYS.items() if real else ():
        factor = max(PAPER, key=lambda factor: abs(found[method][factor] - PAPER[factor]))
        held[
            f"Bounds ({words}) are within {CLOSE:g} points of the paper's (at the most "
            f'{found[method][factor] - PAPER[factor]:+.1f}, at {factor})'
        ] = all(abs(found[method][factor] - value) < CLOSE for factor, value in PAPER.items())
    if best is not None:
        bound = found['nearest'][32]
        held[
            f"Prediction at stride 32 may score well above {'the paper' if real else 'the miniature'}'s FCN-8s, by "
            f'{WELL:g} points or more ({bound:.1f} against {best:.1f})'
        ] = bound >= best + WELL
    return held
