"""Segments an image of any size in bounded memory, by tiles whose seams do not show.

A score depends on a window of pixels (nets.receptive_field). A tile is as much wider than what is
kept of it, and begins on a multiple of the net's stride, so that every pooling window falls as in
the whole image: what is kept has the scores of the whole image.
"""

from collections.abc import Callable, Iterator
from math import ceil
from typing import NamedTuple

import numpy as np

from fcn.errors import FCNError
from fcn.inference import Images
from fcn.nets import NetConfig, deploy_net
from fcn.nets.receptive_field import receptive_fields

Box = tuple[slice, slice]


class Tiling(NamedTuple):
    """The overlap to every side and the grid that tiles begin on, in pixels."""

    margin: int
    stride: int

    @classmethod
    def of(cls, config: NetConfig) -> 'Tiling':
        """Return what a net needs."""
        fields = receptive_fields(deploy_net(config))
        scores = [fields[blob] for blob in config.score_blobs.values()]
        stride = int(max(field.stride for field in fields.values()))
        reach = max(max(-field.low, field.high) for field in scores)
        return cls(stride * ceil(reach / stride), stride)

    def smallest(self) -> int:
        """Return the side of the smallest tile of which anything is kept."""
        return 2 * self.margin + self.stride

    def tiles(self, height: int, width: int, side: int) -> int:
        """Return how many tiles of at most side×side cover an image."""
        return sum(1 for _ in self.boxes(height, width, side))

    def boxes(self, height: int, width: int, side: int) -> Iterator[tuple[Box, Box]]:
        """Yield (kept, tile), pairs of row and column slices, for tiles of at most side×side.

        Raises FCNError if the side leaves nothing to keep.
        """
        step = (side - 2 * self.margin) // self.stride * self.stride
        if step <= 0:
            raise FCNError(
                f'tiles of {side} pixels are all overlap for this net; '
                f'give {self.smallest()} or more'
            )
        for y in range(0, height, step):
            for x in range(0, width, step):
                kept = slice(y, min(y + step, height)), slice(x, min(x + step, width))
                yield kept, (self._widened(kept[0], height), self._widened(kept[1], width))

    def _widened(self, kept: slice, size: int) -> slice:
        return slice(max(0, kept.start - self.margin), min(kept.stop + self.margin, size))


def by_tiles(
    compute: Callable[[Images], dict[str, np.ndarray]], tiling: Tiling, images: Images, side: int
) -> dict[str, np.ndarray]:
    """Compute arrays of an image, (…×)H×W each by name, by tiles of at most side×side.

    `compute` does it for a part of the image: `inference.segment`, or `inference.forward`.
    """
    height, width = next(iter(images.values())).shape[:2]
    whole: dict[str, np.ndarray] = {}
    for kept, tile in tiling.boxes(height, width, side):
        parts = compute({name: image[tile] for name, image in images.items()})
        for name, part in parts.items():
            if name not in whole:
                whole[name] = np.empty((*part.shape[:-2], height, width), part.dtype)
            whole[name][(..., *kept)] = part[(..., *inside(kept, tile))]
    return whole


def inside(kept: Box, tile: Box) -> Box:
    """Return where in a tile lies what is kept of it."""
    rows, columns = (
        slice(part.start - around.start, part.stop - around.start)
        for part, around in zip(kept, tile, strict=True)
    )
    return rows, columns
