"""Our Winograd convolutions against direct sums in float64, on every instruction set of this
processor and with any number of threads."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from caffe import layers as L

from fcn import engine
from fcn.engine import net_of
from tests.support import ROOT

# N×C×H×W, outputs, kernel, pad, groups.
SHAPES = {
    'VGG': ((1, 64, 30, 41), 64, 3, 1, 1),
    'odd channels, several images': ((3, 35, 13, 29), 37, 3, 1, 1),
    'one pixel': ((1, 40, 1, 1), 33, 3, 1, 1),
    'images smaller than a tile': ((40, 40, 2, 3), 33, 3, 1, 1),
    'narrower than a tile': ((2, 48, 17, 2), 40, 3, 1, 1),
    'without padding': ((1, 33, 21, 20), 50, 3, 0, 1),
    'padding wider than the kernel': ((1, 24, 9, 7), 40, 3, 5, 1),
    'pad 100': ((1, 16, 6, 5), 16, 3, 100, 1),
    'few channels': ((2, 3, 40, 33), 30, 3, 2, 1),
    'more inputs than at once': ((1, 1100, 14, 19), 70, 3, 1, 1),
    'more outputs than at once': ((1, 70, 14, 19), 1100, 3, 1, 1),
    'groups': ((2, 48, 15, 14), 64, 3, 1, 2),
    'weights too large to be kept': ((1, 300, 19, 22), 270, 3, 1, 1),
    'more tiles than fit at once': ((1, 300, 70, 66), 270, 3, 1, 1),
    '4×4': ((2, 33, 14, 23), 30, 4, 2, 1),
    '5×5': ((1, 24, 28, 31), 64, 5, 2, 1),
    '6×6': ((1, 40, 15, 15), 90, 6, 0, 1),
    '7×7': ((1, 64, 22, 22), 120, 7, 0, 1),
}

# Of the largest value, what rounding may take: of scores, and of gradients by data and by weights.
SHARES = 1.2e-5, 2e-5, 2e-5


def make(shape, outputs, kernel, pad, groups):
    """A net of a convolution, and data, weights, bias and a gradient of the top."""
    spec = L.Input(input_param={'shape': {'dim': list(shape)}})
    top = L.Convolution(
        spec, num_output=outputs, kernel_size=kernel, pad=pad, group=groups, name='top'
    )
    proto = top.to_proto()
    proto.force_backward = True
    net = net_of(proto)
    rng = np.random.default_rng(0)
    name, weights = net.inputs[0], net.params['top']
    net.blobs[name].data[...] = rng.standard_normal(shape)
    for blob in weights:
        blob.data[...] = rng.standard_normal(blob.data.shape) / np.sqrt(
            max(1, np.prod(blob.data.shape[1:]))
        )
    return net, rng.standard_normal(net.blobs[net.outputs[0]].data.shape).astype(np.float32)


def passes(net, diff):
    """The top, and the gradients of the data and of the weights."""
    (name,), (top,) = net.inputs, net.outputs
    scores = net.forward()[top].copy()
    net.params['top'][0].diff[...] = 0
    net.backward(**{top: diff})
    return scores, net.blobs[name].diff.copy(), net.params['top'][0].diff.copy()


def direct(net, diff, kernel, pad, groups):
    """The same in float64, by the definition."""
    data = net.blobs[net.inputs[0]].data.astype(float)
    weights, bias = (blob.data.astype(float) for blob in net.params['top'])
    padded = np.pad(data, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    tops, data_diff, weight_diffs = [], np.zeros_like(padded), []
    inputs, outputs = data.shape[1] // groups, len(weights) // groups
    height, width = diff.shape[2:]
    for group in range(groups):
        ins = slice(group * inputs, (group + 1) * inputs)
        outs = slice(group * outputs, (group + 1) * outputs)
        patches = np.lib.stride_tricks.sliding_window_view(
            padded[:, ins], (kernel, kernel), axis=(2, 3)
        )
        tops.append(np.tensordot(patches, weights[outs], ((1, 4, 5), (1, 2, 3))))
        weight_diffs.append(np.tensordot(diff[:, outs], patches, ((0, 2, 3), (0, 2, 3))))
        for y in range(kernel):
            for x in range(kernel):
                part = np.tensordot(diff[:, outs], weights[outs, :, y, x], (1, 0))
                data_diff[:, ins, y : y + height, x : x + width] += part.transpose(0, 3, 1, 2)
    top = np.concatenate(tops, axis=3).transpose(0, 3, 1, 2) + bias[:, None, None]
    inside = (slice(pad, pad + size) for size in data.shape[2:])
    return top, data_diff[(..., *inside)], np.concatenate(weight_diffs)


@pytest.mark.parametrize('case', SHAPES)
def test_equals_the_direct_sum(case):
    *shape, kernel, pad, groups = SHAPES[case]
    net, diff = make(*shape, kernel, pad, groups)
    results = passes(net, diff)
    exacts = direct(net, diff, kernel, pad, groups)
    for ours, exact, share in zip(results, exacts, SHARES, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=0, atol=share * np.abs(exact).max())


@pytest.mark.parametrize('case', SHAPES)
def test_the_same_bits_with_any_number_of_threads(case):
    *shape, kernel, pad, groups = SHAPES[case]
    net, diff = make(*shape, kernel, pad, groups)
    before, results = engine.threads(), []
    try:
        for threads in (1, 2, 3):
            engine.set_threads(threads)
            results.append(passes(net, diff))
    finally:
        engine.set_threads(before)
    for other in results[1:]:
        for one, same in zip(results[0], other, strict=True):
            assert np.array_equal(one, same)


def test_a_part_of_an_image_has_the_bits_of_the_whole():
    """Where its tiles lie on those of the whole: sums do not depend on the size of the image."""
    whole, _ = make((1, 40, 40, 50), 40, 3, 0, 1)
    part, _ = make((1, 40, 28, 26), 40, 3, 0, 1)
    for blob, same in zip(part.params['top'], whole.params['top'], strict=True):
        blob.data[...] = same.data
    data = whole.blobs[whole.inputs[0]].data
    part.blobs[part.inputs[0]].data[...] = data[:, :, 12:40, 24:50]
    scores, some = (net.forward()[net.outputs[0]] for net in (whole, part))
    assert np.array_equal(scores[:, :, 12:38, 24:48], some)


def isas():
    """The instruction sets that the kernels know and this processor has, but the best."""
    flags = set(re.findall(r'\w+', Path('/proc/cpuinfo').read_text()))
    return ['baseline'] + (['avx2'] if {'avx512f', 'avx512dq', 'avx512bw'} <= flags else [])


def under(isa, *command):
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, 'FCN_MAX_CPU_ISA': isa, 'FCN_VERBOSE': '1'},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize('isa', isas())
def test_lesser_instruction_sets(isa):
    command = ('-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-rP', '-k', 'direct_sum', __file__)
    result = under(isa, *command)
    assert result.returncode == 0, result.stdout
    kernels = re.findall(r'winograd \(\S+ (\S+)\)', result.stdout)
    assert set(kernels) == {isa}


def test_an_unknown_instruction_set_is_refused():
    script = (
        'from tests.pycaffe.test_winograd import SHAPES, make\nmake(*SHAPES["VGG"])[0].forward()'
    )
    result = under('avx3', '-c', script)
    assert result.returncode == 1
    assert "FCN_MAX_CPU_ISA is 'avx3'; set it to avx512, avx2 or baseline" in result.stderr
