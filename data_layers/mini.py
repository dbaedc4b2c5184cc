"""The miniature: shapes drawn by `python -m miniature`, in the layout of VOC."""

import numpy as np

from .images import VOID
from .voc import VOC

PATCH = 160


class Mini(VOC):
    """VOC's layout with the miniature's classes."""

    classes = ('background', 'disc', 'ring', 'square', 'triangle', 'star', 'bar')
    mean = (110.0, 110.0, 110.0)


class MiniPatches(Mini):
    """Patches for a classifier to learn from, the class of the centre pixel their label.

    This is patchwise training (section 3.4): a class is drawn evenly from those in
    the image, then one of its pixels.
    """

    def example(self, name, rng):
        """data 3×160×160 and label 1, float32; beyond the image's border lies the mean."""
        blob, label = super().example(name, rng)
        label = label[0]
        present = [value for value in np.unique(label) if value != VOID]
        value = rng.choice(present)
        y, x = rng.choice(np.argwhere(label == value))
        half = PATCH // 2
        padded = np.pad(blob, ((0, 0), (half, half), (half, half)))
        return padded[:, y:y + PATCH, x:x + PATCH], np.array([value], np.float32)
