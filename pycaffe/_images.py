"""Reads images as the scikit-image of 2018 did, for Caffe's load_image.

Today's scikit-image hands on what is in a file: inks for a CMYK photograph, a grey and an alpha
channel, all frames of a GIF. Caffe would take the inks for colours.
"""

import numpy as np
import skimage.color
import skimage.io
from PIL import Image

# The modes of Pillow that are grey or colours already.
KEPT = ('L', 'I', 'I;16', 'I;16B', 'F', 'RGB', 'RGBA')


def imread(file, as_gray: bool = False) -> np.ndarray:
    """Return an image as H×W grey, or H×W×3 or H×W×4 colours, in the file's data type.

    `file` is a path, a URL or an open file. TIFF and URLs are left to scikit-image. With `as_gray`,
    colours become their luminance, float64 in 0…1, and alpha is left out.
    """
    name = str(file).lower()
    if '://' in name or name.endswith(('.tif', '.tiff')):
        image = skimage.io.imread(file)
    else:
        with Image.open(file) as opened:
            colours = 'RGBA' if opened.mode.endswith('A') else 'RGB'
            image = np.asarray(opened if opened.mode in KEPT else opened.convert(colours))
    if as_gray and image.ndim == 3:
        return skimage.color.rgb2gray(image[:, :, :3])
    return image
