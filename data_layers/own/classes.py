"""Which class a name of a format is, and which pixels of masks are of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from fcn.errors import DataError
from fcn.text import few

from ..images import VOID
from ..palette import voc_palette
from .legends import Colour, Legend
from .masks import Coding, pack

MAX_CLASSES = 255
BACKGROUND = frozenset({'background', '_background_', '__background__', 'bg'})
VOIDS = frozenset(
    {
        *('void', 'ignore', 'ignored', '__ignore__', '_ignore_', 'unlabeled', 'unlabelled'),
        *("don't care", 'dontcare'),
    }
)
Unlabelled = Literal['background', 'void']


class Naming(NamedTuple):
    """The classes of a set, the class of each name of its format, or VOID, and the class of pixels
    of nothing. `left_out` are names that are of no class because the user chose others."""

    classes: tuple[str, ...]
    numbers: dict[str, int]
    unlabelled: int
    left_out: tuple[str, ...] = ()

    def note(self) -> str:
        """Return a line about the names that are left out, or ''."""
        if not self.left_out:
            return ''
        where = 'void' if self.unlabelled == VOID else self.classes[self.unlabelled]
        return f'of no class, so {where}: {few(self.left_out)}'


def name_classes(
    names: Sequence[str],
    chosen: Sequence[str] | None,
    unlabelled: Unlabelled,
    shapes: bool,
) -> Naming:
    """Return the classes that a format's `names` are, in their order, or in that of `chosen`.

    A name such as 'void' is no class. Where there are pixels of nothing, as with `shapes`, or of
    names that were not chosen, they are of the class 'background', made if no name is that, or
    void. Raises DataError if there are no classes, or too many.
    """
    wanted = list(chosen) if chosen else [name for name in names if name.lower() not in VOIDS]
    left_out = [name for name in names if name not in wanted and name.lower() not in VOIDS]
    ground = next((name for name in wanted if name.lower() in BACKGROUND), None)
    if ground is None and unlabelled == 'background' and (shapes or left_out):
        ground = next((name for name in left_out if name.lower() in BACKGROUND), 'background')
        left_out = [name for name in left_out if name != ground]
        wanted.insert(0, ground)
    if twice := [name for place, name in enumerate(wanted) if name in wanted[:place]]:
        raise DataError(f"the class '{twice[0]}' is named twice; name it once")
    if not wanted or len(wanted) > MAX_CLASSES:
        raise DataError(f'{len(wanted)} classes; 1 to {MAX_CLASSES} can be learned: name fewer')
    nothing = VOID if unlabelled == 'void' or ground is None else wanted.index(ground)
    numbers = {name: VOID if name.lower() in VOIDS else nothing for name in names}
    numbers |= {name: number for number, name in enumerate(wanted)}
    return Naming(tuple(wanted), numbers, nothing, tuple(left_out))


def colours_of(naming: Naming, legend: Legend | None = None) -> tuple[Colour, ...]:
    """Return the colours of classes: the legend's, and the VOC palette's for those without."""
    own: dict[str, Colour] = {}
    if legend is not None and legend.colours is not None:
        own = dict(zip(legend.names, legend.colours, strict=True))
    palette = [(int(red), int(green), int(blue)) for red, green, blue in voc_palette()]
    free = (colour for colour in palette[:VOID] if colour not in own.values())
    if own:
        return tuple(own[name] if name in own else next(free) for name in naming.classes)
    return tuple(palette[: len(naming.classes)])


def coding_of(legend: Legend, naming: Naming, by_colour: bool) -> Coding:
    """Return how masks are coded whose values are the numbers, or the colours, of a legend.

    Transparent pixels are pixels of nothing.
    """
    coding = Coding(len(naming.classes), transparent=naming.unlabelled)
    if by_colour and legend.colours is not None:
        packed = pack(np.array(legend.colours)).tolist()
        named = zip(packed, legend.names, strict=True)
        return replace(coding, colours={colour: naming.numbers[name] for colour, name in named})
    named = zip(legend.values(), legend.names, strict=True)
    values = {value: naming.numbers[name] for value, name in named if value >= 0}
    if all(place == number for place, number in values.items()):
        return coding
    return replace(coding, values={VOID: VOID, **values})


def check_chosen(chosen: Sequence[str] | None, names: Sequence[str], path: Path) -> None:
    """Raise DataError if a class that the user chose is in no legend."""
    known = {*names, *BACKGROUND}
    if missing := [name for name in chosen or () if name not in known]:
        raise DataError(
            f"{path}: has no class '{missing[0]}'; it has {few(names)}, and --classes names some "
            'of them'
        )
