"""The demo from end to end, with a tenth of the data and of the iterations."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def test_every_stage_is_trained_scored_and_drawn(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    arguments = ['-m', 'miniature', '--quick']
    for folder in ('data', 'runs', 'out'):
        arguments += [f'--{folder}', tmp_path / folder]
    result = command(*arguments)
    assert result.returncode == 0, result.stderr
    rows = {
        stage: list(map(float, figures.split()))
        for stage, figures in re.findall(r'^(FCN-\d+s) +((?:[\d.]+ +){5})', result.stdout, re.M)
    }
    assert {stage: row[0] for stage, row in rows.items()} == {
        'FCN-32s': 160,
        'FCN-16s': 80,
        'FCN-8s': 80,
    }
    accuracy = [row[1] for row in rows.values()]
    assert all(50 < value < 100 for value in accuracy) and accuracy[-1] > accuracy[0]
    assert re.search(r'\d+ s\.$', result.stdout)
    pictures = sorted(file.name for file in (tmp_path / 'out').iterdir())
    overlays = [f'val_{i:05}_overlay.jpg' for i in (0, 10, 20, 30)]
    assert pictures == ['curves.png', 'figure4.png', *overlays]
    for name in pictures:
        with Image.open(tmp_path / 'out' / name) as image:
            assert np.asarray(image).std() > 10
    trained = snapshots(tmp_path / 'runs')
    assert len({file.parts[-4] for file in trained}) == 4  # nets
    again = command(*arguments)
    assert again.returncode == 0 and snapshots(tmp_path / 'runs') == trained
    assert again.stdout.splitlines()[:-1] == result.stdout.splitlines()[:-1]


def snapshots(runs: Path) -> dict[Path, int]:
    """The weights of all runs, with the times when they were written."""
    return {file: file.stat().st_mtime_ns for file in runs.rglob('*.caffemodel')}
