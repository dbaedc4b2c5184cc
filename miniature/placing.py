"""Shapes placed at random, so that they overlap only in part."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np


class Placed(Protocol):
    """A shape of half extent `r` pixels around `centre`, (row, column)."""

    @property
    def r(self) -> float: ...
    @property
    def centre(self) -> np.ndarray: ...


Shape = TypeVar('Shape', bound=Placed)


def place_apart(
    draw: Callable[[int], Shape | None], count: int, tries: int, min_distance: float
) -> list[Shape]:
    """Return up to `count` shapes whose centres lie apart.

    `draw` draws a shape, given how many are placed, or None for one that fits nowhere; it is called
    `tries` times. `min_distance` is that of two centres, as a share of the sum of half extents.
    """
    placed: list[Shape] = []
    for _ in range(tries):
        shape = draw(len(placed))
        if shape is not None and all(
            np.hypot(*(shape.centre - other.centre)) > min_distance * (shape.r + other.r)
            for other in placed
        ):
            placed.append(shape)
    return placed[:count]
