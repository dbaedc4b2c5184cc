"""The four metrics of section 5, from a confusion matrix of pixel counts."""

from collections.abc import Mapping

import numpy as np

PART = 1 << 20  # pixels at once: the integers of a large image would be half a gigabyte
METRICS = ('pixel_accuracy', 'mean_accuracy', 'mean_iu', 'frequency_weighted_iu')


def confusion(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Count pixels: classes×classes int64, rows true and columns predicted.

    `truth` and `prediction` are integer arrays of one shape. Pixels whose truth is no class (255,
    void) do not count.
    """
    matrix = np.zeros(classes * classes, np.int64)
    truth, prediction = truth.ravel(), prediction.ravel()
    for start in range(0, truth.size, PART):
        true = truth[start : start + PART].astype(np.int64)
        known = (true >= 0) & (true < classes)
        cells = true[known] * classes + prediction[start : start + PART][known]
        matrix += np.bincount(cells, minlength=classes * classes)
    return matrix.reshape(classes, classes)


def class_iou(matrix: np.ndarray) -> np.ndarray:
    """Return each class's intersection over union, a fraction; NaN for a class that is neither true
    nor predicted anywhere."""
    hits = np.diag(matrix)
    union = matrix.sum(0) + matrix.sum(1) - hits
    return np.divide(hits, union, out=np.full(len(matrix), np.nan), where=union > 0)


def metrics(matrix: np.ndarray, drop_absent: bool = False) -> dict[str, float]:
    """Return pixel accuracy, mean accuracy, mean IU and frequency-weighted IU, as fractions.

    A class absent from the truth has no accuracy and leaves that mean. It stays in the mean IU,
    with 0, once it is predicted, unless such classes are dropped, as is the custom for SIFT Flow.
    NaN where no pixel counts.
    """
    hits, truth = np.diag(matrix), matrix.sum(1)
    total, present = truth.sum(), truth > 0
    if total == 0:
        return dict.fromkeys(METRICS, np.nan)
    iou = class_iou(matrix)
    return {
        'pixel_accuracy': float(hits.sum()) / float(total),
        'mean_accuracy': float((hits[present] / truth[present]).mean()),
        'mean_iu': float(np.nanmean(iou[present] if drop_absent else iou)),
        'frequency_weighted_iu': float((truth[present] * iou[present]).sum() / total),
    }


def or_none(values: Mapping[str, float]) -> dict[str, float | None]:
    """Replace NaN by None, for JSON."""
    return {name: None if np.isnan(value) else value for name, value in values.items()}


def format_metrics(values: Mapping[str, float]) -> str:
    """Return the four metrics in percent, on one line."""
    if np.isnan(values['pixel_accuracy']):
        return 'no pixel of the truth has a class'
    return '   '.join(
        f'{name.replace("_", " ")} {100 * value:.1f}' for name, value in values.items()
    )


def format_results(results: Mapping[str, Mapping[str, float]]) -> str:
    """Return {label: metrics} on one line: all of the first label's, the others' pixel accuracy."""
    (_, first), *others = results.items()
    accuracies = [
        f'{label} pixel accuracy {100 * values["pixel_accuracy"]:.1f}' for label, values in others
    ]
    return '   '.join([format_metrics(first), *accuracies])
