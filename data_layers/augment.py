"""Augmentation (section 4.3): examples mirrored, and moved by some pixels.

The paper tried both, moving images by up to 32 pixels, the stride of its coarsest
prediction, and saw no noticeable gain.
"""

import numpy as np

from .images import VOID

MAX_JITTER = 16_384  # no image is larger


def augment(blobs, labels, rng, mirror=False, jitter=0):
    """`blobs`, one example's {top: C×H×W}, all transformed together; `labels` names the labels among them.

    With `mirror`, half of the examples have left and right exchanged. With `jitter`, an
    example moves by whole pixels drawn evenly from −jitter … jitter, down and to the
    right; what it leaves is void in labels and the mean, 0, in inputs. A label
    that is no image, a classifier's, stays as it is. Draws from the NumPy generator `rng`.
    """
    flip = mirror and rng.random() < 0.5
    down, right = rng.integers(-jitter, jitter, 2, endpoint=True) if jitter else (0, 0)

    def moved(top, blob):
        if blob.ndim < 3:
            return blob
        blob = blob[:, :, ::-1] if flip else blob
        return _shift(blob, int(down), int(right), VOID if top in labels else 0)

    return {top: moved(top, blob) for top, blob in blobs.items()}


def _shift(blob, down, right, fill):
    """C×H×W moved by `down` and `right`, which may be negative, or more than there is."""
    if not (down or right):
        return blob
    out = np.full_like(blob, fill)
    (to_rows, from_rows), (to_columns, from_columns) = (
        _overlap(size, step) for size, step in zip(blob.shape[1:], (down, right), strict=True)
    )
    out[:, to_rows, to_columns] = blob[:, from_rows, from_columns]
    return out


def _overlap(size, step):
    """Where along an axis the pixels that stay in sight go, and where they come from."""
    forward, backward = min(max(step, 0), size), min(max(-step, 0), size)
    return slice(forward, size - backward), slice(backward, size - forward)
