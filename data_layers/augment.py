"""Augmentation (section 4.3): examples are mirrored, and moved by some pixels.

The paper tried both, moving images by up to 32 pixels, the stride of its coarsest prediction, and
saw no noticeable gain.
"""

from collections.abc import Collection, Mapping

import numpy as np

from .images import MAX_SIDE, VOID

MAX_JITTER = MAX_SIDE


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
