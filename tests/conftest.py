"""What tests share: real weights and images where they are at hand, and small ones made here.

FCN_TEST_GPU=0 in the environment runs them on that GPU, where they do not choose a device themselves.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn import engine
from fcn.data_layers import DATASETS
from fcn.data_layers.images import save_label

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / 'shared'


@pytest.fixture(scope='session')
def shared():
    """The folder of real weights and images; skips where there is none."""

    def find(path):
        if not (SHARED / path).exists():
            pytest.skip(f'needs real material that is not here: shared/{path}')
        return SHARED / path

    return find


@pytest.fixture(scope='session')
def command():
    """Runs a command of ours in a process of its own, from the repository's root."""

    def run(*arguments, cwd=ROOT, **options):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=300,
            **options,
        )

    return run


@pytest.fixture(autouse=True)
def device():
    """The device of each test: the GPU that FCN_TEST_GPU names, else the CPU."""
    return engine.choose_device(int(os.environ.get('FCN_TEST_GPU', -1)))


def make_voc(root, names, classes=21, split='train', size=(40, 52), seed=0):
    """A data set in the layout of VOC: noise, and labels that follow its brightness."""
    rng = np.random.default_rng(seed)
    for folder in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        height, width = size[0] + index, size[1] - index
        image = (
            rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
            .repeat(4, 0)
            .repeat(4, 1)
        )
        image = image[:height, :width]
        label = (image.mean(2).astype(int) * classes // 256).astype(np.uint8)
        label[:2] = 255
        Image.fromarray(image).save(root / 'JPEGImages' / f'{name}.jpg', quality=95)
        save_label(label, root / 'SegmentationClass' / f'{name}.png')
    (root / 'ImageSets' / 'Segmentation' / f'{split}.txt').write_text('\n'.join(names) + '\n')
    return root


@pytest.fixture(scope='session')
def mini(tmp_path_factory):
    """A few images of the miniature's size and classes, to learn from and to validate on."""
    root, classes = tmp_path_factory.mktemp('mini'), len(DATASETS['mini'].classes)
    make_voc(root, [f'{i:04}' for i in range(8)], classes=classes, size=(56, 64))
    return make_voc(
        root, [f'v{i:03}' for i in range(3)], classes=classes, split='val', size=(56, 64)
    )


@pytest.fixture
def voc(tmp_path):
    """A folder in the layout of VOC: six images to learn from, four to validate on."""
    make_voc(tmp_path / 'voc', [f'2007_{i:06}' for i in range(6)])
    return make_voc(
        tmp_path / 'voc', [f'2008_{i:06}' for i in range(4)], split='seg11valid', seed=1
    )
