"""From a folder to a manifest: what its labels hold decides what is still open."""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fcn.errors import DataError

from ..images import VOID, Way
from ..palette import voc_palette
from ..voc import CLASSES as VOC_CLASSES
from . import layouts, splits
from .coding import Wishes, clash, decide
from .dataset import way_of
from .facts import MaskFacts, classes_in, examine_all
from .legends import Legend, read_legend
from .manifest import Manifest
from .masks import Unknown

VOC_COLOURS = tuple((int(r), int(g), int(b)) for r, g, b in voc_palette())
Progress = Callable[[Iterable[Any]], Iterable[Any]]


class Asked(NamedTuple):
    """What the user says about a set of their own.

    `classes` is how many there are, their names, a file of names, or 'voc'. `legend` is a file of
    their names and colours. `foreground` is the value of the second class in masks of one object.
    Pixels of nothing are `unlabelled`, and what is of no class is `unknown`. `seed` and `val_share`
    are of the split, where the set has none. `white` is the value that is white in images of more
    than 8 bits.
    """

    classes: str | None = None
    legend: Path | None = None
    foreground: int | None = None
    unlabelled: Literal['background', 'void'] = 'background'
    unknown: Unknown = 'refuse'
    seed: int = 1337
    val_share: float = 0.2
    white: int | None = None

    @classmethod
    def of(cls, args: argparse.Namespace) -> 'Asked':
        """Return what the options of cli.add_data_options, and --seed, say."""
        return cls(*(getattr(args, name) for name in cls._fields))


class Described(NamedTuple):
    """A set: its manifest, what the folder holds besides, and what each mask holds, in order of the
    manifest's examples."""

    manifest: Manifest
    found: layouts.Found
    facts: list[MaskFacts]


def describe(folder: Path, asked: Asked, progress: Progress = iter) -> Described:
    """Return what a folder of images and labels is; every mask is read once.

    Raises DataError, which says what to give, where the classes cannot be told for certain.
    """
    count, names = classes_of(asked.classes)
    options = layouts.Options(names, asked.legend, asked.unlabelled, asked.seed, asked.val_share)
    found = layouts.find(folder, options)
    manifest, facts = found.manifest.with_(white=asked.white), []
    if manifest.labels == 'masks':
        examples = manifest.examples()
        facts = examine_all([manifest.root / example.label for example in examples], progress)
        manifest = _decided(manifest, facts, count, asked)
    manifest = _turned(manifest)
    if found.drawn:
        manifest = _split(manifest, facts, asked)
    held = {fact.path: fact for fact in facts}
    paths = [manifest.root / example.label for example in manifest.examples()]
    return Described(manifest, found, [held[path] for path in paths] if facts else [])


def classes_of(text: str | None) -> tuple[int | None, tuple[str, ...] | None]:
    """Return (count, names) of what --classes says: a number, names with commas, a file, or voc."""
    if text is None:
        return None, None
    if text.isdecimal():
        if not 2 <= int(text) <= VOID:
            raise DataError(f'--classes {text}: a net has 2 to {VOID} classes')
        return int(text), None
    if text == 'voc':
        return None, VOC_CLASSES
    if Path(text).is_file():
        return None, read_legend(Path(text)).names
    if ',' not in text:
        raise DataError(
            f'--classes {text}: no such file; give a file of names, names with commas, or a number'
        )
    names = tuple(name.strip() for name in text.split(','))
    if not all(names) or len(set(names)) < len(names):
        raise DataError(f'--classes {text}: a name is empty or comes twice; give each once')
    return None, names


def _decided(
    manifest: Manifest, facts: list[MaskFacts], count: int | None, asked: Asked
) -> Manifest:
    """Return the manifest with a coding of its masks, unless the format knows it."""
    nothing = VOID if asked.unlabelled == 'void' else manifest.unlabelled
    coding = manifest.coding
    if coding.values is not None:
        if problem := clash(facts):
            raise DataError(problem)
        for fact in facts:
            if fact.coloured or fact.lossy:
                raise DataError(
                    f'{fact.path}: holds colours, and the masks of this set numbers, as its legend '
                    'tells them; save numbers as PNG, or give --legend FILE with colours'
                )
    if coding.colours or coding.values is not None:
        coding = replace(coding, transparent=manifest.unlabelled, unknown=asked.unknown)
        return manifest.with_(coding=coding)
    legend = Legend(manifest.classes) if manifest.classes else None
    decision = decide(facts, legend, Wishes(count, asked.foreground, nothing, asked.unknown))
    notes = [*manifest.notes, *decision.notes]
    if any(fact.transparent for fact in facts):
        name = 'void' if nothing == VOID else decision.names[nothing]
        notes.append(f'transparent pixels are {name}')
    # Those of a legend, if it has some, else of the masks.
    colours = manifest.colours
    if colours == VOC_COLOURS[: len(colours)]:
        colours = decision.colours
    return manifest.with_(
        classes=decision.names, colours=colours, coding=decision.coding, notes=tuple(notes)
    )


def _turned(manifest: Manifest) -> Manifest:
    """Decide whether images are turned by their EXIF tag where their label's size does not tell."""
    ways = Counter(way_of(manifest, example) for example in manifest.examples())
    rotate = ways[Way.TURNED] > 0 or not ways[Way.KEPT]
    notes = []
    if number := ways[Way.TURNED]:
        notes.append(f'{number} images are turned upright by their EXIF tag, as their labels are')
    if number := ways[Way.KEPT]:
        notes.append(f'{number} images have an EXIF tag that their labels do not follow')
    if number := ways[Way.OPEN]:
        notes.append(
            f'{number} images have an EXIF tag, and the sizes of their labels do not tell whether '
            f'they follow it: they are {"turned" if rotate else "not turned"}; look at the picture'
        )
    return manifest.with_(rotate=rotate, notes=(*manifest.notes, *notes))


def _split(manifest: Manifest, facts: list[MaskFacts], asked: Asked) -> Manifest:
    """Draw what is learned from and what is validated on once more, so that every class is in both
    where possible."""
    examples = manifest.examples()
    if not facts:
        return manifest
    holding = {
        example.name: classes_in(fact, manifest.coding)
        for example, fact in zip(examples, facts, strict=True)
    }
    base = [*manifest.splits['train'], *manifest.splits['val']]
    drawn = splits.draw(base, lambda e: holding[e.name], asked.val_share, asked.seed)
    return manifest.with_(splits={**manifest.splits, **drawn})
