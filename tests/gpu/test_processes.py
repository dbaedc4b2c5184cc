"""Two processes with a GPU each learn what one does with one: gradients are summed by NCCL."""

import importlib.util

import numpy as np
import pytest
from mpi_launch import mpiexec
from small_runs import weights_of_run

from fcn.engine import caffe
from fcn.solvers import Run

NET = 'mini-fcn32s'


def gpus():
    if not importlib.util.find_spec('caffe._cuda'):
        return 0
    from caffe import _cuda

    return _cuda.device_count()


@pytest.mark.skipif(gpus() < 2, reason='needs two GPUs')
# Passes are shared, one in each process, which are summed as they compute, or two; or a pass is.
@pytest.mark.parametrize('more', [['--batch', 2], ['--batch', 4], ['--batch', 2, '--crop', 48]])
def test_two_gpus_learn_as_one(more, mini, tmp_path):
    assert caffe.has_nccl()
    given = ['--data', mini, '--init-missing', '--base-lr', '1e-5', '--iterations', 3, *more]
    for processes in (1, 2):
        # Alone, the first GPU is the default; a process of two takes its own.
        result = mpiexec(processes, 'solve.py', NET, *given, '--runs', tmp_path / str(processes))
        assert result.returncode == 0, result.stderr
    one, two = (weights_of_run(Run(tmp_path / number / NET)) for number in '12')
    for name, blobs in one.items():
        for ours, theirs in zip(blobs, two[name], strict=True):
            assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(ours).max(), name
