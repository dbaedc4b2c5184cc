"""Momentum follows its layer when a net lists its layers in another order than a snapshot."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from caffe.proto import caffe_pb2
from small_runs import assert_equal_weights, trainer, weights_of_run

from fcn.errors import RunError
from fcn.solvers import Run
from fcn.solvers.snapshot import MANIFEST, STATE, WEIGHTS, digest, read_checksummed
from fcn.solvers.solver_state import momentum_order, write_reordered
from miniature.sets import generate_nyud

# Version 1.0 listed the layers of both streams before the score layers, the published net lists
# each stream with its score layer.
NET, MOVED, BEFORE = 'mini-nyud-fcn32s-color-hha', 'score_frcolor', 'score_frhha'


def message(kind: Callable[[], Any], file: Path) -> Any:
    """Return the protobuf message of a type in a file."""
    result = kind()
    result.ParseFromString(file.read_bytes())
    return result


def old_order(layers: list[str]) -> list[int]:
    """Return the indices of layers in the order of version 1.0."""
    indices = [index for index, name in enumerate(layers) if name != MOVED]
    indices.insert(indices.index(layers.index(BEFORE)), layers.index(MOVED))
    return indices


def reorder(fields: Any, order: list[int]) -> None:
    """Put the entries of a repeated field into another order."""
    entries = [type(fields[0]).FromString(fields[index].SerializeToString()) for index in order]
    del fields[:]
    fields.extend(entries)


def make_old(run: Run) -> None:
    """Make the newest snapshot of a run one of version 1.0."""
    iteration, folder = run.snapshots.all()[-1]
    files = {kind: run.snapshots.file(iteration, kind) for kind in (WEIGHTS, STATE)}
    model = message(caffe_pb2.NetParameter, files[WEIGHTS])
    state = message(caffe_pb2.SolverState, files[STATE])
    learning = [layer for layer in model.layer if layer.blobs]
    owners = [layer.name for layer in learning for _ in layer.blobs]
    order = old_order([layer.name for layer in learning])
    momentum = [
        index
        for layer in order
        for index, owner in enumerate(owners)
        if owner == learning[layer].name
    ]
    assert len(state.history) == len(owners) and momentum != sorted(momentum)
    reorder(state.history, momentum)
    reorder(model.layer, old_order([layer.name for layer in model.layer]))
    for kind, content in ((WEIGHTS, model), (STATE, state)):
        files[kind].write_bytes(content.SerializeToString())
    digests = {file.name: digest(file) for file in files.values()}
    run.snapshots.update(iteration, files=digests)
    assert read_checksummed(folder / MANIFEST)['files'] == digests


def test_an_old_run_of_two_streams_is_resumed_with_the_right_momentum(tmp_path: Path) -> None:
    data = generate_nyud(tmp_path / 'data', trainval=2, test=1)
    options: dict[str, Any] = dict(max_iter=3, val_every=100, snapshot_every=3, base_lr=1e-8)
    started = trainer(tmp_path / 'new', data, NET, **options)
    started.train([])
    shutil.copytree(tmp_path / 'new', tmp_path / 'old')
    make_old(trainer(tmp_path / 'old', data, NET, **options).run)
    runs = []
    for folder in ('new', 'old'):
        runs.append(trainer(tmp_path / folder, data, NET, **options | dict(max_iter=5)))
        runs[-1].train([])
    new, old = (run.run for run in runs)
    assert old.iteration == new.iteration == 5 and old.damaged() == []
    events = [record for record in old.log.read() if record.get('event') == 'resumed']
    assert [record['iteration'] for record in events] == [3]
    assert_equal_weights(weights_of_run(new), weights_of_run(old))
    states = [run.snapshots.file(5, STATE).read_bytes() for run in (new, old)]
    assert states[0] == states[1]
    assert not list(old.snapshots.folder.glob('.*'))


def test_each_array_of_weights_is_looked_up_by_its_layer() -> None:
    counts = {'conv': 2, 'upscore': 1, 'score': 2}
    assert momentum_order(counts, ['conv', 'score', 'upscore']) == [0, 1, 3, 4, 2]


def test_a_state_is_copied_in_another_order(tmp_path: Path) -> None:
    state = caffe_pb2.SolverState(iter=300, learned_net='x.caffemodel', current_step=2)
    for value in range(3):
        state.history.add(data=[value] * 1000, shape=dict(dim=[10, 100]))
    (tmp_path / 'a').write_bytes(state.SerializeToString())
    write_reordered(tmp_path / 'a', tmp_path / 'b', [2, 0, 1])
    copy = message(caffe_pb2.SolverState, tmp_path / 'b')
    assert [blob.data[0] for blob in copy.history] == [2, 0, 1]
    assert (copy.iter, copy.learned_net, copy.current_step) == (300, 'x.caffemodel', 2)
    assert all(np.shape(blob.data) == (1000,) for blob in copy.history)
    with pytest.raises(RunError, match=r'a: .* 3 arrays'):
        write_reordered(tmp_path / 'a', tmp_path / 'c', [1, 0])
    (tmp_path / 'a').write_bytes(state.SerializeToString()[:-1])
    with pytest.raises(RunError, match='a: '):
        write_reordered(tmp_path / 'a', tmp_path / 'c', [2, 0, 1])
