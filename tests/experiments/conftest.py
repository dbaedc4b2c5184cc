"""Runs an experiment in its smallest form, by the command line that users type."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from small_runs import ITERATIONS

from experiments import EXPERIMENTS
from experiments.settings import Settings
from experiments.study import Study

VERDICTS = ('so here too', 'not so here', 'undecided here')


@pytest.fixture(scope='session')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all experiments keep their data and runs: what one has trained the others find."""
    return tmp_path_factory.mktemp('experiments')


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Study]:
    """The function that returns a study of an experiment, whose runs and pages lie in tmp_path."""

    def make(name: str = 'table2', **options: Any) -> Study:
        folders = dict(runs=tmp_path / 'runs', out=tmp_path / 'out')
        return Study(Settings(EXPERIMENTS[name], **folders | options))

    return make


@pytest.fixture
def quick(command: Callable[..., Any], folder: Path) -> Callable[..., dict[str, Any]]:
    """The function that runs experiment `name`, checks what it leaves, and returns the raw numbers
    of the page `stem`."""

    def run(name: str, *arguments: Any, stem: str | None = None) -> dict[str, Any]:
        options = ['--quick', '--iterations', ITERATIONS, '--gpu', -1]
        folders = ['--runs', folder / 'runs', '--out', folder / 'out']
        result = command('-m', 'experiments', name, *options, *folders, *arguments, cwd=folder)
        assert result.returncode == 0, result.stderr
        out, stem = folder / 'out', stem or name
        page = (out / f'{stem}.md').read_text()
        assert page.startswith(f'# {name}: ') and '## How' in page
        assert page.strip() in result.stdout
        assert not [verdict for verdict in VERDICTS if verdict in page]  # It was quick.
        for picture in out.glob(f'{stem}-*.png'):
            assert f']({picture.name})' in page
            with Image.open(picture) as image:
                assert len(image.convert('RGB').getcolors(1 << 24)) > 10
        return json.loads((out / f'{stem}.json').read_text())['raw']

    return run
