"""The data sets by name: one module each, which holds the class and its config.

To add a set that nets learn, write such a module and add a line to DATASETS.
"""

import os
from pathlib import Path

from fcn.errors import DataError

from . import context, ilsvrc, mini, nyud, siftflow, voc
from .config import DatasetConfig, Source
from .dataset import SegDataset
from .own.dataset import OwnData
from .sbd import SBD
from .voc import VOC

DATASETS: dict[str, DatasetConfig] = {
    'ilsvrc': ilsvrc.CONFIG,
    'voc': voc.CONFIG,
    'pascal-context': context.CONFIG,
    'nyud': nyud.CONFIG,
    'siftflow': siftflow.CONFIG,
    'mini': mini.SCENES,
    'mini-objects': mini.OBJECTS,
    'mini-nyud': mini.ROOMS,
    'mini-siftflow': mini.LANDSCAPES,
}

# By name, as layers and reading processes are told what to read. VOC's nets learn from SBD.
_KINDS: list[type[SegDataset]] = [SBD, OwnData, *(config.kind for config in DATASETS.values())]
_CLASSES = {kind.__name__: kind for kind in _KINDS}


def dataset_class(name: str) -> type[SegDataset] | None:
    """Return the class of a data set by its name; None if there is none."""
    return _CLASSES.get(name)


def source_at(source: Source, root: str | Path, split: str | None = None) -> Source:
    """Return `source` moved to the folder `root`, its data set fitted to the layout found there.

    The two layouts of VOC's classes are told apart by their folders: `img` and `cls` are SBD's,
    `JPEGImages` is VOC's. Raises DataError if there is neither.
    """
    root = Path(os.path.realpath(root))
    dataset = source.dataset
    if dataset in (SBD.__name__, VOC.__name__):
        if (root / 'JPEGImages').is_dir():
            dataset = VOC.__name__
        elif (root / 'img').is_dir() and (root / 'cls').is_dir():
            dataset = SBD.__name__
        else:
            raise DataError(
                f'{root}: neither VOC (JPEGImages, SegmentationClass, ImageSets/Segmentation) '
                f'nor SBD (img, cls) lies there; name the folder that holds one of them'
            )
    return source._replace(dataset=dataset, root=str(root), split=split or source.split)
