"""Helpers that test modules import: the repository's folder, and small data sets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fcn.data_layers.images import save_label

ROOT = Path(__file__).resolve().parents[1]


def make_voc(
    root: Path,
    names: Sequence[str],
    classes: int = 21,
    split: str = 'train',
    size: tuple[int, int] = (40, 52),
    seed: int = 0,
) -> Path:
    """Write a data set in the layout of VOC and return its folder.

    Its images are noise, and the labels follow their brightness. The first is of height and width
    `size`; each further one is one pixel higher and narrower.
    """
    rng = np.random.default_rng(seed)
    for folder in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        height, width = size[0] + index, size[1] - index
        blocks = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
        image = blocks.repeat(4, 0).repeat(4, 1)[:height, :width]
        label = (image.mean(2).astype(int) * classes // 256).astype(np.uint8)
        label[:2] = 255
        Image.fromarray(image).save(root / 'JPEGImages' / f'{name}.jpg', quality=95)
        save_label(label, root / 'SegmentationClass' / f'{name}.png')
    (root / 'ImageSets' / 'Segmentation' / f'{split}.txt').write_text('\n'.join(names) + '\n')
    return root
