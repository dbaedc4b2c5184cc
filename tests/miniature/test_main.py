"""The demo from end to end, with a tenth of the data and of the iterations."""

import re

import numpy as np
import pytest
from PIL import Image


@pytest.mark.slow
def test_every_stage_is_trained_scored_and_drawn(tmp_path, command):
    arguments = [
        '-m',
        'miniature',
        '--quick',
        '--data',
        tmp_path / 'data',
        '--runs',
        tmp_path / 'runs',
        '--out',
        tmp_path / 'out',
    ]
    result = command(*arguments)
    assert result.returncode == 0, result.stderr
    rows = dict(re.findall(r'^(FCN-\d+s) +([\d.]+ +[\d.]+ +[\d.]+ +[\d.]+) ', result.stdout, re.M))
    assert set(rows) == {'FCN-32s', 'FCN-16s', 'FCN-8s'}
    accuracy = [float(config.split()[0]) for config in rows.values()]
    assert all(50 < value < 100 for value in accuracy) and accuracy[-1] > accuracy[0]
    pictures = sorted(file.name for file in (tmp_path / 'out').iterdir())
    assert pictures == [
        'curves.png',
        'figure4.png',
        *(f'val_{i:05}_overlay.jpg' for i in (0, 10, 20, 30)),
    ]
    for name in pictures:
        with Image.open(tmp_path / 'out' / name) as image:
            assert np.asarray(image).std() > 10
    again = command(*arguments)
    assert again.returncode == 0 and again.stdout.count('done, ') == 4
