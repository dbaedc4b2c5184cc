"""A split drawn by lot, where a set brings none: the same for the same names and seed."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set

from fcn.errors import DataError

from .manifest import Example


def draw(
    examples: Sequence[Example],
    classes_of: Callable[[Example], Set[int]] | None = None,
    share: float = 0.2,
    seed: int = 0,
) -> dict[str, tuple[Example, ...]]:
    """Return examples as 'train' and 'val', with about `share` of them in the latter.

    With `classes_of`, a class of two or more images is in both, where the share allows it. The
    order of `examples` does not matter. Raises DataError for fewer than two.
    """
    if len(examples) < 2:
        raise DataError(
            f'{len(examples)} labelled image cannot be split to train and to validate; label more'
        )
    order = sorted(examples, key=lambda example: example.name)
    random.Random(seed).shuffle(order)
    wanted = min(max(round(share * len(order)), 1), len(order) - 1)
    held = {example: frozenset(classes_of(example) if classes_of else ()) for example in order}
    val = _chosen(order, held, wanted)
    return {
        'train': tuple(example for example in sorted(order) if example not in val),
        'val': tuple(sorted(val)),
    }


def _chosen(
    order: Sequence[Example], held: Mapping[Example, Set[int]], wanted: int
) -> set[Example]:
    """Return `wanted` examples: one of each class, the rarest first, then others in their order.

    One that is the last outside of them to hold a class is taken only where no other is left.
    """
    counts = Counter(kind for kinds in held.values() for kind in kinds)
    here: Counter[int] = Counter()
    chosen: set[Example] = set()

    def take(example: Example) -> None:
        if example not in chosen and len(chosen) < wanted:
            chosen.add(example)
            here.update(held[example])

    def spares(example: Example) -> bool:
        return all(counts[kind] - here[kind] > 1 for kind in held[example])

    for kind, _ in sorted(counts.items(), key=lambda pair: (pair[1], pair[0])):
        if not here[kind]:
            for example in order:
                if kind in held[example] and spares(example):
                    take(example)
                    break
    for example in order:
        if example not in chosen and spares(example):
            take(example)
    for example in order:
        take(example)
    return chosen
