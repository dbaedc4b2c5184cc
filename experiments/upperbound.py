"""The best mean IU that prediction at a stride allows (CVPR, appendix A).

The paper downsamples the truth and upsamples it again, and finds that a coarse labelling may still
score well above the state of the art. It does not say by which interpolation: here by the nearest
pixel both ways, and as a net could do at best, by each cell's most frequent class upsampled
bilinearly.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from fcn.data_layers import VOID, SegDataset
from fcn.data_layers.images import fill_nearest
from fcn.metrics import METRICS, confusion, metrics
from fcn.text import markdown_table

from .claims import Claims
from .pages import Page
from .paper import TABLE2, UPPER_BOUND
from .records import Figure, is_record, read_record
from .scoring import progress
from .study import Study

LABELS = 736  # in the paper's seg11valid
QUICK = 20  # images
CLOSE = 2.0  # points within which a bound is the paper's
WELL = 10.0  # points that are well above
METHODS = {'nearest': 'nearest pixel', 'frequent': "a cell's most frequent class, bilinear"}


def without_void(label: np.ndarray) -> np.ndarray:
    """Return H×W classes with void given the class of the nearest pixel that has one.

    A label that has none stays as it is.
    """
    return fill_nearest(label, label == VOID)


def nearest(label: np.ndarray, factor: int) -> np.ndarray:
    """Return the H×W label by every `factor`-th pixel, the middle of its cell, each in the place of
    its cell."""
    rows, columns = (
        np.minimum(np.arange(size) // factor * factor + factor // 2, size - 1)
        for size in label.shape
    )
    return label[np.ix_(rows, columns)]


def frequent(label: np.ndarray, factor: int) -> np.ndarray:
    """Return the H×W label by each cell's most frequent class, a cell being `factor`×`factor`,
    upsampled bilinearly."""
    height, width = label.shape
    tall, wide = -(-height // factor), -(-width // factor)
    classes = np.unique(label)
    padded = np.pad(label, ((0, tall * factor - height), (0, wide * factor - width)), mode='edge')
    counts = np.stack(
        [(padded == value).reshape(tall, factor, wide, factor).sum((1, 3)) for value in classes]
    )
    cells, size = np.argmax(counts, 0), (wide * factor, tall * factor)
    maps = [
        np.asarray(
            Image.fromarray((cells == index).astype(np.float32)).resize(
                size, Image.Resampling.BILINEAR
            )
        )[:height, :width]
        for index in range(len(classes))
    ]
    return classes[np.argmax(maps, 0)]


def bounds(
    dataset: SegDataset, names: Sequence[str], factors: Iterable[int] = UPPER_BOUND
) -> dict[str, dict[int, float]]:
    """Return {method: {factor: mean IU in percent}} of the labels `names` of a data set."""
    factors = list(factors)
    classes = len(next(iter(dataset.labels.values())))
    matrices = {
        (method, factor): np.zeros((classes, classes), np.int64)
        for method in (nearest, frequent)
        for factor in factors
    }
    for name in progress(names, 'upperbound'):
        truth = dataset.pair(name)[1]
        whole = without_void(truth)
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


def measure(study: Study) -> dict[str, Any]:
    net = study.settings.net('fcn32s')
    dataset = study.sets.dataset(net)
    names = dataset.names[:QUICK] if study.settings.quick else dataset.names
    split = study.sets.source(net, 'val').split
    return dict(mean_iu=bounds(dataset, names), images=len(names), split=split)


def count_labels(count: int, split: str, real: bool) -> str:
    """Return how many labels there are, and how many in the paper."""
    if not real:
        return f"{count} labels of the miniature's {split} (the paper: seg11valid's {LABELS})"
    if count < LABELS:
        return f"{count} labels of {split}'s {LABELS} in the paper"
    return f'the {count} labels of {split}'


def best_fcn8s(page: Page) -> tuple[float, str] | None:
    """Return the mean IU in percent of an FCN-8s, and whose it is: the paper's, or the miniature's
    on the page of table2; None without that."""
    index = METRICS.index('mean_iu')
    if not page.mini:
        return TABLE2['fcn8s'][index], "the paper's FCN-8s"
    file = page.folder / 'table2.json'
    if not file.is_file() or not is_record(file):
        return None
    record = read_record(file)
    if record.quick != page.quick or 'fcn8s' not in record.raw['percent']:
        return None
    run = record.runs.get(page.net('fcn8s'))
    after = f' after {run.iterations} iterations' if run else ''
    return record.raw['percent']['fcn8s'][index], f"the miniature's FCN-8s{after}"


def check_bounds(
    results: Mapping[str, Mapping[int, float]], best: tuple[float, str] | None, real: bool
) -> Claims:
    """Return what the paper says, and whether it holds, of {method: {factor: mean IU}}.

    `best` is the mean IU of an FCN-8s and whose it is, or None. Only bounds of `real` images are
    compared with the paper's.
    """
    claims = {}
    for method, title in METHODS.items() if real else ():
        gaps = {factor: results[method][factor] - iu for factor, iu in UPPER_BOUND.items()}
        factor = max(gaps, key=lambda factor: abs(gaps[factor]))
        claim = (
            f"Bounds ({title}) are within {CLOSE:g} points of the paper's (at most "
            f'{gaps[factor]:+.1f}, at {factor})'
        )
        claims[claim] = all(abs(gap) < CLOSE for gap in gaps.values())
    if best is not None:
        (value, whose), bound = best, results['nearest'][32]
        claim = (
            f'Prediction at stride 32 may score well above {whose}, by {WELL:g} points or more '
            f'({bound:.1f} against {value:.1f})'
        )
        claims[claim] = bound >= value + WELL
    return claims


def check_claims(page: Page) -> Claims:
    return check_bounds(by_factor(page), best_fcn8s(page), not page.mini)


def by_factor(page: Page) -> dict[str, dict[int, float]]:
    """Return {method: {factor: mean IU in percent}} of a page."""
    return {
        method: {int(factor): iu for factor, iu in values.items()}
        for method, values in page.raw['mean_iu'].items()
    }


def body(page: Page) -> str:
    results, real = by_factor(page), page.real
    head = ['downsampling factor', *METHODS.values(), 'the paper']
    head += [f'real images ({real.link}), nearest pixel'] if real else []
    rows = []
    for factor, paper in UPPER_BOUND.items():
        row = [factor, *(results[method][factor] for method in METHODS), paper]
        rows.append([*row, by_factor(real)['nearest'][factor]] if real else row)
    labels = count_labels(page.raw['images'], page.raw['split'], not page.mini)
    text = [
        markdown_table(head, rows),
        f'Mean IU in percent, over {labels}, of the truth downsampled and upsampled again. Void '
        'takes the class of the nearest pixel before, and does not count after. Nothing is learned '
        'here. The paper does not say how it samples.',
        page.verdicts(check_claims),
    ]
    return '\n\n'.join(text)


def figures(page: Page) -> list[Figure]:
    """Return nothing: no net is scored."""
    return []
