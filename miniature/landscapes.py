"""The landscapes of the miniature SIFT Flow, each labelled twice.

Under a sky lies a field, and houses stand on the horizon. The semantic classes are these three and
the shapes of the miniature. The geometric classes are the surfaces they show: a shape that floats
is sky, one that stands is vertical, and one that lies on the field, foreshortened, is horizontal.
So neither labelling follows from the other.
"""

from typing import NamedTuple

import numpy as np

from fcn.data_layers import VOID, MiniSIFTFlow

from .placing import place_apart
from .shapes import (
    MIN_EXTENT,
    background,
    blend,
    colours,
    develop,
    mixed,
    noise,
    paint,
    texture,
)

SEMANTIC, GEOMETRIC = MiniSIFTFlow.labels.values()
SHAPES = SEMANTIC[3:]
SKY, FIELD, BUILDING = range(3)
SURFACES = {name: GEOMETRIC.index(name) for name in ('sky', 'horizontal', 'vertical')}
SIZE = (128, 128)  # pixels, half of SIFT Flow's
MAX_EXTENT = 72  # pixels, of a shape
FORESHORTENED = 0.45  # height of what lies, as a share of its width


class Standing(NamedTuple):
    """A shape of half extent `r` pixels around `centre`, (row, column), on a surface."""

    name: str
    r: float
    centre: np.ndarray
    surface: str


class Landscape(NamedTuple):
    """One example: `image` H×W×3 uint8 RGB, and its two labels, H×W uint8."""

    image: np.ndarray
    semantic: np.ndarray
    geometric: np.ndarray


def _sky(rng: np.random.Generator) -> np.ndarray:
    """Return a smooth and bright sky, float32 H×W×3 in [0, 1]."""
    height, width = SIZE
    mix = np.clip(np.linspace(0, 1, height)[:, None] + 0.5 * noise(rng, height, width, 40), 0, 1)
    return np.clip(mixed(colours(rng, 0.2, 0.3), mix) + 0.2, 0, 1).astype(np.float32)


def _houses(
    image: np.ndarray,
    semantic: np.ndarray,
    geometric: np.ndarray,
    horizon: int,
    rng: np.random.Generator,
) -> None:
    """Paint up to three houses across the horizon, in place."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for _ in range(rng.integers(1, 3, endpoint=True)):
        left, wide = rng.uniform(-10, SIZE[1] - 20), rng.uniform(24, 56)
        top, bottom = horizon - rng.uniform(16, 44), horizon + rng.uniform(4, 14)
        inside = (x >= left) & (x < left + wide) & (y >= top) & (y < bottom)
        pattern = texture('checks' if rng.random() < 0.7 else 'hatch', x, y, rng)
        blend(image, mixed(colours(rng, rng.uniform(0.2, 0.4), 0.5), pattern), inside)
        semantic[inside], geometric[inside] = BUILDING, SURFACES['vertical']


def _place(rng: np.random.Generator, horizon: int, count: int) -> list[Standing]:
    """Return up to `count` shapes that do not overlap much."""
    height, width = SIZE

    def draw(placed: int) -> Standing | None:
        name, surface = str(rng.choice(SHAPES)), str(rng.choice(list(SURFACES)))
        r = rng.uniform(MIN_EXTENT[name], MAX_EXTENT) / 2
        tall = FORESHORTENED * r if surface == 'horizontal' else r
        top, bottom = {
            'sky': (0.3 * r, horizon - r),
            'vertical': (horizon - r, height - r),
            'horizontal': (horizon + tall, height - 0.3 * tall),
        }[surface]
        if top >= bottom:
            return None
        centre = rng.uniform((top, 0.4 * r), (bottom, width - 0.4 * r))
        return Standing(name, r, centre, surface)

    return place_apart(draw, count, tries=20 * count, min_distance=0.8)


def draw_landscape(seed: int, split: int, index: int) -> Landscape:
    """Return landscape `index` of split number `split`, by seeds of its own."""
    rng = np.random.default_rng([seed, 2, split, index])
    horizon = int(rng.uniform(0.4, 0.6) * SIZE[0])
    below = np.broadcast_to(np.arange(SIZE[0])[:, None] >= horizon, SIZE)
    image = np.where(below[..., None], background(rng, *SIZE), _sky(rng))
    semantic = np.where(below, FIELD, SKY).astype(np.uint8)
    geometric = np.where(below, SURFACES['horizontal'], SURFACES['sky']).astype(np.uint8)
    _houses(image, semantic, geometric, horizon, rng)
    count = int(rng.integers(3, 6, endpoint=True))
    for name, r, centre, surface in _place(rng, horizon, count):
        tall = FORESHORTENED if surface == 'horizontal' else 1
        window, covered = paint(image, semantic, rng, name, r, centre, SEMANTIC.index(name), tall)
        geometric[window][covered] = SURFACES[surface]
        geometric[window][semantic[window] == VOID] = VOID
    return Landscape(develop(image, rng), semantic, geometric)
