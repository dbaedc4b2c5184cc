"""Labels of sets whose annotations are shapes: polygons, bitmaps, run lengths."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from fcn.errors import DataError
from fcn.text import few, printable

from ..images import VOID
from .coco import read_picture
from .labelme import read_labelme
from .manifest import Example, Manifest
from .shapes import Annotation, Size
from .supervisely import read_supervisely
from .yolo import read_yolo

# By Manifest.labels: what reads the shapes in a file of the picture with a key.
READERS: Mapping[str, Callable[[Path, str], Annotation]] = {
    'coco': read_picture,
    'labelme': read_labelme,
    'supervisely': read_supervisely,
    'yolo': read_yolo,
}


def read_annotation(manifest: Manifest, example: Example, size: Size) -> np.ndarray:
    """Return the classes of an example's pixels: H×W uint8, of an image of the size (H, W).

    A later shape is on top of an earlier one; a crowd is void, below all others; what no shape
    covers is `manifest.unlabelled`. Raises DataError for a file that cannot be read, for an
    annotation of a picture of another size, and for names of no class.
    """
    path = manifest.root / example.label
    annotation = READERS[manifest.labels](path, example.key)
    if annotation.size is not None and annotation.size != tuple(size):
        height, width = annotation.size
        raise DataError(
            f'{path}: is for a picture of {width}×{height}, and {example.image} has '
            f'{size[1]}×{size[0]}; annotate the picture as it is'
        )
    if unknown := [one.name for one in annotation.shapes if one.name not in manifest.names]:
        name = printable(unknown[0])
        raise DataError(
            f"{path}: {unknown.count(unknown[0])} shapes are of '{name}', which is no class of the "
            f'set ({few(manifest.classes)}); correct the name, or check the set again'
        )
    labels = np.full(size, manifest.unlabelled, np.uint8)
    for shape in annotation.shapes:
        labels[shape.cover(size)] = VOID if shape.crowd else manifest.names[shape.name]
    return labels
