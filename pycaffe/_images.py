"""Reads images as the scikit-image of 2018 did, for Caffe's load_image, and resizes them.

Today's scikit-image hands on what is in a file: inks for a CMYK photograph, a grey and an alpha
channel, all frames of a GIF. Caffe would take the inks for colours.

SciPy and scikit-image are loaded when a function needs them: they take longer to load than all else
that Caffe needs, and most programs call none of these.
"""

import numpy as np
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
        import skimage.io

        image = skimage.io.imread(file)
    else:
        with Image.open(file) as opened:
            colours = 'RGBA' if opened.mode.endswith('A') else 'RGB'
            image = np.asarray(opened if opened.mode in KEPT else opened.convert(colours))
    if as_gray and image.ndim == 3:
        import skimage.color

        return skimage.color.rgb2gray(image[:, :, :3])
    return image


def zoom(*arguments, **options) -> np.ndarray:
    """Return what scipy.ndimage.zoom does."""
    from scipy.ndimage import zoom

    return zoom(*arguments, **options)


def resize(*arguments, **options) -> np.ndarray:
    """Return what skimage.transform.resize does."""
    from skimage.transform import resize

    return resize(*arguments, **options)
