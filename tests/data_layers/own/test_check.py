"""What is said of a set before it is learned."""

from pathlib import Path

import numpy as np
from PIL import Image

from fcn.data_layers.own.check import check
from fcn.data_layers.own.describe import Asked, describe


def test_masks_are_compared_with_their_own_images_whatever_split_is_drawn(tmp_path: Path) -> None:
    masks = {}
    for number in range(8):  # each of a size of its own
        mask = np.zeros((10 + number, 30 - number), np.uint8)
        mask[:4, : 2 + number] = 1
        mask[-1, -1] = 2 if number == 3 else 0
        masks[f'p{number}'] = mask
    for folder, content in (('images', 1), ('masks', 0)):
        (tmp_path / folder).mkdir()
        for name, mask in masks.items():
            array = np.stack([mask * 100] * 3, -1) if content else mask
            Image.fromarray(array).save(tmp_path / folder / f'{name}.png')
    for seed in range(3):
        described = describe(tmp_path, Asked(seed=seed))
        checked = check(described)
        assert checked.errors == []
        for example, fact in zip(described.manifest.examples(), described.facts, strict=True):
            assert fact.path.stem == example.name and fact.size == masks[example.name].shape
        assert checked.holders == {0: 8, 1: 8, 2: 1}
