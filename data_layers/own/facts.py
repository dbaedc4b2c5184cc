"""What the masks of a set hold, counted before anything is made of it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fcn.errors import DataError

from ..images import VOID
from .masks import OPAQUE, Coding, Pixels, grey_values, kinds_of, nearest, read_pixels

READERS = 8  # files at once: they wait for the disk more than for the processor
MAX_KINDS = 4096  # different values or colours of a file that are kept, the most frequent


@dataclass(frozen=True)
class MaskFacts:
    """What one mask holds.

    `counts` are the opaque pixels of each value, or of each packed colour if it is `coloured`: the
    most frequent of the `kinds` there are. `palette` gives the packed colours of a palette image's
    values that occur. `transparent` and `smooth` are the shares of pixels that are quite and half
    transparent. `problem` says why the mask cannot be read.
    """

    path: Path
    size: tuple[int, int] = (0, 0)  # height and width
    coloured: bool = False
    counts: dict[int, int] = field(default_factory=dict)
    kinds: int = 0
    palette: dict[int, int] | None = None
    transparent: float = 0.0
    smooth: float = 0.0
    lossy: bool = False
    problem: str = ''


def examine(path: Path) -> MaskFacts:
    """Return what a mask holds, or why it cannot be read."""
    try:
        pixels = read_pixels(path)
    except DataError as error:
        return MaskFacts(path, problem=str(error))
    coloured, values = pixels.coloured, pixels.values
    if coloured and (grey := grey_values(pixels)) is not None and not pixels.lossy:
        coloured, values = False, grey
    opaque = values if pixels.alpha is None else values[pixels.alpha > 0]
    found, places = kinds_of(opaque)
    counts = np.bincount(places.ravel(), minlength=len(found))
    order = np.argsort(-counts, kind='stable')[:MAX_KINDS]
    kept = {int(found[place]): int(counts[place]) for place in order}
    return MaskFacts(
        path,
        (int(values.shape[0]), int(values.shape[1])),
        coloured,
        kept,
        len(found),
        _used(pixels, kept),
        _share(pixels, lambda alpha: alpha == 0),
        _share(pixels, lambda alpha: (alpha > 0) & (alpha < OPAQUE)),
        pixels.lossy,
    )


def _used(pixels: Pixels, values: Iterable[int]) -> dict[int, int] | None:
    if pixels.palette is None:
        return None
    return {value: int(pixels.palette[value]) for value in values}


def _share(pixels: Pixels, which: Callable[[np.ndarray], Any]) -> float:
    return 0.0 if pixels.alpha is None else float(which(pixels.alpha).mean())


def examine_all(
    paths: Sequence[Path], progress: Callable[[Iterable[Any]], Iterable[Any]] = iter
) -> list[MaskFacts]:
    """Return what each mask holds, several files at once. `progress` wraps the iteration."""
    with ThreadPoolExecutor(READERS) as pool:
        facts = pool.map(examine, paths)
        return [fact for fact, _ in zip(facts, progress(paths), strict=True)]


def total(facts: Iterable[MaskFacts]) -> Counter[int]:
    """Return how many pixels each value or colour takes in all."""
    counts: Counter[int] = Counter()
    for fact in facts:
        counts.update(fact.counts)
    return counts


def classes_in(fact: MaskFacts, coding: Coding) -> set[int]:
    """Return the classes that a mask holds, as the coding has it."""
    return {number for number, pixels in pixels_of(fact, coding).items() if number != VOID}


def pixels_of(fact: MaskFacts, coding: Coding) -> Counter[int]:
    """Return the pixels of each class in a mask, as the coding has it."""
    pixels: Counter[int] = Counter()
    if fact.transparent:
        pixels[coding.transparent] = round(fact.transparent * fact.size[0] * fact.size[1])
    for value, count in fact.counts.items():
        if (number := class_of(value, fact, coding)) is not None:
            pixels[number] += count
    if unknown := unknown_of(fact, coding):
        numbers = [VOID] * len(unknown)
        if coding.unknown == 'snap' and coding.colours:
            near = nearest(np.array(list(unknown)), list(coding.colours))
            numbers = [coding.colours[int(colour)] for colour in near]
        for number, count in zip(numbers, unknown.values(), strict=True):
            pixels[number] += count
    return pixels


def unknown_of(fact: MaskFacts, coding: Coding) -> Counter[int]:
    """Return the opaque pixels of each value, or packed colour, that is of no class."""
    unknown: Counter[int] = Counter()
    for value, count in fact.counts.items():
        if class_of(value, fact, coding) is None:
            unknown[_colour(value, fact) if coding.colours else value] += count
    return unknown


def class_of(value: int, fact: MaskFacts, coding: Coding) -> int | None:
    """Return the class of a mask's value or colour; None if it has none."""
    if coding.colours:
        return coding.colours.get(_colour(value, fact))
    if coding.values is not None:
        return coding.values.get(value)
    return value if 0 <= value < coding.classes or value == VOID else None


def _colour(value: int, fact: MaskFacts) -> int:
    if fact.coloured:
        return value
    return fact.palette[value] if fact.palette else value * 0x010101
