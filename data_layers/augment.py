"""Augmentation (section 4.3): examples are mirrored, and moved by some pixels. They are
cropped, too, so that some of them, of one size, make a batch.

The paper tried both, moving images by up to 32 pixels, the stride of its coarsest prediction, and
saw no noticeable gain.
"""

from collections.abc import Collection, Mapping

import numpy as np

from .images import MAX_SIDE, VOID

MAX_JITTER = MAX_CROP = MAX_SIDE
MIN_CROP = 32  # the stride of the coarsest prediction


def augment(
    blobs: Mapping[str, np.ndarray],
    labels: Collection[str],
    rng: np.random.Generator,
    mirror: bool = False,
    jitter: int = 0,
) -> dict[str, np.ndarray]:
    """Return the `blobs` of one example, {top: C×H×W}, all transformed in the same way.

    `labels` names the labels among them. With `mirror`, left and right are exchanged in half of the
    examples. With `jitter`, an example moves by whole pixels drawn evenly from −jitter … jitter,
    down and to the right; the pixels that it leaves are void in labels and the mean, 0, in inputs.
    A label that is not an image, as a classifier's, stays as it is.
    """
    flip = mirror and rng.random() < 0.5
    down, right = map(int, rng.integers(-jitter, jitter, 2, endpoint=True)) if jitter else (0, 0)

    def transformed(top: str, blob: np.ndarray) -> np.ndarray:
        if blob.ndim < 3:
            return blob
        blob = blob[:, :, ::-1] if flip else blob
        return _shift(blob, down, right, VOID if top in labels else 0)

    return {top: transformed(top, blob) for top, blob in blobs.items()}


def crop(
    blobs: Mapping[str, np.ndarray],
    labels: Collection[str],
    rng: np.random.Generator,
    side: int,
) -> dict[str, np.ndarray]:
    """Return side×side of the `blobs` of one example, {top: C×H×W}, all from the same place.

    The place is drawn. Where an example is smaller, all of it is taken, to a place that is drawn;
    the pixels around it are void in the `labels` and the mean, 0, in inputs.
    """
    sizes = next(iter(blobs.values())).shape[1:]
    (to_rows, rows), (to_columns, columns) = (_place(size, side, rng) for size in sizes)
    cropped = {}
    for top, blob in blobs.items():
        result = np.full((len(blob), side, side), VOID if top in labels else 0, blob.dtype)
        result[:, to_rows, to_columns] = blob[:, rows, columns]
        cropped[top] = result
    return cropped


def _place(size: int, side: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Return where along an axis of a crop pixels go, and which of the example's they are."""
    step, count = side - size, min(size, side)
    step = int(rng.integers(min(0, step), max(0, step), endpoint=True))
    forward, backward = max(step, 0), max(-step, 0)
    return slice(forward, forward + count), slice(backward, backward + count)


def _shift(blob: np.ndarray, down: int, right: int, fill: int) -> np.ndarray:
    """Return C×H×W moved by `down` and `right`, which may be negative, or more than its size."""
    if not (down or right):
        return blob
    result = np.full_like(blob, fill)
    (to_rows, from_rows), (to_columns, from_columns) = (
        _overlap(size, step) for size, step in zip(blob.shape[1:], (down, right), strict=True)
    )
    result[:, to_rows, to_columns] = blob[:, from_rows, from_columns]
    return result


def _overlap(size: int, step: int) -> tuple[slice, slice]:
    """Return where along an axis the pixels that stay in sight go, and where they come from."""
    forward, backward = min(max(step, 0), size), min(max(-step, 0), size)
    return slice(forward, size - backward), slice(backward, size - forward)
