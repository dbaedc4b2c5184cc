"""Lets Caffe's Python files, of 2018, run on today's libraries.

Caffe's source stays untouched: as the engine is built, CMake calls this script, which writes the
files anew with these replacements. Each gives what the file gave on the libraries of 2018.
"""

import shutil
import sys
from pathlib import Path
from typing import NamedTuple


class Patch(NamedTuple):
    """A text that occurs once in a file of python/caffe, and what stands there instead."""

    file: str
    old: str
    new: str
    reason: str


PATCHES = [
    Patch('io.py', 'arr.tostring()', 'arr.tobytes()', 'NumPy 2.3 removed the old name'),
    Patch(
        'io.py',
        'np.fromstring(datum.data,',
        'np.frombuffer(bytearray(datum.data),',
        'NumPy 2.3 removed it for bytes; of a bytearray, the result can be written to, as before',
    ),
    Patch(
        'io.py',
        'skimage.io.imread(filename, as_grey=not color)',
        '_images.imread(filename, as_gray=not color)',
        'scikit-image 0.16 removed as_grey, and its readers changed',
    ),
    Patch('io.py', 'import skimage.io', 'import skimage\nfrom caffe import _images', 'as above'),
    Patch(
        'io.py',
        'from scipy.ndimage import zoom',
        'from caffe._images import resize, zoom',
        'SciPy and scikit-image take half a second to load: these load them when they are called',
    ),
    Patch('io.py', 'from skimage.transform import resize\n', '', 'as above'),
    Patch(
        'io.py',
        "order=interp_order, mode='constant')",
        "order=interp_order, mode='constant', anti_aliasing=False)",
        'scikit-image 0.15 began to blur before it shrinks an image',
    ),
    Patch(
        'pycaffe.py',
        '    num = len(six.next(six.itervalues(blobs)))',
        '    if not blobs:\n        return\n    num = len(six.next(six.itervalues(blobs)))',
        'since Python 3.7 a StopIteration in a generator is an error, no end (PEP 479)',
    ),
    Patch(
        'detector.py',
        'crop = im[window[0]:window[2], window[1]:window[3]]',
        'crop = im[int(window[0]):int(window[2]), int(window[1]):int(window[3])]',
        'NumPy 1.12 refused to slice by floats, of which windows may be',
    ),
    Patch(
        'detector.py',
        'box = np.clip(box, 0., [im_h, im_w, im_h, im_w])',
        'box = np.clip(box, 0., [im_h, im_w, im_h, im_w]).astype(int)',
        'as above',
    ),
    Patch(
        'detector.py',
        'zip(image_fnames, windows_list)',
        'list(zip(image_fnames, windows_list))',
        'in Python 3 a zip can be read once, and is read twice: no detection was returned',
    ),
]


def apply(source: Path, target: Path, patches: list[Patch] = PATCHES) -> None:
    """Copy the folder `source` to `target`, with `patches` applied.

    Ends the process if a text to replace does not occur exactly once.
    """
    shutil.copytree(source, target, dirs_exist_ok=True)
    for patch in patches:
        path = target / patch.file
        text = path.read_text()
        if text.count(patch.old) != 1:
            sys.exit(
                f'{source / patch.file}: "{patch.old}" occurs {text.count(patch.old)} times, not '
                'once; adapt pycaffe/patches.py to this source'
            )
        path.write_text(text.replace(patch.old, patch.new))


if __name__ == '__main__':
    apply(Path(sys.argv[1]), Path(sys.argv[2]))
