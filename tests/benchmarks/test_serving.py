"""The load test of the page's server, for some seconds."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip('fastapi')


@pytest.mark.slow
def test_clients_get_right_labels_and_lose_no_request(
    trained: Path, command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    run = trained / 'runs' / 'mini-fcn16s'
    result = command('-m', 'benchmarks.serving', run, '--clients', 6, '--seconds', 4)
    assert result.returncode == 0, result.stdout + result.stderr
    assert ' right\n' in result.stdout and 'wrong' not in result.stdout
