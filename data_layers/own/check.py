"""Whether a set of one's own is sound: what is wrong, what is odd, and what it holds.

Errors stop a training before it begins; the rest is said.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fcn.errors import DataError, FCNErrors
from fcn.text import few

from ..images import SIDEWAYS, VOID, open_image, orientation
from .dataset import read_own_label, turns
from .describe import Described
from .facts import READERS, MaskFacts, pixels_of, unknown_of
from .manifest import Example, Manifest
from .masks import nearest, unpack

MAX_SHOWN = 5  # files or values that a line names
Progress = Callable[[Iterable[Any]], Iterable[Any]]


class ImageFacts(NamedTuple):
    """What an image's header says, or why it cannot be read; `size` is height and width as it is
    taken, turned by its EXIF tag or not."""

    example: Example
    size: tuple[int, int] = (0, 0)
    mode: str = ''
    tagged: bool = False
    problem: str = ''


class Checked(NamedTuple):
    """What is wrong with a set and what is odd, in a line each; its images; and of each class the
    share of the pixels and the number of images that hold it."""

    errors: list[str]
    warnings: list[str]
    images: list[ImageFacts]
    pixels: Counter[int]
    holders: Counter[int]


def check(described: Described, progress: Progress = iter) -> Checked:
    """Compare a set's images with their labels, and its splits with each other."""
    manifest, found = described.manifest, described.found
    examples = manifest.examples()
    with ThreadPoolExecutor(READERS) as pool:
        images = list(pool.map(lambda example: _image_facts(manifest, example), examples))
    errors = [image.problem for image in images if image.problem][:MAX_SHOWN]
    warnings = list(_odd_images(images))
    if manifest.labels == 'masks':
        labels = _of_masks(manifest, described.facts, images)
    else:
        labels = _of_annotations(manifest, images, progress)
    errors += labels.errors
    warnings += labels.warnings
    errors += _classes(manifest, labels)
    more_errors, more_warnings = _splits(manifest, labels)
    errors += more_errors
    warnings += more_warnings
    for count, what in (
        (len(found.unlabelled_images), 'images have no label and are left out'),
        (len(found.orphan_labels), 'labels have no image and are left out'),
    ):
        if count:
            files = found.unlabelled_images if 'images' in what[:6] else found.orphan_labels
            warnings.append(f'{count} {what}: {few(files, MAX_SHOWN)}')
    if found.passed_over:
        counts = ', '.join(f'{n} {ending}' for ending, n in sorted(found.passed_over.items()))
        warnings.append(f'files that are no images here are passed over: {counts}')
    return Checked(errors, warnings, images, labels.pixels, labels.holders)


def check_sound(described: Described, progress: Progress = iter) -> Checked:
    """Return what `check` does. Raises FCNErrors if something is wrong."""
    checked = check(described, progress)
    if checked.errors:
        raise FCNErrors([DataError(error) for error in checked.errors])
    return checked


class _Labels(NamedTuple):
    errors: list[str]
    warnings: list[str]
    pixels: Counter[int]  # of each class
    holders: Counter[int]  # images that hold a class
    by_example: dict[str, set[int]]


def _image_facts(manifest: Manifest, example: Example) -> ImageFacts:
    try:
        with open_image(manifest.root / example.image) as image:
            tag, mode = orientation(image), image.mode
            height, width = image.height, image.width
        if tag in SIDEWAYS and turns(manifest, example):
            height, width = width, height
    except DataError as error:
        return ImageFacts(example, problem=str(error))
    return ImageFacts(example, (height, width), mode, tag != 1)


def _odd_images(images: Sequence[ImageFacts]) -> Iterable[str]:
    modes = Counter(image.mode for image in images if not image.problem)
    for names, what in (
        (('L', '1', 'P', 'LA'), 'are grey or have a palette: they are read as colours'),
        (('CMYK', 'YCbCr', 'LAB', 'HSV'), 'are CMYK or the like: they are converted'),
        (('RGBA', 'PA', 'La'), 'have an alpha channel: it is dropped'),
        (('I;16', 'I;16B', 'I', 'F'), 'have more than 8 bits: they are scaled by full 16 bits'),
    ):
        if number := sum(modes[name] for name in names):
            yield f'{number} images {what}'


def _of_masks(
    manifest: Manifest, facts: Sequence[MaskFacts], images: Sequence[ImageFacts]
) -> _Labels:
    """Compare masks with images, and count what they hold."""
    errors = [fact.problem for fact in facts if fact.problem][:MAX_SHOWN]
    pixels: Counter[int] = Counter()
    holders: Counter[int] = Counter()
    by_example: dict[str, set[int]] = {}
    unknown: Counter[int] = Counter()
    where: dict[int, Path] = {}
    smooth = []
    for fact, image in zip(facts, images, strict=True):
        if fact.problem or image.problem:
            continue
        if fact.size != image.size:
            errors.append(_sizes(manifest, image, fact.size))
        counts = pixels_of(fact, manifest.coding)
        pixels.update(counts)
        by_example[image.example.name] = set(counts) - {VOID}
        holders.update(by_example[image.example.name])
        for value, count in unknown_of(fact, manifest.coding).items():
            unknown[value] += count
            where.setdefault(value, fact.path)
        if fact.smooth:
            smooth.append(fact)
    warnings: list[str] = []
    if not manifest.coding.colours and not pixels[0] and set(pixels) - {VOID}:
        warnings.append(
            f'no mask holds {manifest.classes[0]}, whose number is 0; if the numbers begin with 1, '
            'name first what 0 is, such as background'
        )
    refuses = manifest.coding.unknown == 'refuse'
    if unknown:
        text = _unknown(manifest, unknown, where, sum(pixels.values()))
        (errors if refuses else warnings).append(text)
    if smooth:
        text = (
            f'{len(smooth)} masks have half-transparent pixels, as smoothed edges are '
            f'({smooth[0].path.name}: {100 * smooth[0].smooth:.1f} %)'
        )
        if refuses:
            errors.append(f'{text}; give --unknown snap or --unknown void')
        else:
            warnings.append(f'{text}: {_becomes(manifest)}')
    return _Labels(_few_sizes(errors), warnings, pixels, holders, by_example)


def _few_sizes(errors: list[str]) -> list[str]:
    if len(errors) <= 2 * MAX_SHOWN:
        return errors
    return [*errors[: 2 * MAX_SHOWN], f'and {len(errors) - 2 * MAX_SHOWN} more like these']


def _sizes(manifest: Manifest, image: ImageFacts, size: tuple[int, int]) -> str:
    (height, width), example = image.size, image.example
    return (
        f'{manifest.root / example.label}: is {size[1]}×{size[0]}, and its image {example.image} '
        f'{width}×{height}; they must be equal'
    )


def _becomes(manifest: Manifest) -> str:
    snapped = manifest.coding.unknown == 'snap'
    return 'each takes the nearest class' if snapped else 'they are void'


def _unknown(manifest: Manifest, unknown: Counter[int], where: dict[int, Path], pixels: int) -> str:
    """Say which values or colours are of no class, how many pixels they take, and what is near."""
    colours = manifest.coding.colours
    shown = []
    for value, count in unknown.most_common(MAX_SHOWN):
        text = str(value)
        if colours:
            near = int(nearest(np.array([value]), list(colours))[0])
            number = colours[near]
            name = 'void' if number == VOID else manifest.classes[number]
            text = f'{unpack(value)} (nearest: {name}, {unpack(near)})'
        shown.append(f'{text} of {count} pixels, as in {where[value].name}')
    more = f', and {len(unknown) - MAX_SHOWN} more' if len(unknown) > MAX_SHOWN else ''
    share = 100 * sum(unknown.values()) / max(1, pixels)
    what = 'colours' if colours else 'values'
    text = f'{share:.2f} % of the pixels have {what} of no class: {"; ".join(shown)}{more}'
    if manifest.coding.unknown != 'refuse':
        return f'{text}: {_becomes(manifest)}'
    fix = '--unknown snap or --unknown void' if colours else '--unknown void'
    return f'{text}; add them to the classes, or give {fix}'


def _of_annotations(
    manifest: Manifest, images: Sequence[ImageFacts], progress: Progress
) -> _Labels:
    """Read all labels that are polygons or runs, and count what they hold."""
    errors: list[str] = []
    pixels: Counter[int] = Counter()
    holders: Counter[int] = Counter()
    by_example: dict[str, set[int]] = {}
    for image in progress(images):
        if image.problem:
            continue
        try:
            label = read_own_label(manifest, image.example)
        except DataError as error:
            errors.append(str(error))
            continue
        counts = Counter(dict(zip(*_counted(label), strict=True)))
        pixels.update(counts)
        by_example[image.example.name] = set(counts) - {VOID}
        holders.update(by_example[image.example.name])
    return _Labels(_few_sizes(errors), [], pixels, holders, by_example)


def _counted(label: np.ndarray) -> tuple[list[int], list[int]]:
    values, counts = np.unique(label, return_counts=True)
    return values.tolist(), counts.tolist()


def _classes(manifest: Manifest, labels: _Labels) -> list[str]:
    present = set(labels.pixels) - {VOID}
    if len(present) < 2 and not labels.errors:
        name = manifest.classes[next(iter(present))] if present else 'no class'
        return [
            f'{manifest.root}: all labelled pixels are {name}: there is nothing to tell apart, and '
            'a score would be 100 over one class; look at the labels'
        ]
    return []


def _splits(manifest: Manifest, labels: _Labels) -> tuple[list[str], list[str]]:
    """Say what is wrong or odd about the lists to learn from and to validate on."""
    errors: list[str] = []
    warnings: list[str] = []
    for split in ('train', 'val'):
        if not manifest.splits.get(split):
            errors.append(f'{manifest.root}: has no images in the split {split}; give it some')
    if errors:
        return errors, warnings
    train, val = (
        {example.name: example for example in manifest.splits[split]} for split in ('train', 'val')
    )
    if both := sorted(set(train) & set(val)):
        warnings.append(
            f'{len(both)} images are in train and in val, so scores will flatter: '
            f'{few(both, MAX_SHOWN)}'
        )
    if pairs := _duplicates(manifest, train, val):
        warnings.append(
            f'{len(pairs)} images of val are in train under another name: {few(pairs, MAX_SHOWN)}'
        )
    seen = {
        name: {k for e in split for k in labels.by_example.get(e, ())}
        for name, split in (('train', train), ('val', val))
    }
    absent: dict[str, list[str]] = {}
    for number, name in enumerate(manifest.classes):
        if number not in seen['train'] and number not in seen['val']:
            absent.setdefault('classes without a pixel', []).append(name)
        elif number not in seen['train']:
            absent.setdefault('classes in no image to learn from', []).append(name)
        elif number not in seen['val']:
            absent.setdefault('classes in no image to validate on', []).append(name)
    warnings += [f'{what}: {few(names, MAX_SHOWN)}' for what, names in absent.items()]
    return errors, warnings


def _duplicates(
    manifest: Manifest, train: dict[str, Example], val: dict[str, Example]
) -> list[str]:
    """Return pairs of files of equal content, as NAME = NAME. Only files of equal size are read."""
    sizes: defaultdict[int, list[tuple[bool, Example]]] = defaultdict(list)
    for validates, split in ((False, train), (True, val)):
        for example in split.values():
            sizes[(manifest.root / example.image).stat().st_size].append((validates, example))
    pairs = []
    for group in sizes.values():
        if len({validates for validates, _ in group}) < 2:
            continue
        first: dict[str, str] = {}
        for validates, example in sorted(group):
            content = (manifest.root / example.image).read_bytes()
            key = hashlib.sha256(content).hexdigest()
            if not validates:
                first[key] = example.name
            elif key in first and first[key] != example.name:
                pairs.append(f'{example.name} = {first[key]}')
    return pairs


def summary(described: Described) -> str:
    """Return in a few lines what a set is taken for."""
    manifest = described.manifest
    sizes = {name: len(split) for name, split in manifest.splits.items()}
    lines = [
        f'{manifest.root}: {manifest.layout}; '
        + ', '.join(f'{number} images in {name}' for name, number in sizes.items()),
        f'{len(manifest.classes)} classes: {few(manifest.classes, 12)}',
        *(note for note in manifest.notes if note != f'layout: {manifest.layout}'),
    ]
    return '\n'.join(lines)


def report(described: Described, checked: Checked) -> str:
    """Return all that was found: the classes, the images, what is odd and what is wrong."""
    manifest = described.manifest
    whole = max(1, sum(checked.pixels.values()))
    width = max(map(len, (*manifest.classes, 'class')))
    lines = [summary(described), '', f'{"class":<{width}}   pixels   images']
    for number, name in enumerate(manifest.classes):
        share = 100 * checked.pixels[number] / whole
        lines.append(f'{name:<{width}}  {share:6.2f} %  {checked.holders[number]:6}')
    lines.append(f'{"void":<{width}}  {100 * checked.pixels[VOID] / whole:6.2f} %')
    sizes = Counter(image.size for image in checked.images if not image.problem)
    shown = [f'{w}×{h} ({n})' for (h, w), n in sizes.most_common()]
    lines += ['', f'sizes of images: {few(shown, MAX_SHOWN)}']
    lines += [f'note: {warning}' for warning in checked.warnings]
    lines += [f'WRONG: {error}' for error in checked.errors]
    return '\n'.join(lines)
