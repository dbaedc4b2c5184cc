"""What a layout returns: a manifest with its splits, and what could not be paired."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

from fcn.errors import DataError
from fcn.text import few

from .classes import Naming, Unlabelled
from .legends import Colour
from .listing import Listing, place
from .lists import find_lists, names_table, read_list
from .manifest import Example, Manifest
from .masks import Coding
from .pairing import Pairs
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
    said = [f'layout: {layout}', *notes, naming.note(), source, _twice(splits)]
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
    return Found(manifest, pairs.unlabelled, pairs.orphans, listing.passed_over, drawn)


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
    if 'train' in splits and 'val' in splits:
        return splits, source, False
    kept = {name: splits[name] for name in ('val', 'test') if name in splits}
    used = {example for split in kept.values() for example in split}
    left = [example for example in examples if example not in used]
    base = splits.get('train') or splits.get('trainval') or tuple(left)
    if 'val' in kept:
        base = tuple(example for example in base if example not in set(kept['val']))
        if not base:
            raise DataError(
                f'{listing.root}: all labelled images are to validate on, none to learn from; '
                'name some in train.txt'
            )
        return {**kept, 'train': base}, f'{source}; train: all that are not in val', False
    drawn = draw(base, classes_of, options.val_share, options.seed)
    share = f'val: {len(drawn["val"])} of {len(base)} drawn, seed {options.seed}'
    return {**kept, **drawn}, f'{source}; {share}' if splits else f'splits: {share}', True


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


def _twice(splits: Splits) -> str:
    """Return a line about images that are in 'train' and in 'val', or ''."""
    counts = Counter(e.image for name in ('train', 'val') for e in set(splits.get(name, ())))
    twice = sorted(image for image, count in counts.items() if count > 1)
    return f'both in train and in val: {few(twice, 3)}' if twice else ''
