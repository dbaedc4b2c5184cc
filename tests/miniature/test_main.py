"""The demo from end to end, with a fraction of the data and of the iterations."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from miniature import __main__ as miniature


@pytest.fixture
def demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[], str]:
    """A function that runs the demo in tmp_path and returns what it prints."""
    monkeypatch.chdir(tmp_path)

    def run() -> str:
        folders = [word for name in ('data', 'runs', 'out') for word in (f'--{name}', name)]
        assert miniature.main(['--quick', *folders]) == 0
        return capsys.readouterr().out

    return run


def rows_of(printed: str) -> dict[str, list[float]]:
    """The rows of the table: iterations, and accuracies in percent."""
    return {
        stage: list(map(float, figures.split()))
        for stage, figures in re.findall(r'^(FCN-\d+s) +((?:[\d.]+ +){5})', printed, re.M)
    }


@pytest.mark.slow
def test_the_demo_learns(demo: Callable[[], str]) -> None:
    rows = rows_of(demo())
    accuracy = [row[1] for row in rows.values()]
    assert all(50 < value < 100 for value in accuracy) and accuracy[-1] > accuracy[0]


def test_every_stage_is_trained_scored_and_drawn(
    tmp_path: Path, demo: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(miniature, 'QUICK', 50)
    monkeypatch.setattr(miniature, 'QUICK_IMAGES', (20, 8))
    printed = demo()
    rows = rows_of(printed)
    iterations = {'FCN-32s': 32, 'FCN-16s': 16, 'FCN-8s': 16}
    assert {stage: row[0] for stage, row in rows.items()} == iterations
    assert all(0 <= value <= 100 for row in rows.values() for value in row[1:])
    assert re.search(r'\d+ s\.$', printed)
    pictures = sorted(file.name for file in (tmp_path / 'out').iterdir())
    overlays = [f'val_{i:05}_overlay.jpg' for i in (0, 2, 4, 6)]
    assert pictures == ['curves.png', 'figure4.png', *overlays]
    for name in pictures:
        with Image.open(tmp_path / 'out' / name) as image:
            assert np.asarray(image).std() > 10
    trained = snapshots(tmp_path / 'runs')
    assert len({file.parts[-4] for file in trained}) == 4  # nets
    again = demo()
    assert snapshots(tmp_path / 'runs') == trained
    assert again.splitlines()[:-1] == printed.splitlines()[:-1]


def snapshots(runs: Path) -> dict[Path, int]:
    """The weights of all runs, with the times when they were written."""
    return {file: file.stat().st_mtime_ns for file in runs.rglob('*.caffemodel')}
