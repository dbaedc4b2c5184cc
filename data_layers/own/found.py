"""What a layout returns: a manifest with its splits, and what could not be paired."""

import posixpath
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

from fcn.errors import DataError
from fcn.text import few, printable

from .classes import BACKGROUND, Naming, Unlabelled, check_chosen, colours_of, name_classes
from .legends import Colour, Legend, find_legend
from .listing import Listing, key, place, stem
from .lists import find_lists, names_table, read_list
from .manifest import Example, Manifest
from .masks import Coding
from .pairing import Pairs
from .shapes import Annotation
from .splits import draw

Splits = dict[str, tuple[Example, ...]]


class Options(NamedTuple):
    """What the user says about a set.

    `classes` are the classes to learn, in order; `legend` is a file of names and colours. Pixels of
    nothing are `unlabelled`. Where the set brings no split, `val_share` of it is drawn by `seed`.
    """

    classes: tuple[str, ...] | None = None
    legend: Path | None = None
    unlabelled: Unlabelled = 'background'
    seed: int = 0
    val_share: float = 0.2


class Found(NamedTuple):
    """A set: its manifest, images without a label, labels without an image, how many files of which
    kind were passed over, and whether 'val' was drawn, because the set brings no split."""

    manifest: Manifest
    unlabelled_images: tuple[str, ...]
    orphan_labels: tuple[str, ...]
    passed_over: Mapping[str, int]
    drawn: bool


def assemble(
    listing: Listing,
    options: Options,
    layout: str,
    pairs: Pairs,
    naming: Naming,
    colours: tuple[Colour, ...],
    coding: Coding,
    notes: Sequence[str],
    labels: str = 'masks',
    classes_of: Callable[[Example], Set[int]] | None = None,
) -> Found:
    """Return the set of a layout, with its splits. Raises DataError if nothing is labelled, and for
    lists that name what is not there."""
    splits, source, drawn = _splits(listing, options, pairs, classes_of)
    used = {path for split in splits.values() for e in split for path in (e.image, e.label)}
    unlabelled = tuple(path for path in pairs.unlabelled if path not in used)
    orphans = tuple(path for path in pairs.orphans if path not in used)
    said = [f'layout: {layout}', *notes, naming.note(), source, *_remarks(splits, pairs)]
    manifest = Manifest(
        root=listing.root,
        layout=layout,
        classes=naming.classes,
        colours=colours,
        splits=splits,
        coding=coding,
        labels=labels,
        names=naming.numbers if labels != 'masks' else {},
        unlabelled=naming.unlabelled,
        notes=tuple(note for note in said if note),
    )
    return Found(manifest, unlabelled, orphans, listing.passed_over, drawn)


def assemble_shapes(
    listing: Listing,
    options: Options,
    layout: str,
    pairs: Pairs,
    legend: tuple[str, Legend] | None,
    read: Callable[[Path, str], Annotation],
) -> Found:
    """Return a set whose labels are shapes that `read` reads of a file and a key.

    All are read: classes are the names of the legend, or else of the shapes in alphabetical order.
    Shapes of YOLO tell the legend's numbers. Raises DataError for a name that the legend lacks.
    """
    names_there = {key(posixpath.basename(one.path)) for one in listing.images}
    held: dict[Example, set[str]] = {}
    counts: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for _, example in pairs.examples:
        annotation = read(listing.root / example.label, example.key)
        _check_picture(annotation.picture, example, names_there, listing.root)
        held[example] = {shape.name for shape in annotation.shapes}
        counts.update(shape.name for shape in annotation.shapes)
        passed.update(annotation.passed_over)
    if legend is None or options.legend is not None:
        legend = find_legend(options.legend, listing.root)
    source, names = 'the shapes', sorted(counts, key=str.lower)
    if legend is not None:
        source, names = legend[0], list(legend[1].names)
        check_chosen(options.classes, names, listing.root / source)
    spoken = names  # what the shapes call these names
    if layout == 'yolo' and legend is not None:
        spoken = [str(value) for value in legend[1].values()]
    _check_names(counts, set(spoken), names, listing.root / source)
    naming = name_classes(names, options.classes, options.unlabelled, True)
    called = dict(zip(names, spoken, strict=True))
    naming = naming._replace(
        numbers={called.get(name, name): number for name, number in naming.numbers.items()},
        left_out=tuple(f'{name} ({counts[called[name]]} shapes)' for name in naming.left_out),
    )
    notes = [f'classes of {source}']
    if absent := [name for name in options.classes or () if name not in {*names, *BACKGROUND}]:
        notes.append(f'no shape is of: {few(absent)}')
    if passed:
        kinds = few(f'{count} {kind}' for kind, count in sorted(passed.items()))
        notes.append(f'shapes without an area, passed over: {kinds}')

    def classes_of(example: Example) -> set[int]:
        return {naming.numbers[name] for name in held[example]}

    colours = colours_of(naming, legend[1] if legend else None)
    coding = Coding(len(naming.classes))
    return assemble(
        listing, options, layout, pairs, naming, colours, coding, notes, layout, classes_of
    )


def _check_picture(told: str, example: Example, there: Set[str], root: Path) -> None:
    """Raise DataError if an annotation tells another picture of the set than that of its name."""
    name = key(told.replace('\\', '/').rpartition('/')[2])
    if name in there and stem(name) != stem(key(posixpath.basename(example.image))):
        raise DataError(
            f'{root / example.label}: says that it is of {printable(name)}, and has the name of '
            f'{example.image}; correct one of them'
        )


def _check_names(
    counts: Mapping[str, int], known: Set[str], names: Sequence[str], path: Path
) -> None:
    """Raise DataError if shapes are of a name, or with YOLO of a number, that a legend lacks."""
    if unknown := [name for name in counts if name not in known]:
        worst = max(unknown, key=lambda name: counts[name])
        raise DataError(
            f"{path}: {counts[worst]} shapes are of '{printable(worst)}', which is no class there; "
            f'it has {few(names)}'
        )


def _splits(
    listing: Listing,
    options: Options,
    pairs: Pairs,
    classes_of: Callable[[Example], Set[int]] | None,
) -> tuple[Splits, str, bool]:
    """Return the splits, where they come from, and whether 'val' was drawn."""
    examples = [example for _, example in pairs.examples]
    splits, source = _of_lists(listing, pairs), 'splits: lists'
    if not splits and not examples:
        raise DataError(
            f'{listing.root}: of {len(pairs.unlabelled)} images and {len(pairs.orphans)} labels '
            f'({few([*pairs.unlabelled[:2], *pairs.orphans[:2]])}) no two have one name; '
            'give each label the name of its image'
        )
    if not splits:
        names = sorted({split for split, _ in pairs.examples if split})
        splits = {name: tuple(e for said, e in pairs.examples if said == name) for name in names}
        source = 'splits: folders'
    others = [name for name in splits if name not in ('train', 'trainval', 'val', 'test')]
    if 'train' in splits and 'val' not in splits and len(others) == 1:  # as seg11valid
        splits['val'] = splits[others[0]]
        source = f'{source}; val: {others[0]}'
    if 'train' in splits and 'val' in splits:
        return splits, source, False
    base = splits.get('train') or splits.get('trainval')
    base = base or tuple(dict.fromkeys(e for name in others for e in splits[name]))
    held_out = {example for name in ('val', 'test') for example in splits.get(name, ())}
    base = tuple(e for e in base or examples if e not in held_out)
    if 'val' in splits:
        if not base:
            raise DataError(
                f'{listing.root}: all labelled images are to validate on, none to learn from; '
                'name some in train.txt'
            )
        return {**splits, 'train': base}, f'{source}; train: what is not in val', False
    drawn = draw(base, classes_of, options.val_share, options.seed)
    share = f'val: {len(drawn["val"])} of {len(base)} drawn, seed {options.seed}'
    return {**splits, **drawn}, f'{source}; {share}' if splits else f'splits: {share}', True


def _of_lists(listing: Listing, pairs: Pairs) -> Splits:
    """Return the splits that lists name; images in them that have no label are left out."""
    lists = find_lists(listing)
    if not lists:
        return {}
    by_image = {example.image: example for _, example in pairs.examples}
    labels = [*(example.label for _, example in pairs.examples), *pairs.orphans]
    images = [place(path) for path in (*by_image, *pairs.unlabelled)]
    image_table, label_table = names_table(images), names_table(map(place, labels))
    splits = {}
    for split, path in lists.items():
        found: dict[Example, None] = {}
        for image, label in read_list(path, listing, image_table, label_table).items():
            example = by_image.get(image)
            if label is not None:
                example = Example(example.name if example else place(image).name, image, label)
            if example is not None:
                found[example] = None
        splits[split] = tuple(found)
    return {split: examples for split, examples in splits.items() if examples}


def _remarks(splits: Splits, pairs: Pairs) -> list[str]:
    """Return a line about images that are in no split."""
    used = {example.image for split in splits.values() for example in split}
    left = [example.image for _, example in pairs.examples if example.image not in used]
    return [f'labelled, and in no split: {few(left, 3)}'] if left else []
