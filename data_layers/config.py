"""What a data set is to the nets that learn it: its class, and where its examples come from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .dataset import SegDataset
from .inputs import Input
from .palette import voc_palette


class Source(NamedTuple):
    """Where a net's examples come from.

    `dataset` is the name of a data set's class, `root` its folder, `split` the name of a list of
    examples, and `options` are more options of the data layer, as pairs.
    """

    dataset: str
    root: str
    split: str
    options: tuple[tuple[str, Any], ...] = ()

    def param_str(self, **more: Any) -> str:
        """Return the data layer's param_str (`data_layers.layers`), with `more` options."""
        spec = {'dataset': self.dataset, 'root': self.root, 'split': self.split}
        return json.dumps({**spec, **dict(self.options), **more})

    def with_options(self, **options: Any) -> 'Source':
        """Return the same source with more options of the data layer."""
        return self._replace(options=(*self.options, *options.items()))

    def open(self, tops: tuple[str, ...] | None = None) -> SegDataset:
        """Return the data set, which reads the inputs and labels `tops`, by default all.

        Raises DataError if its list cannot be read.
        """
        from .registry import dataset_class  # The registry imports every data set, and they this.

        kind = dataset_class(self.dataset)
        assert kind is not None, self.dataset
        return kind(self.root, self.split, tops)

    def names(self) -> list[str]:
        """Return the names of the split's examples. Raises DataError if its list cannot be read."""
        return self.open().names


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """A data set that nets learn.

    `kind` is the class that knows its files, inputs and labels. Nets learn from `train` and are
    validated on `val`; `phases` is what the file names of the authors' nets call the two. Scores of
    a set with `drop_absent` leave out the classes that are absent from the truth. `colour_numbers`
    holds the classes whose colour is not the VOC palette's of their own number, with the number
    whose colour it is.
    """

    kind: type[SegDataset]
    train: Source | None = None
    val: Source | None = None
    phases: tuple[str, str] = ('train', 'val')
    drop_absent: bool = False
    colour_numbers: Mapping[str, int] = field(default_factory=dict)

    @property
    def inputs(self) -> Mapping[str, Input]:
        """The inputs of the class (`data_layers.inputs`) by top."""
        return self.kind.inputs

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """The class names of each label, in order of their values."""
        return self.kind.labels

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names of the first label."""
        return next(iter(self.labels.values()))

    @property
    def colours(self) -> np.ndarray:
        """The colours of the first label's classes: K×3 uint8 RGB."""
        return self.colours_of(next(iter(self.labels)))

    def colours_of(self, label: str) -> np.ndarray:
        """Return the colours of a label's classes in all pictures: K×3 uint8 RGB."""
        names = self.labels[label]
        numbers = [self.colour_numbers.get(name, number) for number, name in enumerate(names)]
        return voc_palette()[numbers]
