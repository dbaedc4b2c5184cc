"""Fixtures of the tests of training."""

import shutil
from pathlib import Path

import pytest
from scored_runs import NET, train_scored

from fcn.solvers import Run


@pytest.fixture(scope='session')
def scored_runs(mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with that of scored_runs.NET. Tests only read it."""
    runs = tmp_path_factory.mktemp('scored') / 'runs'
    train_scored(runs, mini)
    return runs


@pytest.fixture
def scored_run(scored_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of that run, in runs/NET below the working folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(scored_runs, 'runs')
    return Run(Path('runs') / NET)
