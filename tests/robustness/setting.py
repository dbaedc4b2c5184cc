"""What the proofs share: a small set, nets trained on it by solve.py, and a comparison of runs."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from fcn.engine import versions
from fcn.io import write_text
from fcn.solvers import Run
from fcn.solvers.snapshot import MANIFEST, STATE, WEIGHTS, file_name, read_checksummed
from fcn.surgery import read_weights
from miniature.generate import generate

ROOT = Path(__file__).resolve().parents[2]
# A classifier that learns from batches of mirrored pictures, and an FCN with skip layers: all that
# is drawn at random is drawn in them.
PARENTS = {'mini-vgg': (), 'mini-fcn32s': ('mini-vgg',), 'mini-fcn16s': ('mini-fcn32s',)}
NETS = tuple(PARENTS)
ITERATIONS = 40
# Snapshots and validations that now and then coincide, and a last iteration that has neither.
OPTIONS = ('--snapshot-every', '3', '--val-every', '16', '--val-images', '16')


class Setting:
    """A folder with data to learn from and, for each net, a run that was never interrupted."""

    def __init__(
        self, folder: str | Path, nets: Sequence[str] = NETS, iterations: int = ITERATIONS
    ) -> None:
        self.folder, self.iterations = Path(folder).resolve(), iterations
        self.data = generate(self.folder / 'data', train=12, val=4, size=(64, 80), objects=400)
        self.reference = self.folder / 'reference'
        for name in nets:
            process = self.solve(name, self.reference)
            output, _ = process.communicate()
            assert process.returncode == 0, output

    def command(self, name: str, runs: Path, iterations: int | None = None) -> list[str]:
        """Return the command that trains a net in RUNS/NAME from its parent's reference run."""
        iterations = iterations or self.iterations
        where = ['--data', str(self.data), '--runs', str(runs), '--gpu', '-1']
        weights = [f'--weights={self.reference / parent}' for parent in PARENTS[name]]
        command = [sys.executable, str(ROOT / 'solve.py'), name, *where]
        return [*command, '--iterations', str(iterations), *OPTIONS, *weights]

    def solve(
        self,
        name: str,
        runs: Path,
        iterations: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start that command; its `communicate` returns what it prints."""
        # One thread: several run at the same time, and are compared bit by bit.
        threads = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', 'GLOG_minloglevel': '2'}
        return subprocess.Popen(
            self.command(name, runs, iterations),
            cwd=self.folder,
            env={**os.environ, **threads, **(environment or {})},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def differences(self, name: str, runs: Path) -> list[str]:
        """Return what differs between a finished run and the reference."""
        return differences(Run(Path(runs) / name), Run(self.reference / name))


def differences(ours: Run, reference: Run) -> list[str]:
    """Return what differs between two finished runs, by name; nothing if they are equal."""
    if _iterations(ours) != _iterations(reference):
        return ['the snapshots kept']
    result = []
    for (_, one), (_, other) in zip(ours.snapshots.all(), reference.snapshots.all(), strict=True):
        manifests = [read_checksummed(folder / MANIFEST) for folder in (one, other)]
        iteration = manifests[0]['iteration']
        weights, states = (
            [folder / file_name(iteration, kind) for folder in (one, other)]
            for kind in (WEIGHTS, STATE)
        )
        if layer_bytes(weights[0]) != layer_bytes(weights[1]):
            result.append(f"{one.name}'s weights")
        if states[0].read_bytes() != states[1].read_bytes():
            result.append(f"{one.name}'s solver state")
        for key in ('iteration', 'recent_losses', 'validation', 'data', 'settings'):
            if manifests[0][key] != manifests[1][key]:
                result.append(f"{one.name}'s {key}")
    if history(ours) != history(reference):
        result.append('the log')
    return result


def _iterations(run: Run) -> list[int]:
    return [iteration for iteration, _ in run.snapshots.all()]


def layer_bytes(caffemodel: Path) -> dict[str, list[tuple[tuple[int, ...], bytes]]]:
    """Return {layer: [(shape, bytes) of each blob]} of a file of weights.

    The file itself also holds the net, which says where its data began.
    """
    return {
        layer: [(blob.shape, blob.tobytes()) for blob in blobs]
        for layer, blobs in read_weights(caffemodel)
    }


def history(run: Run) -> list[dict[str, Any]]:
    """Return a run's log without times and without what interruptions add."""
    return [
        {key: value for key, value in record.items() if key not in ('time', 'images_per_second')}
        for record in run.log.read()
        if 'event' not in record
    ]


def left_behind(folder: Path) -> list[str]:
    """Return files under `folder` that a crash may leave, but a command's own end may not."""
    return [str(path) for path in Path(folder).rglob('*') if re.match(r'\.(?!lock$)', path.name)]


def dump(path: str | Path, result: dict[str, Any]) -> None:
    """Write a proof's result, with its commit, date and machine, for the page."""
    commit, date = versions()['fcn'], f'{datetime.now(UTC):%Y-%m-%d}'
    about = {'commit': commit, 'date': date, 'machine': machine()}
    write_text(Path(path), json.dumps(about | result, indent=1) + '\n')
