"""The frame of the experiments: what is listed, what is refused, and which nets and sets it
finds."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

from experiments import EXPERIMENTS
from experiments.settings import shortened_paths
from experiments.study import Study
from fcn.errors import FCNError


def test_every_experiment_is_listed_and_has_its_module(command: Callable[..., Any]) -> None:
    result = command('-m', 'experiments')
    assert result.returncode == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(EXPERIMENTS)
    for name in EXPERIMENTS:
        module = importlib.import_module(f'experiments.{name}')
        assert all(hasattr(module, part) for part in ('measure', 'body', 'figures'))


def test_the_documentation_links_every_page() -> None:
    text = (ROOT / 'docs/experiments.md').read_text()
    for name, row in EXPERIMENTS.items():
        assert f'| [`{name}`](../results/{name}.md) | {row.section} | {row.about} |' in text
        assert (ROOT / f'results/{name}.md').is_file()


@pytest.mark.parametrize(
    'arguments, named',
    [
        (['nonsense'], ['nonsense', 'table2']),
        (['table2', '--data', 'nowhere'], ['nowhere', '`python prepare.py voc`']),
        (['table2', '--backbone', 'googlenet'], ['googlenet', '--data']),
        (['table2', '--backbone', 'mini', '--data', '.'], ['--backbone mini', '--data']),
        (['table2', '--rewrite'], ['table2', '--rewrite']),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(
    command: Callable[..., Any], tmp_path: Path, arguments: list[str], named: list[str]
) -> None:
    result = command(
        '-m', 'experiments', *arguments, '--runs', tmp_path / 'runs', '--out', tmp_path / 'out'
    )
    assert result.returncode == 2 and result.stderr.count('\n') == 1
    assert all(text in result.stderr for text in named)
    assert not list(tmp_path.iterdir())


def test_nets_go_by_the_backbone(study: Callable[..., Study], voc: Path) -> None:
    assert study().settings.net('fcn32s') == 'mini-fcn32s'
    real = study(backbone='vgg16', data=voc).settings
    assert real.net('fcn32s') == 'voc-fcn32s'
    assert real.net('nyud-fcn32s-color') == 'nyud-fcn32s-color'
    other = study(backbone='googlenet', data=voc).settings
    assert other.nets(['fcn32s', 'fcn16s', 'fcn-pool4']) == {
        'fcn32s': 'voc-fcn-googlenet',
        'fcn16s': 'voc-fcn16s-googlenet',
    }
    with pytest.raises(FCNError, match='--backbone'):
        other.net('fcn-pool4')


def test_a_set_that_is_not_prepared_names_the_command(
    study: Callable[..., Study], voc: Path
) -> None:
    (voc / 'ImageSets/Segmentation/seg11valid.txt').unlink()
    with pytest.raises(FCNError, match=r"'seg11valid'.*`python prepare.py voc`"):
        study(backbone='vgg16', data=voc).sets.source('voc-fcn32s', 'val')


def test_a_page_shows_no_folders_of_ours() -> None:
    command = 'python -m experiments table2 --data=/home/me/voc --runs ../runs --out results'
    assert shortened_paths(command) == (
        'python -m experiments table2 --data=voc --runs runs --out results'
    )
