"""The colours of labels: those of the PASCAL VOC devkit, or a data set's own."""

import numpy as np


def voc_palette() -> np.ndarray:
    """Return the VOC colour map, 256×3 uint8 RGB: row k is the colour of label k, row 255 of void.

    The bits of the label, three at a time and lowest first, become bits of red, green and blue,
    highest first: neighbouring labels get colours far apart.
    """
    labels = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for place in range(8):
        for channel in range(3):
            bit = labels >> (3 * place + channel) & 1
            palette[:, channel] |= (bit << (7 - place)).astype(np.uint8)
    return palette


def palette_of(colours: np.ndarray | None) -> np.ndarray:
    """Return the colours of all labels, 256×3 uint8 RGB.

    Label k has row k of `colours`, K×3 uint8 RGB as `DatasetConfig.colours_of` gives them; all
    others, void among them, have those of the VOC palette.
    """
    palette = voc_palette()
    if colours is not None:
        palette[: len(colours)] = colours
    return palette
