"""The scenes of the miniature, drawn by code.

Textured shapes of six classes lie over cluttered backgrounds and over one another. Colour says
nothing about the class, texture something, shape everything. Thin parts (rings, arms, bars) are
finer than a stride of 32 or 16 pixels, so that a net with finer strides has something to gain.

A shape is a signed distance in pixels, negative inside: one array gives the antialiased picture,
the crisp label, the void band around it and its shadow.
"""

import colorsys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from fcn.data_layers import VOID, Mini

from .placing import place_apart

CLASSES = Mini.labels['label']
SPLITS = ('train', 'val')
VOID_BAND = 0.75  # pixels each side of an outline: the thinnest that leaves no two labels touching
SHADOW = 4  # pixels it reaches beyond a shape

# The minimum extent of an object of a class, in pixels across; the maximum is the same for all.
MIN_EXTENT = {'disc': 20, 'ring': 40, 'square': 20, 'triangle': 30, 'star': 44, 'bar': 48}
MAX_EXTENT = 96

# A class wears its own texture more often than not, a distractor any.
TEXTURES = {
    'disc': 'dots',
    'ring': 'stripes',
    'square': 'checks',
    'triangle': 'waves',
    'star': 'ripples',
    'bar': 'hatch',
}
OWN_TEXTURE = 0.9


Window = tuple[slice, slice]  # rows and columns of a picture


class Placed(NamedTuple):
    """An object of class `name` and half extent `r` pixels around `centre`, (row, column)."""

    name: str
    r: float
    centre: np.ndarray


class Scene(NamedTuple):
    """One example: `image` H×W×3 uint8 RGB, `label` H×W uint8 in {0..6, 255}."""

    image: np.ndarray
    label: np.ndarray


# Shapes: signed distances of the points (u, v) to an outline around the origin, in pixels.


def box(u: np.ndarray, v: np.ndarray, half_width: float, half_height: float) -> np.ndarray:
    """Return the distance to an upright rectangle."""
    x, y = np.abs(u) - half_width, np.abs(v) - half_height
    return np.hypot(np.maximum(x, 0), np.maximum(y, 0)) + np.minimum(np.maximum(x, y), 0)


def star(u: np.ndarray, v: np.ndarray, points: int, outer: float, inner: float) -> np.ndarray:
    """Return the distance to a star whose tips and notches lie at the radii `outer` and `inner`."""
    sector = 2 * np.pi / points
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    angle = np.abs(angle - sector * np.round(angle / sector))  # all edges fold onto one
    x, y = radius * np.cos(angle) - outer, radius * np.sin(angle)
    edge_x, edge_y = inner * np.cos(sector / 2) - outer, inner * np.sin(sector / 2)
    along = np.clip((x * edge_x + y * edge_y) / (edge_x**2 + edge_y**2), 0, 1)
    outside = np.sign(x * edge_y - y * edge_x)
    return outside * np.hypot(x - along * edge_x, y - along * edge_y)


def blob(u: np.ndarray, v: np.ndarray, r: float, rng: np.random.Generator) -> np.ndarray:
    """Return about the distance to a closed wavy curve of radius about `r`."""
    angle, radius = np.arctan2(v, u), np.hypot(u, v)
    wave = sum(
        rng.uniform(0.05, 0.3) / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
        for k in (2, 3, 5)
    )
    return 0.8 * (radius - r * (1 + wave))


def shape(
    name: str, u: np.ndarray, v: np.ndarray, r: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the distance to an object of class `name` of extent 2`r`.

    `rng` draws its proportions. Raises ValueError for a name that is no shape's.
    """
    if name == 'disc':
        return np.hypot(u, v) - r
    if name == 'ring':
        thickness = max(4.0, r * rng.uniform(0.24, 0.4))
        return np.abs(np.hypot(u, v) - r + thickness / 2) - thickness / 2
    if name == 'square':
        return box(u, v, 0.8 * r, 0.8 * r)
    if name == 'triangle':
        return star(u, v, 3, r, r / 2)
    if name == 'star':
        return star(u, v, 5, r, r * rng.uniform(0.36, 0.46))
    if name == 'bar':
        return box(u, v, r, max(3.0, r * rng.uniform(0.14, 0.2)))
    raise ValueError(f'{name}: no such shape')


# Textures: patterns over the same points, from 0 for one colour to 1 for another.


def _steep(wave: np.ndarray, slope: float = 3) -> np.ndarray:
    """Return a wave around zero as a pattern of two tones with soft edges."""
    return np.clip(0.5 + slope / 2 * wave, 0, 1)


PATTERNS = {  # of the phases along u and v
    'plain': lambda a, b, rng: 0.5 + 0.5 * np.tanh(a / 30),
    'stripes': lambda a, b, rng: _steep(np.sin(b)),
    'checks': lambda a, b, rng: _steep(np.sin(a) * np.sin(b), 6),
    'dots': lambda a, b, rng: _steep(np.cos(0.7 * a) + np.cos(0.7 * b) - 0.8),
    'waves': lambda a, b, rng: _steep(np.sin(b + 1.5 * np.sin(0.6 * a))),
    'ripples': lambda a, b, rng: _steep(np.sin(np.hypot(a, b))),
    'hatch': lambda a, b, rng: np.maximum(_steep(np.sin(a + b) - 0.5), _steep(np.sin(a - b) - 0.5)),
    'grain': lambda a, b, rng: rng.random(a.shape, np.float32),
}


def texture(name: str | None, u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the pattern `name` (any if None) at the points (u, v).

    Each averages 0.5, so that brightness does not tell them apart.
    """
    phase = 2 * np.pi / rng.uniform(4.5, 9)  # period in pixels
    pattern = PATTERNS[name or rng.choice(list(PATTERNS))](phase * u, phase * v, rng)
    return pattern - pattern.mean() + 0.5


def colours(rng: np.random.Generator, contrast: float, saturation: float) -> list[np.ndarray]:
    """Return a dark and a light RGB colour in [0, 1] of random hues, about `contrast` apart in
    brightness."""
    middle = rng.uniform(0.4, 0.6)
    tints = [
        np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.1, saturation), 1))
        for _ in range(2)
    ]
    return [
        np.clip(tint - tint.mean() + brightness, 0, 1).astype(np.float32)
        for tint, brightness in zip(
            tints, (middle - contrast / 2, middle + contrast / 2), strict=True
        )
    ]


def mixed(pair: Sequence[np.ndarray], pattern: np.ndarray) -> np.ndarray:
    """Return the colours of `pair` in the proportions of `pattern` H×W, as H×W×3."""
    return pair[0] + pattern[..., None] * (pair[1] - pair[0])


# Pictures: float32 H×W×3 in [0, 1], painted from back to front.


def noise(rng: np.random.Generator, height: int, width: int, cell: int) -> np.ndarray:
    """Return smooth noise in about [-1, 1], H×W, whose features are `cell` pixels wide."""
    coarse = rng.uniform(-1, 1, (height // cell + 2, width // cell + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def blend(image: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> None:
    """Lay `colour` (RGB, or one per pixel) over `image` in place, by `alpha` H×W in [0, 1]."""
    image += alpha[..., None] * (colour - image)


def _turned(
    y: np.ndarray,
    x: np.ndarray,
    centre: Sequence[float] | np.ndarray,
    angle: float,
    tall: float = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the points (y, x) seen from `centre`, turned by `angle`, as (u, v).

    They lie in a plane that looks `tall` times as high as it is.
    """
    y, x, cos, sin = (y - centre[0]) / tall, x - centre[1], np.cos(angle), np.sin(angle)
    return (cos * x + sin * y).astype(np.float32), (cos * y - sin * x).astype(np.float32)


def background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return a clutter of gradients, noise, faint texture and lines, float32 H×W×3."""
    y, x = np.mgrid[:height, :width]
    u, v = _turned(y, x, (height / 2, width / 2), rng.uniform(0, 2 * np.pi))
    pair = colours(rng, rng.uniform(0.1, 0.25), 0.35)
    mix = 0.5 + u / width * rng.uniform(0, 0.7) + 0.35 * noise(rng, height, width, 32)
    mix += 0.25 * noise(rng, height, width, 10)
    image = mixed(pair, np.clip(mix, 0, 1)).astype(np.float32)
    region = np.clip(4 * noise(rng, height, width, 40) - 0.6, 0, 1) * rng.uniform(0.3, 0.9)
    blend(image, mixed(colours(rng, 0.15, 0.35), texture(None, u, v, rng)), region)
    for _ in range(rng.integers(2, 7)):
        u, v = _turned(y, x, rng.uniform(0, (height, width)), rng.uniform(0, 2 * np.pi))
        distance = box(u, v, rng.uniform(15, 90), rng.uniform(0.4, 0.9))
        blend(
            image, rng.random(3, np.float32), rng.uniform(0.3, 0.9) * np.clip(0.5 - distance, 0, 1)
        )
    return image


def paint(
    image: np.ndarray,
    label: np.ndarray,
    rng: np.random.Generator,
    name: str | None,
    r: float,
    centre: np.ndarray,
    value: int | None = None,
    tall: float = 1,
) -> tuple[Window, np.ndarray]:
    """Paint one object of class `name` and extent 2`r` in place; None is a distractor, which gets
    no label.

    Its label is `value`, by default its number in CLASSES, and it looks `tall` times as high as it
    is. Returns the window that it lies in, and what it covers there, H×W bool.
    """
    reach = 1.4 * r + SHADOW + 2
    top, left = (max(0, int(c - reach)) for c in centre)
    bottom, right = (int(c + reach) for c in centre)
    window = slice(top, bottom), slice(left, right)
    image, label = image[window], label[window]
    y, x = np.mgrid[top : top + label.shape[0], left : left + label.shape[1]]
    u, v = _turned(y, x, centre, rng.uniform(0, 2 * np.pi), tall)
    distance = tall * (blob(u, v, r, rng) if name is None else shape(name, u, v, r, rng))
    shadow = np.clip(0.5 - distance / (2 * SHADOW), 0, 0.5)
    image[2:, 2:] *= 1 - shadow[:-2, :-2, None]
    pattern = texture(TEXTURES.get(name or '') if rng.random() < OWN_TEXTURE else None, u, v, rng)
    shade = 1 + rng.uniform(-0.2, 0.2) * u / r
    colour = mixed(colours(rng, rng.uniform(0.45, 0.7), 0.8), pattern) * shade[..., None]
    blend(image, colour, np.clip(0.5 - distance, 0, 1))
    if name is not None:
        label[distance < VOID_BAND] = VOID
        label[distance <= -VOID_BAND] = CLASSES.index(name) if value is None else value
    return window, distance <= 0


def distract(
    image: np.ndarray, label: np.ndarray, rng: np.random.Generator, max_count: int
) -> None:
    """Paint up to `max_count` distractors anywhere."""
    for _ in range(rng.integers(0, max_count, endpoint=True)):
        paint(image, label, rng, None, rng.uniform(5, 24), rng.uniform(0, label.shape))


def develop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the painted picture as a camera gives it: noisy, uint8."""
    image = 255 * image + 5 * rng.standard_normal(image.shape, np.float32)
    return np.clip(image, 0, 255).astype(np.uint8)


def _place(rng: np.random.Generator, height: int, width: int, count: int) -> list[Placed]:
    """Return up to `count` objects that overlap at most in part."""
    names = rng.permutation(CLASSES[1:])

    def draw(placed: int) -> Placed:
        name = str(names[placed % len(names)])
        r = rng.uniform(MIN_EXTENT[name], MAX_EXTENT) / 2
        centre = rng.uniform((0.4 * r, 0.4 * r), (height - 0.4 * r, width - 0.4 * r))
        return Placed(name, r, centre)

    return place_apart(draw, count, tries=6 * count, min_distance=0.65)


def draw(seed: int, split: str, index: int, size: Sequence[int]) -> Scene:
    """Return scene `index` of `split`, with sides from size[0] to size[1] pixels.

    It has its own seeds, so that it does not change with how many scenes are drawn.
    """
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    height, width = rng.integers(size[0], size[1], 2, endpoint=True)
    image, label = background(rng, height, width), np.zeros((height, width), np.uint8)
    distract(image, label, rng, 3)
    count = int(height * width / 128**2 * rng.uniform(3, 5) + 0.5)
    for name, r, centre in _place(rng, height, width, count):
        paint(image, label, rng, name, r, centre)
    return Scene(develop(image, rng), label)


def draw_object(seed: int, index: int, side: int) -> tuple[np.ndarray, int]:
    """Return one object in the middle of clutter, side×side×3 uint8 RGB, and its number in CLASSES.

    They stand for ILSVRC: the pictures that a classifier learns from before it becomes an FCN.
    """
    rng = np.random.default_rng([seed, len(SPLITS), index])
    image, label = background(rng, side, side), np.zeros((side, side), np.uint8)
    distract(image, label, rng, 2)
    name = str(rng.choice(CLASSES[1:]))
    r = rng.uniform(MIN_EXTENT[name], min(MAX_EXTENT, side)) / 2
    paint(image, label, rng, name, r, side / 2 + rng.uniform(-0.5, 0.5, 2) * (side / 2 - 0.6 * r))
    return develop(image, rng), CLASSES.index(name)
