"""What the proofs share: a small set to learn, nets trained on it by solve.py, and how two runs are compared."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from experiments.report import machine
from fcn.engine import versions
from fcn.io import write_text
from fcn.solvers import Run
from fcn.solvers.snapshot import MANIFEST, STATE, WEIGHTS, file_name, read_checksummed
from fcn.surgery import read_weights
from miniature.generate import generate

ROOT = Path(__file__).resolve().parents[2]
# A classifier that learns from batches of mirrored pictures, and an FCN with skips: all that is drawn is drawn.
CHAIN = {'mini-vgg': (), 'mini-fcn32s': ('mini-vgg',), 'mini-fcn16s': ('mini-fcn32s',)}
NETS = tuple(CHAIN)
ITERATIONS = 40
# Snapshots and validations that now and then coincide, and an end that is neither's turn.
OPTIONS = ('--snapshot-every', '3', '--val-every', '16', '--val-images', '16')


class Setting:
    """A folder with data to learn from and, for each net, a run that was never interrupted."""

    def __init__(self, folder, nets=NETS, iterations=ITERATIONS):
        self.folder, self.iterations = Path(folder).resolve(), iterations
        self.data = generate(self.folder / 'data', train=12, val=4, size=(64, 80), objects=400)
        self.reference = self.folder / 'reference'
        for name in nets:
            process = self.solve(name, self.reference)
            words, _ = process.communicate()
            assert process.returncode == 0, words

    def command(self, name, runs, iterations=None):
        """The command that trains net `name` in RUNS/name, from its parent's reference run."""
        weights = [f'--weights={self.reference / parent}' for parent in CHAIN[name]]
        return [
            sys.executable,
            str(ROOT / 'solve.py'),
            name,
            '--data',
            str(self.data),
            '--runs',
            str(runs),
            '--iterations',
            str(iterations or self.iterations),
            '--gpu',
            '-1',
            *OPTIONS,
            *weights,
        ]

    def solve(self, name, runs, iterations=None, **environment):
        """That command as a process, its words to be had from `communicate`."""
        # One thread: several run at a time, and are compared bit by bit.
        environment = os.environ | {
            'OMP_NUM_THREADS': '1',
            'OPENBLAS_NUM_THREADS': '1',
            'GLOG_minloglevel': '2',
            **environment,
        }
        return subprocess.Popen(
            self.command(name, runs, iterations),
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def differences(self, name, runs):
        """What differs between a finished run and the reference."""
        return differences(Run(Path(runs) / name), Run(self.reference / name))


def differences(ours, reference):
    """What differs between two finished runs, as a list of words; empty if they are equal."""
    if [iteration for iteration, _ in ours.snapshots()] != [
        iteration for iteration, _ in reference.snapshots()
    ]:
        return ['the snapshots kept']
    found = []
    for (_, one), (_, other) in zip(ours.snapshots(), reference.snapshots(), strict=True):
        manifests = [read_checksummed(folder / MANIFEST) for folder in (one, other)]
        files = [
            [folder / file_name(manifests[0]['iteration'], kind) for folder in (one, other)]
            for kind in (WEIGHTS, STATE)
        ]
        if bits(files[0][0]) != bits(files[0][1]):
            found.append(f"{one.name}'s weights")
        if files[1][0].read_bytes() != files[1][1].read_bytes():
            found.append(f"{one.name}'s solver state")
        found += [
            f"{one.name}'s {key}"
            for key in ('iteration', 'recent_losses', 'validation', 'data', 'settings')
            if manifests[0][key] != manifests[1][key]
        ]
    if history(ours) != history(reference):
        found.append('the log')
    return found


def bits(caffemodel):
    """The weights of a file by layer, as bytes. (The file also holds the net, which says where its data began.)"""
    return {
        layer: [(blob.shape, blob.tobytes()) for blob in blobs]
        for layer, blobs in read_weights(caffemodel)
    }


def history(run):
    """A run's log without what interruptions add and without times."""
    return [
        {key: value for key, value in record.items() if key not in ('time', 'images_per_second')}
        for record in run.read_log()
        if 'event' not in record
    ]


def left_behind(folder):
    """Files that a crash may leave under `folder`, but no end that we chose."""
    return [str(path) for path in Path(folder).rglob('*') if re.match(r'\.(?!lock$)', path.name)]


def dump(path, result):
    """Write a proof's result beside the others, for the page."""
    about = dict(commit=versions()['fcn'], date=f'{datetime.now(UTC):%Y-%m-%d}', machine=machine())
    write_text(Path(path), json.dumps(about | result, indent=1) + '\n')
