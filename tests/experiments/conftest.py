"""Runs an experiment in its smallest form, by the command line that users type."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='session')
def folder(tmp_path_factory):
    """Where all experiments keep their data and runs: what one has trained the others find."""
    return tmp_path_factory.mktemp('experiments')


@pytest.fixture
def quick(command, folder):
    """The function that runs experiment `name`, checks what it leaves, and returns the raw numbers."""

    def run(name, *arguments, stem=None):
        result = command(
            '-m',
            'experiments',
            name,
            '--quick',
            '--gpu',
            -1,
            '--runs',
            folder / 'runs',
            '--out',
            folder / 'out',
            *arguments,
            cwd=folder,
            env={**os.environ, 'PYTHONPATH': str(ROOT)},
        )
        assert result.returncode == 0, result.stderr
        report, stem = (folder / 'out' / f'{stem or name}.md').read_text(), stem or name
        assert (
            report.startswith(f'# {name}: ')
            and '## How' in report
            and report.strip() in result.stdout
        )
        for picture in (folder / 'out').glob(f'{stem}-*.png'):
            assert f']({picture.name})' in report
            with Image.open(picture) as image:
                assert len(image.convert('RGB').getcolors(1 << 24)) > 10
        return json.loads((folder / 'out' / f'{stem}.json').read_text())['raw']

    return run
