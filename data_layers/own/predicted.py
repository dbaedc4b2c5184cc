"""Labels that were predicted elsewhere, and their truths: which files belong together, and how each
side is coded."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from fcn.errors import DataError
from fcn.text import printable

from ..images import ENDINGS
from .coding import Decision, Wishes, decide
from .facts import examine_all, total
from .legends import Legend
from .listing import key, stem

MAX_WORDS = 3  # that are taken off either end of a name
SIDES = 'pred', 'truth'
Side = Literal['pred', 'truth']
Affix = tuple[str, str]  # what a name begins and ends with


class Pair(NamedTuple):
    """The files of a truth and its prediction."""

    truth: Path
    prediction: Path


class Matched(NamedTuple):
    """Pairs in order of the truths' names, and what was taken for granted, in a line each."""

    pairs: list[Pair]
    notes: list[str]


def masks_in(folder: Path, side: Side, suffix: str = '') -> dict[str, Path]:
    """Return the image files below a folder by their names, as `key` compares them.

    A name is the path in the folder without the ending and without `suffix`; files whose names do
    not end with `suffix`, which may hold the ending, are left out. Raises DataError if there is no
    truth, or no such file, and for two of one name.
    """
    if not folder.is_dir():
        raise DataError(f'{folder}: no such folder; give that of the masks')
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob('*')):
        inside = path.relative_to(folder)
        hidden = any(part.startswith('.') for part in inside.parts)
        if hidden or path.suffix.lower() not in ENDINGS or not path.is_file():
            continue
        whole = inside.as_posix()
        ends = next((name for name in (whole, stem(whole)) if name.endswith(suffix)), None)
        if ends is None:
            continue
        name = key(ends.removesuffix(suffix) if suffix else stem(whole))
        other = found.setdefault(name, path)
        if other is not path:
            raise DataError(
                f'{path}: has the name of {other.name}; remove one, or give --{side}-suffix '
                f'{path.suffix} for the files to take'
            )
    if not found and (suffix or side == 'truth'):
        ending = f' whose name ends with {suffix}' if suffix else ''
        raise DataError(f'{folder}: no image{ending} lies there; give the folder of the masks')
    return found


def match(truths: Mapping[str, Path], predictions: Mapping[str, Path], folder: Path) -> Matched:
    """Return each truth with its prediction; `folder` is that of the predictions.

    Names are equal, or else equal up to words at their ends that the names of a side share, as
    a_labelTrainIds and a_pred, or without their folders. Raises DataError if a truth has no
    prediction, or if it might have several.
    """
    for ours, theirs in _views(truths, predictions):
        if found := _by_affixes(ours, theirs):
            pairs = [Pair(ours[one], theirs[other]) for one, other in found.names.items()]
            _check_others(pairs)
            notes = [found.note] if found.note else []
            if spare := len(predictions) - len(pairs):
                notes.append(f'{spare} predictions have no truth and are left out')
            return Matched(pairs, notes)
    missing = [name for name in truths if name not in predictions]
    raise DataError(
        f'{folder / (missing[0] + truths[missing[0]].suffix)}: no such file, and {len(missing)} of '
        f'{len(truths)} truths have no prediction of their names; predict them, or give '
        '--pred-suffix and --truth-suffix, such as _pred, if names end differently'
    )


def _views(*sides: Mapping[str, Path]) -> Iterator[Sequence[Mapping[str, Path]]]:
    """Yield the sides by their paths, and by their names alone if no two are equal."""
    yield sides
    names = [{name.rpartition('/')[2]: path for name, path in side.items()} for side in sides]
    if all(len(short) == len(side) for short, side in zip(names, sides, strict=True)):
        yield names


def _check_others(pairs: Iterable[Pair]) -> None:
    for pair in pairs:
        if os.path.realpath(pair.truth) == os.path.realpath(pair.prediction):
            raise DataError(
                f'{pair.truth}: is its own prediction, and would score 100; give the folder of the '
                'predictions'
            )


class _Found(NamedTuple):
    names: dict[str, str]  # of predictions by those of truths
    note: str


def _by_affixes(truths: Mapping[str, Path], predictions: Mapping[str, Path]) -> _Found | None:
    """Return the predictions of truths, by names that are equal up to affixes; None if there are
    none for some. Raises DataError if affixes lead to different ones."""
    if all(name in predictions for name in truths):
        return _Found({name: name for name in truths}, '')
    counts = Counter(affix for name in truths for affix, _ in _cores(name))
    cores = defaultdict(list)
    for name in predictions:
        for affix, core in _cores(name):
            cores[core].append(affix)
    found: list[_Found] = []
    first = next(iter(truths))
    for affix, core in _cores(first):
        if counts[affix] < len(truths):
            continue
        for other in cores[core]:
            if len(truths) == 1 and any(affix) and any(other):
                continue  # One name does not tell what others share.
            names = {name: _exchange(name, affix, other) for name in truths}
            if all(name in predictions for name in names.values()):
                found.append(_Found(names, _note(affix, other)))
    if twice := [one for one in found if one.names != found[0].names]:
        either = sorted(printable(one.names[first]) for one in (found[0], twice[0]))
        raise DataError(
            f'{truths[first]}: may have the prediction {either[0]} or {either[1]}; give '
            '--pred-suffix, such as _pred, for the files to take'
        )
    return found[0] if found else None


def _cores(name: str) -> list[tuple[Affix, str]]:
    """Return (affix, core) of a name: what it may begin and end with, and the rest of it."""
    folder, slash, last = name.rpartition('/')
    found = []
    for begin in _ends(re.findall(r'[^ _.-]+[ _.-]+', last)):
        for end in _ends(re.findall(r'[ _.-]+[^ _.-]+', last)[::-1]):
            prefix, suffix = ''.join(begin), ''.join(end[::-1])
            if len(prefix) + len(suffix) < len(last):
                core = last[len(prefix) : len(last) - len(suffix)]
                found.append(((prefix, suffix), f'{folder}{slash}{core}'))
    return found


def _ends(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield none, one, two, … of the words, up to one that has no letter: numbers tell images
    apart."""
    for count in range(min(len(words), MAX_WORDS) + 1):
        if all(any(char.isalpha() for char in word) for word in words[:count]):
            yield words[:count]


def _exchange(name: str, affix: Affix, other: Affix) -> str:
    folder, slash, last = name.rpartition('/')
    core = last[len(affix[0]) : len(last) - len(affix[1])]
    return f'{folder}{slash}{other[0]}{core}{other[1]}'


def _note(affix: Affix, other: Affix) -> str:
    def shown(affix: Affix) -> str:
        return printable('…'.join(affix)) if any(affix) else 'nothing'

    return (
        f'the names are equal up to {shown(affix)} in the truths and {shown(other)} in the '
        'predictions'
    )


def decide_both(pairs: Sequence[Pair], legend: Legend, wishes: Wishes) -> tuple[Decision, Decision]:
    """Return how the truths, and how the predictions, are coded, with the classes of `legend`.

    The foreground counts on the sides that hold it. Raises DataError for masks that cannot be read
    or told, and for a prediction of another size than its truth.
    """
    sides = [examine_all(paths) for paths in zip(*pairs, strict=True)]
    for truth, prediction in zip(*sides, strict=True):
        for fact in (truth, prediction):
            if fact.problem:
                raise DataError(fact.problem)
        if truth.size != prediction.size:
            (height, width), (high, wide) = truth.size, prediction.size
            raise DataError(
                f'{prediction.path}: is {wide}×{high}, and its truth {truth.path} '
                f'{width}×{height}; scale the scores, or the labels by the nearest pixel'
            )
    value = wishes.foreground
    if value is not None and len(legend.names) != 2:
        raise DataError(f'--foreground {value}: goes with two classes, not {len(legend.names)}')
    if value is not None and not any(value in total(facts) for facts in sides):
        raise DataError(f'--foreground {value}: no mask holds it; give the value of the object')
    decisions = []
    for facts in sides:
        here = value if value is None or value in total(facts) else None
        decisions.append(decide(facts, legend, wishes._replace(foreground=here)))
    return decisions[0], decisions[1]
