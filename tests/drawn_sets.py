"""Small pictures with labels that are known, for tests that export them in the forms of tools."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fcn.data_layers.own.annotations import read_annotation
from fcn.data_layers.own.layouts import Found
from fcn.data_layers.own.masks import read_mask

SIZE = 30, 40  # height and width
NAMES = [f'p{number}' for number in range(8)]
CLASSES = 'background', 'box', 'tri'
COLOURS = (0, 0, 0), (48, 112, 32), (176, 112, 32)
Point = tuple[float, float]


def shapes(number: int) -> list[tuple[int, list[Point]]]:
    """Return the class and the corners of a picture's shapes, the last on top."""
    x, y = 3 + number, 2 + number
    box: list[Point] = [(x, y), (x + 15, y), (x + 15, y + 10), (x, y + 10)]
    triangle = [(x + 8.2, y + 3.4), (x + 25.6, y + 6.1), (x + 11.3, y + 17.7)]
    return [(1, box), (2, triangle)]


def inside(corners: Sequence[Point], size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return the pixels, H×W bool, whose centres a polygon winds around: its angles sum to 2π."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    angles = [np.arctan2(cy - y, cx - x) for cx, cy in corners]
    turns = [np.subtract(b, a) for a, b in zip(angles, [*angles[1:], angles[0]], strict=True)]
    total = sum((turn + math.pi) % (2 * math.pi) - math.pi for turn in turns)
    return np.abs(total) > math.pi


def truth(number: int) -> np.ndarray:
    """Return the classes of a picture's pixels, H×W uint8."""
    labels = np.zeros(SIZE, np.uint8)
    for kind, corners in shapes(number):
        labels[inside(corners)] = kind
    return labels


def save_picture(path: Path, number: int = 0) -> None:
    """Write a picture of noise, in the format that the path's ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 256, (*SIZE, 3), np.uint8)
    Image.fromarray(noise).save(path)


def save_mask(path: Path, labels: np.ndarray, colours: Sequence[Sequence[int]] = ()) -> None:
    """Write labels, H×W, as numbers, or in colours of the classes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.array(colours, np.uint8)[labels] if len(colours) else labels
    Image.fromarray(values).save(path)


def check_masks(found: Found, truths: dict[str, np.ndarray]) -> None:
    """Assert that a set holds these labels, by names, and no others. Its classes may be unknown."""
    manifest = found.manifest
    coding = manifest.coding
    if not coding.classes:
        coding = type(coding)(len(CLASSES))
    held = {e.name: read_mask(manifest.root / e.label, coding) for e in manifest.examples()}
    compare(held, truths)


def check_shapes(found: Found, truths: dict[str, np.ndarray]) -> None:
    """Assert that a set of annotations holds these labels, by names, and no others."""
    manifest = found.manifest
    held = {e.name: read_annotation(manifest, e, SIZE) for e in manifest.examples()}
    compare(held, truths)


def compare(held: dict[str, np.ndarray], truths: dict[str, np.ndarray]) -> None:
    """Assert that labels are equal."""
    assert held.keys() == truths.keys()
    for name, labels in truths.items():
        assert held[name].dtype == np.uint8
        np.testing.assert_array_equal(held[name], labels, name)


def truths() -> dict[str, np.ndarray]:
    """Return the labels of all pictures by their names."""
    return {name: truth(number) for number, name in enumerate(NAMES)}
