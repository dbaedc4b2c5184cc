"""The split that is drawn where a set brings none."""

import random

import pytest

from fcn.data_layers.own.manifest import Example
from fcn.data_layers.own.splits import draw
from fcn.errors import DataError

EXAMPLES = [Example(f'a{number:02}', f'i/{number}.jpg', f'm/{number}.png') for number in range(40)]


@pytest.mark.parametrize('count, share, held_out', [(2, 0.2, 1), (10, 0.2, 2), (40, 0.9, 36)])
def test_the_share_is_held_out(count: int, share: float, held_out: int) -> None:
    splits = draw(EXAMPLES[:count], None, share)
    assert len(splits['val']) == held_out
    assert sorted(splits['train'] + splits['val']) == EXAMPLES[:count]


def test_the_order_does_not_matter_and_the_seed_does() -> None:
    mixed = random.Random(3).sample(EXAMPLES, 40)
    assert draw(mixed) == draw(EXAMPLES)
    assert draw(EXAMPLES, seed=1) != draw(EXAMPLES)


@pytest.mark.parametrize('seed', range(20))
def test_every_class_of_two_images_is_in_both(seed: int) -> None:
    rng = random.Random(seed)
    held = {example: {0} for example in EXAMPLES}
    for kind in range(1, 7):
        for example in rng.sample(EXAMPLES, 2):
            held[example].add(kind)
    splits = draw(EXAMPLES, held.__getitem__, 0.25, seed)
    assert len(splits['val']) == 10
    for split in splits.values():
        assert set().union(*(held[example] for example in split)) == set(range(7))


def test_a_class_of_one_image_is_learned() -> None:
    for seed in range(20):
        splits = draw(EXAMPLES, lambda e: {0, 1} if e == EXAMPLES[7] else {0}, 0.5, seed)
        assert EXAMPLES[7] in splits['train']


def test_one_example_is_not_split() -> None:
    with pytest.raises(DataError):
        draw(EXAMPLES[:1])
