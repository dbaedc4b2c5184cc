"""A run folder of version 1.0 is still scored, and still resumed.

data/run-1.0.tar.xz holds the folder, of 400 iterations with the snapshot of iteration 200, and
data/run-1.0-metrics.json how version 1.0 scored it.
"""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from fcn.commands import score, solve
from fcn.solvers import Run
from fcn.solvers.snapshot import MANIFEST, read_checksummed
from miniature.generate import generate

DATA = Path(__file__).with_name('data')
NET = 'mini-fcn-pool3'
ROUNDING = 10  # pixels of 100,000 that another processor may decide the other way


def unpack(file: Path, folder: Path) -> None:
    """Write the plain files of an archive to a folder, and nothing outside of it."""
    with tarfile.open(file) as archive:
        for member in archive:
            path = (folder / member.name).resolve()
            assert path.is_relative_to(folder.resolve()) and (member.isfile() or member.isdir())
            if member.isfile():
                path.parent.mkdir(parents=True, exist_ok=True)
                content = archive.extractfile(member)
                assert content
                path.write_bytes(content.read())


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The old run, in a working folder that also holds what it learned from."""
    unpack(DATA / 'run-1.0.tar.xz', tmp_path)
    monkeypatch.chdir(tmp_path)
    generate(Path('data/mini'), 12, 6, objects=20)
    return Run(tmp_path / 'runs' / NET)


def test_an_old_run_is_scored_as_it_was(run: Run, tmp_path: Path) -> None:
    score.main([NET, '--out', 'out', '--gpu', '-1'])
    noted = json.loads((DATA / 'run-1.0-metrics.json').read_text())
    scored = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert set(scored) == set(noted)
    matrix, old_matrix = np.array(scored['confusion']), np.array(noted['confusion'])
    assert matrix.sum() == old_matrix.sum()
    assert abs(matrix - old_matrix).sum() <= 2 * ROUNDING
    assert scored['mean_iu'] == pytest.approx(noted['mean_iu'], abs=1e-3)


def test_an_old_run_is_resumed(run: Run) -> None:
    manifest = read_checksummed(run.snapshots.path(200) / MANIFEST)
    old_log = run.log.path.read_bytes()[: manifest['log']['bytes']]
    settings = json.loads((run.folder / 'run.json').read_text())['settings']
    assert run.iteration == 200 and run.damaged() == []
    arguments = ['--iterations', '204', '--snapshot-every', '200', '--val-every', '200']
    assert solve.main([NET, *arguments, '--base-lr', '2e-6', '--gpu', '-1']) == 0

    assert run.log.path.read_bytes().startswith(old_log)
    records = run.log.read()
    old_records = [json.loads(line) for line in old_log.splitlines()]
    assert records[: len(old_records)] == old_records
    resumed, *rest = records[len(old_records) :]
    assert (resumed['event'], resumed['iteration']) == ('resumed', 200)
    numbers = [record['iteration'] for record in rest if 'advice' not in record]
    assert numbers == [204, 204]  # the loss and a validation
    finished = Run(run.folder)
    assert finished.iteration == 204 and finished.validated and finished.damaged() == []
    assert [iteration for iteration, _ in finished.snapshots.all()] == [200, 204]
    assert json.loads((run.folder / 'run.json').read_text())['settings'] == settings
    losses = read_checksummed(finished.snapshots.path(204) / MANIFEST)['recent_losses']
    assert losses[:-4] == manifest['recent_losses'][4:]


def test_an_old_run_is_not_resumed_with_other_settings(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=r'run\.json: .*seed 1337, not 1'):
        solve.main([NET, '--seed', '1', '--base-lr', '2e-6', '--gpu', '-1'])
