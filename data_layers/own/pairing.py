"""Which label belongs to which image: by equal names, up to a suffix such as `_mask`."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fcn.errors import DataError
from fcn.text import few, printable

from .listing import Placed, key, stem, table, trimmed
from .manifest import Example

OF_LABELS = re.compile(
    r'^(?:mask|label|gt|seg)s?[ _.-]+(?=[^/]+$)'
    r'|[ _.-]+(?:masks?|labels?|gt|seg|segmentation|annotations?|annot|ground_?truth|l|matte)$'
)
OF_IMAGES = re.compile(
    r'^(?:image|img|photo)s?[ _.-]+(?=[^/]+$)|[ _.-]+(?:images?|img|sat|rgb|photo|leftimg8bit)$'
)


class Pairs(NamedTuple):
    """Images with their labels, each with the split that its folders say; `unlabelled` are images
    without a label, `orphans` labels without an image."""

    examples: tuple[tuple[str, Example], ...]
    unlabelled: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()


def is_label_name(name: str) -> bool:
    """Whether a file's name says that it is a label, as `a_mask` does."""
    return OF_LABELS.search(_last(key(name))) is not None


def pair(images: Sequence[Placed], labels: Sequence[Placed], root: Path) -> Pairs:
    """Return which images and labels have equal names, up to words such as `_mask`.

    Labels that lie in no folder of a split are for images of any. If no names are equal, the
    folders that all images, and that all labels, lie in are no parts of them. Raises DataError if
    two images, or two labels, have one name.
    """
    pairs = _pair(images, labels, root)
    return pairs if pairs.examples else _pair(trimmed(images), trimmed(labels), root)


def _pair(images: Iterable[Placed], labels: Iterable[Placed], root: Path) -> Pairs:
    by_key, label_by_key = table(images, 'images', root), table(labels, 'labels', root)
    taken: dict[str, Placed] = {}
    unlabelled = []
    bare = _stripped(label_by_key, OF_LABELS, root)
    for place, image in by_key.items():
        label = _match(place, label_by_key, bare)
        if label is None:
            unlabelled.append(image.path)
        elif label.path in taken:
            both = few([printable(taken[label.path].path), printable(image.path)])
            raise DataError(
                f'{root / label.path}: is the label of two images, {both}; remove one, or give '
                'each a label'
            )
        else:
            taken[label.path] = image
    orphans = [label.path for label in label_by_key.values() if label.path not in taken]
    splits = {label.path: label.split for label in label_by_key.values()}
    matched = [(image.split or splits[label], image, label, '') for label, image in taken.items()]
    return Pairs(examples_of(matched), tuple(unlabelled), tuple(orphans))


def _match(place: str, labels: Mapping[str, Placed], bare: Mapping[str, Placed]) -> Placed | None:
    """Return the label of the image at a key: by its name, then without the words of images."""
    split, _, name = place.partition('/')
    for tried in dict.fromkeys([name, _strip(name, OF_IMAGES)]):
        for where in dict.fromkeys([split, '']):
            for found in (labels, bare):
                if label := found.get(f'{where}/{tried}'):
                    return label
    if not split:  # only the labels lie in folders of splits
        found_in = [_match(f'{word}/{name}', labels, bare) for word in ('train', 'val', 'test')]
        held = [label for label in found_in if label is not None]
        return held[0] if len(held) == 1 else None
    return None


def _stripped(
    labels: Mapping[str, Placed], words: re.Pattern[str], root: Path
) -> dict[str, Placed]:
    """Return labels by their keys without the words; those that have none are left out."""
    found: dict[str, Placed] = {}
    for place, label in labels.items():
        split, _, name = place.partition('/')
        short = f'{split}/{_strip(name, words)}'
        if short == place:
            continue
        other = found.setdefault(short, label)
        if other is not label:
            both = few([printable(other.path), printable(label.path)])
            raise DataError(f'{root}: two labels are for one image: {both}; remove one')
    return found


def _strip(name: str, words: re.Pattern[str]) -> str:
    folder, slash, last = name.rpartition('/')
    return f'{folder}{slash}{words.sub("", last)}'


def _last(name: str) -> str:
    return name.rpartition('/')[2]


def examples_of(
    matched: Sequence[tuple[str, Placed, str, str]],
) -> tuple[tuple[str, Example], ...]:
    """Return (split, example) of split, image, label and key in it, sorted."""
    names = _unique_names([(split, image) for split, image, _, _ in matched])
    return tuple(
        sorted(
            (split, Example(name, image.path, label, within))
            for (split, image, label, within), name in zip(matched, names, strict=True)
        )
    )


def _unique_names(images: Sequence[tuple[str, Placed]]) -> list[str]:
    """Return the names of images of splits: with split or folders where one comes twice."""
    names = [image.name for _, image in images]
    for longer in (
        [f'{split}/{image.name}' for split, image in images],
        [stem(image.path) for _, image in images],
        [image.path for _, image in images],
    ):
        counts = Counter(map(key, names))
        pairs = zip(names, longer, strict=True)
        names = [name if counts[key(name)] == 1 else other for name, other in pairs]
    return names
