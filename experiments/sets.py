"""The data sets of an experiment: the miniature, drawn when it is needed, or a real set."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from fcn.data_layers import DATASETS, SegDataset, Source, source_at
from fcn.errors import DataError, FCNError
from fcn.nets import find
from miniature.generate import generate
from miniature.sets import generate_nyud, generate_siftflow

from .settings import Settings

# The miniature in the layouts of other sets than VOC: by `data` of a net's config.
_GENERATE: dict[str, Callable[..., Path]] = {
    'mini-nyud': generate_nyud,
    'mini-siftflow': generate_siftflow,
}
_VOC = ('mini', 'mini-objects')  # The layout of VOC holds both.


class Sets:
    """Finds the images that nets learn from and are scored on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def miniature(self, data: str) -> Path:
        """Return the folder of the miniature that nets of `data` learn; draw it if need be."""
        quick = self.settings.quick
        name = 'mini' if data in _VOC else data
        folder = Path('data') / (f'{name}-quick' if quick else name)
        if data in _VOC:
            images = (80, 40) if quick else (800, 200)
            return generate(folder, *images, objects=400 if quick else 4000)
        if data not in _GENERATE:
            raise FCNError(f'{self.settings.name}: there is no miniature of {data}')
        return _GENERATE[data](folder, *((60, 20) if quick else (600, 150)))

    def source(self, net: str, phase: Literal['train', 'val'], images: int | None = None) -> Source:
        """Return where `net` finds what it learns from ('train') or is scored on ('val').

        `images` takes so many of them. Raises FCNError if the set is not prepared.
        """
        settings, data = self.settings, find(net).data
        real = settings.train_data if phase == 'train' and settings.train_data else settings.data
        source = getattr(DATASETS[data], phase)
        try:
            source = source_at(source, real or self.miniature(data))
            source.names()
        except DataError as error:
            raise FCNError(f'{error}; prepare the set with `{settings.prepare}`') from error
        return source._replace(options=(*source.options, ('limit', images))) if images else source

    def dataset(self, net: str) -> SegDataset:
        """Return the data set that `net` is scored on."""
        return self.source(net, 'val').open()
