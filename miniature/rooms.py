"""The rooms of the miniature NYUDv2, drawn in colour and in depth.

A camera looks down a little at a wall and a floor. Boards in the shapes of the miniature stand in
front of the wall, and pictures of the same shapes hang on it. In colour the two look alike, with
their shadows; in depth only boards are seen. Their outlines are ragged, because depth is measured
as a Kinect measures it: noisier with distance, displaced by a pixel or two, and with holes where
its light does not reach.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import minimum_filter

from fcn.data_layers import MiniNYUD
from fcn.data_layers.hha import NYUD_CAMERA, Camera
from fcn.data_layers.images import fill_nearest

from .placing import place_apart
from .shapes import MIN_EXTENT, background, develop, distract, noise, paint

CLASSES = MiniNYUD.labels['label']
SHAPES = CLASSES[3:]
WALL, FLOOR, PICTURE = range(3)
SIZE = (120, 160)  # pixels, a quarter of NYUDv2's
CAMERA = Camera(
    NYUD_CAMERA.fx / 4, NYUD_CAMERA.fy / 4, (NYUD_CAMERA.cx + 1.5) / 4, (NYUD_CAMERA.cy + 1.5) / 4
)
MAX_EXTENT = 72  # pixels, of a shape
MAX_SHARE = 0.75  # of the distance to the wall: how far away a board may be


class Board(NamedTuple):
    """A shape of half extent `r` pixels around `centre`, (row, column).

    `share` is its distance as a share of the wall's, which is 1 for a picture.
    """

    name: str
    r: float
    centre: np.ndarray
    share: float


class Room(NamedTuple):
    """One example: `image` H×W×3 uint8 RGB, `depth` H×W uint16 in millimetres, 0 where it has a
    hole, and `label` H×W uint8."""

    image: np.ndarray
    depth: np.ndarray
    label: np.ndarray


def _planes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the depth in metres of a wall and of a floor, each H×W without the other.

    The floor's is infinite above the horizon.
    """
    y, x = np.ogrid[1 : SIZE[0] + 1, 1 : SIZE[1] + 1]
    across, down = (x - CAMERA.cx) / CAMERA.fx, (y - CAMERA.cy) / CAMERA.fy
    pitch, yaw = np.radians(rng.uniform(8, 20)), np.radians(rng.uniform(-25, 25))
    falling = np.cos(pitch) * down + np.sin(pitch)
    forward = np.cos(yaw) * (np.cos(pitch) - np.sin(pitch) * down) + np.sin(yaw) * across
    floor = np.full(SIZE, np.inf)
    np.divide(rng.uniform(1.1, 1.5), falling, where=falling > 0.01, out=floor)
    return rng.uniform(2.6, 4.2) / forward, floor


def measured(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return what a Kinect measures of H×W depth in metres: uint16 millimetres, noise, holes."""
    height, width = depth.shape
    y, x = np.mgrid[:height, :width]
    displaced = [
        np.clip((place + 1.5 * noise(rng, height, width, 4)).round().astype(int), 0, side - 1)
        for place, side in ((y, height), (x, width))
    ]
    # Its light comes from the side: what is nearer casts a shadow without depth.
    shadow = depth - minimum_filter(depth, (1, 3), origin=(0, -1)) > 0.1 * depth
    holes = shadow | (noise(rng, height, width, 6) > 0.85)
    noisy = depth[tuple(displaced)] + 0.003 * depth**2 * rng.standard_normal(depth.shape)
    return np.where(holes, 0, 1000 * noisy).round().astype(np.uint16)


def without_holes(depth: np.ndarray) -> np.ndarray:
    """Return H×W depth with its holes filled, as NYUDv2's was before HHA was computed."""
    return fill_nearest(depth, depth == 0)


def _place(
    rng: np.random.Generator, wall: np.ndarray, floor: np.ndarray, count: int
) -> list[Board]:
    """Return up to `count` shapes that do not overlap much, none of them under the floor."""
    height, width = SIZE

    def draw(placed: int) -> Board | None:
        name = str(rng.choice(SHAPES))
        r = rng.uniform(MIN_EXTENT[name], MAX_EXTENT) / 2
        centre = rng.uniform((0.3 * r, 0.5 * r), (height - r, width - 0.5 * r))
        share = rng.uniform(0.5, MAX_SHARE) if rng.random() < 0.6 else 1.0
        lowest = int(centre[0] + r), int(centre[1])
        if share * wall[lowest] >= floor[lowest]:
            return None
        return Board(name, r, centre, share)

    return place_apart(draw, count, tries=20 * count, min_distance=0.8)


def draw_room(seed: int, split: int, index: int) -> Room:
    """Return room `index` of split number `split`, by seeds of its own."""
    rng = np.random.default_rng([seed, 1, split, index])
    wall, floor = _planes(rng)
    below = floor < wall
    depth = np.minimum(wall, floor)
    image = np.where(below[..., None], background(rng, *SIZE), background(rng, *SIZE))
    label = np.where(below, FLOOR, WALL).astype(np.uint8)
    distract(image, label, rng, 2)
    count = int(rng.integers(4, 7, endpoint=True))
    for name, r, centre, share in _place(rng, wall, floor, count):
        value = PICTURE if share == 1 else CLASSES.index(name)
        window, covered = paint(image, label, rng, name, r, centre, value)
        depth[window][covered] = share * wall[window][covered]
    return Room(develop(image, rng), measured(depth, rng), label)
