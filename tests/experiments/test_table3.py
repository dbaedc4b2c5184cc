"""Table 3's files in the server's layout, and Figure 6."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def test_table3(quick: Callable[..., dict[str, Any]], folder: Path) -> None:
    sent = folder / 'runs/quick/table3/results/VOC2012/Segmentation/comp6_val_cls'
    sent.mkdir(parents=True)
    (sent / 'of_another_set.png').touch()
    raw = quick('table3')
    files = sorted(sent.iterdir())
    assert len(files) == raw['images'] == 10 and all(file.suffix == '.png' for file in files)
    with Image.open(files[0]) as label:
        assert label.mode == 'P' and np.asarray(label).max() < 7
    assert 50 < raw['percent']['pixel_accuracy'] < 100 and raw['seconds_per_image'] > 0


def test_figure6(quick: Callable[..., dict[str, Any]]) -> None:
    values = list(quick('figure6')['percent'].values())
    assert 0 < len(values) <= 4 and values == sorted(values, reverse=True)
