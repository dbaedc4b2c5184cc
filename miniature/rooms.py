"""The rooms of the miniature NYUDv2, drawn in colour and in depth.

A camera looks down a little at a wall and a floor. Boards in the shapes of the miniature stand before the
wall, and pictures of the same shapes hang on it. In colour the two look alike, shadow included; in depth
only boards are seen, with ragged outlines, for depth is measured as a Kinect does: noisier with distance,
astray by a pixel or two, and with holes where its light does not reach.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import minimum_filter

from fcn.data_layers import MiniNYUD
from fcn.data_layers.hha import NYUD_CAMERA, Camera
from fcn.data_layers.images import fill_nearest

from .shapes import SMALLEST, background, develop, distract, noise, paint

CLASSES = MiniNYUD.labels['label']
SHAPES = CLASSES[3:]
WALL, FLOOR, PICTURE = range(3)
SIZE = (120, 160)  # pixels, a quarter of NYUDv2's
CAMERA = Camera(
    NYUD_CAMERA.fx / 4, NYUD_CAMERA.fy / 4, (NYUD_CAMERA.cx + 1.5) / 4, (NYUD_CAMERA.cy + 1.5) / 4
)
LARGEST = 72  # pixels, of a shape
GAP = 0.75  # of the distance to the wall that to a board is, at most


class Room(NamedTuple):
    """One example, H×W: `image` uint8 RGB, `depth` uint16 in millimetres, 0 where it has a hole, and `label` uint8."""

    image: np.ndarray
    depth: np.ndarray
    label: np.ndarray


def _planes(rng):
    """Depth in metres of a wall and of a floor, each H×W as if the other were not; infinite above the horizon."""
    y, x = np.ogrid[1 : SIZE[0] + 1, 1 : SIZE[1] + 1]
    across, down = (x - CAMERA.cx) / CAMERA.fx, (y - CAMERA.cy) / CAMERA.fy
    pitch, yaw = np.radians(rng.uniform(8, 20)), np.radians(rng.uniform(-25, 25))
    falling = np.cos(pitch) * down + np.sin(pitch)
    forward = np.cos(yaw) * (np.cos(pitch) - np.sin(pitch) * down) + np.sin(yaw) * across
    floor = np.full(SIZE, np.inf)
    np.divide(rng.uniform(1.1, 1.5), falling, where=falling > 0.01, out=floor)
    return rng.uniform(2.6, 4.2) / forward, floor


def measured(depth, rng):
    """What a Kinect gives for H×W depth in metres: uint16 millimetres with noise and holes."""
    height, width = depth.shape
    y, x = np.mgrid[:height, :width]
    astray = [
        np.clip((at + 1.5 * noise(rng, height, width, 4)).round().astype(int), 0, most - 1)
        for at, most in ((y, height), (x, width))
    ]
    # Its light comes from the side: what is nearer casts a shadow without depth.
    shadow = depth - minimum_filter(depth, (1, 3), origin=(0, -1)) > 0.1 * depth
    holes = shadow | (noise(rng, height, width, 6) > 0.85)
    found = depth[tuple(astray)] + 0.003 * depth**2 * rng.standard_normal(depth.shape)
    return np.where(holes, 0, 1000 * found).round().astype(np.uint16)


def filled(depth):
    """H×W depth whose holes have the depth nearest to them, as NYUDv2's was filled before HHA was computed."""
    return fill_nearest(depth, depth == 0)


def _place(rng, wall, floor, count):
    """Up to `count` shapes that do not overlap much, as (class name, half extent, centre, distance as a share of the
    wall's, which is 1 for a picture)."""
    height, width = SIZE
    placed = []
    for _ in range(20 * count):
        name = str(rng.choice(SHAPES))
        r = rng.uniform(SMALLEST[name], LARGEST) / 2
        centre = rng.uniform((0.3 * r, 0.5 * r), (height - r, width - 0.5 * r))
        share = rng.uniform(0.5, GAP) if rng.random() < 0.6 else 1.0
        lowest = int(centre[0] + r), int(centre[1])
        if share * wall[lowest] < floor[lowest] and all(
            np.hypot(*(centre - other)) > 0.8 * (r + reach) for _, reach, other, _ in placed
        ):
            placed.append((name, r, centre, share))
    return placed[:count]


def draw_room(seed, split, index):
    """Room `index` of split number `split`, by seeds of its own."""
    rng = np.random.default_rng([seed, 1, split, index])
    wall, floor = _planes(rng)
    below = floor < wall
    depth = np.minimum(wall, floor)
    image = np.where(below[..., None], background(rng, *SIZE), background(rng, *SIZE))
    label = np.where(below, FLOOR, WALL).astype(np.uint8)
    distract(image, label, rng, 2)
    for name, r, centre, share in _place(rng, wall, floor, rng.integers(4, 7, endpoint=True)):
        value = PICTURE if share == 1 else CLASSES.index(name)
        window, covered = paint(image, label, rng, name, r, centre, value)
        depth[window][covered] = share * wall[window][covered]
    return Room(develop(image, rng), measured(depth, rng), label)
