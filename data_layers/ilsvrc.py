"""ILSVRC (Russakovsky et al. 2015), the set of the classifiers that nets start from.

They are fetched, not trained, so nothing is read here.
"""

from .config import DatasetConfig
from .dataset import SegDataset
from .inputs import Colour

MEAN = (104.00699, 116.66877, 122.67892)  # of the training images: blue, green, red


class ILSVRC(SegDataset):
    """What a classifier's net must know of the set."""

    inputs = {'data': Colour(MEAN)}
    # Class numbers stand for the synsets' names, which no net needs.
    labels = {'label': tuple(map(str, range(1000)))}


CONFIG = DatasetConfig(kind=ILSVRC)
