"""Segments an image of any size in bounded memory, by tiles whose seams do not show.

A score depends on a window of pixels (nets.field). A tile is as much wider than what
is kept of it, and begins on a multiple of the net's stride, so that every pooling window
falls as in the whole image: what is kept has the scores of the whole image.
"""

from math import ceil
from typing import NamedTuple

import numpy as np

from fcn.errors import FCNError
from fcn.nets import deploy_net
from fcn.nets.receptive_field import receptive_fields

from .inference import segment


class Tiling(NamedTuple):
    """Overlap to every side and the grid that tiles begin on, in pixels."""

    margin: int
    stride: int

    @classmethod
    def of(cls, config):
        """What a config of nets.NETS needs."""
        found = receptive_fields(deploy_net(config))
        scores = [found[top] for top in config.score_blobs.values()]
        stride = int(max(field.stride for field in found.values()))
        reach = max(max(-field.low, field.high) for field in scores)
        return cls(stride * ceil(reach / stride), stride)

    def smallest(self):
        """The side of the smallest tile of which anything is kept."""
        return 2 * self.margin + self.stride

    def boxes(self, height, width, side):
        """Yield (kept, tile), pairs of config and column slices, for tiles of at most side×side.

        FCNError if the side leaves nothing to keep.
        """
        step = (side - 2 * self.margin) // self.stride * self.stride
        if step <= 0:
            raise FCNError(
                f'tiles of {side} pixels are all overlap for this net; give {self.smallest()} or more'
            )
        for y in range(0, height, step):
            for x in range(0, width, step):
                kept = slice(y, min(y + step, height)), slice(x, min(x + step, width))
                tile = tuple(
                    slice(max(0, part.start - self.margin), min(part.stop + self.margin, full))
                    for part, full in zip(kept, (height, width), strict=True)
                )
                yield kept, tile


def segment_tiled(net, config, images, side):
    """{label: H×W uint8 classes} of an image by tiles of at most side×side, as evaluate.segment gives them."""
    height, width = next(iter(images.values())).shape[:2]
    labels = {label: np.empty((height, width), np.uint8) for label in config.score_blobs}
    for kept, tile in Tiling.of(config).boxes(height, width, side):
        found = segment(net, config, {name: image[tile] for name, image in images.items()})
        inside = tuple(
            slice(part.start - whole.start, part.stop - whole.start)
            for part, whole in zip(kept, tile, strict=True)
        )
        for label, classes in found.items():
            labels[label][kept] = classes[inside]
    return labels
