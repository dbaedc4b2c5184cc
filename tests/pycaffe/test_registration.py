"""The door into the engine: `import caffe` puts our layers in the place of Caffe's, once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import caffe
import pytest
from caffe import _fcn

from fcn import engine
from tests.pycaffe.test_onednn import CONVOLUTIONS, DECONVOLUTIONS, OTHERS

pytestmark = pytest.mark.cpu

ROOT = Path(__file__).resolve().parents[2]
REPLACED = ('Convolution', 'Deconvolution', 'LRN', 'Pooling', 'ReLU')
# One layer of each replaced type, as a prototxt.
NET = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 16 dim: 12 dim: 12 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 16 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool" pooling_param { kernel_size: 2 } }
layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up"
        convolution_param { num_output: 16 kernel_size: 4 stride: 2 bias_term: false } }
force_backward: true
"""  # fmt: skip
LINE = re.compile(
    r'fcn: (\S+) (\S+) (forward|backward\S*) (\S+)( \(.+\))? (\d+\.\d{3}) ms, CPU \d+\.\d{3} ms'
)


def run_caffe(script, **environment):
    """Run a script that imports only Caffe, and return what it wrote, as (stdout, stderr)."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ('CAFFE_CPU', 'FCN_VERBOSE')
    }
    result = subprocess.run(
        [sys.executable, '-c', script],
        env={**kept, 'GLOG_minloglevel': '2', **environment},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


def script_of(proto, path, passes='net.forward(); net.backward()'):
    path.write_text(proto)
    return f'import caffe\nnet = caffe.Net({str(path)!r}, caffe.TEST)\n{passes}\n'


def lines_of(stderr):
    """Return the log as tuples (layer, type, pass, kernel, detail), one per line."""
    matches = [LINE.fullmatch(line) for line in stderr.splitlines()]
    assert all(matches), stderr
    return [match.group(1, 2, 3, 4, 5) for match in matches]


def test_importing_caffe_registers_our_layers(tmp_path):
    _, stderr = run_caffe(script_of(NET, tmp_path / 'net.prototxt'), FCN_VERBOSE='1')
    lines = lines_of(stderr)
    assert {kind for _, kind, *_ in lines} == {*REPLACED}
    assert [(name, work) for name, _, work, *_ in lines] == [
        *((name, 'forward') for name in ('conv', 'relu', 'norm', 'pool', 'up')),
        ('up', 'backward-weights'),
        ('up', 'backward-data'),
        *((name, 'backward-data') for name in ('pool', 'norm', 'relu')),
        ('conv', 'backward-weights'),
        ('conv', 'backward-data'),
    ]


@pytest.mark.parametrize('environment', [{}, {'FCN_VERBOSE': '0'}, {'FCN_VERBOSE': ''}])
def test_nothing_is_logged_unless_requested(tmp_path, environment):
    assert run_caffe(script_of(NET, tmp_path / 'net.prototxt'), **environment) == ('', '')


def test_stock_keeps_caffes_own(tmp_path):
    script = script_of(NET, tmp_path / 'net.prototxt')
    assert run_caffe(script, CAFFE_CPU='stock', FCN_VERBOSE='1') == ('', '')


@pytest.mark.parametrize('kind', REPLACED)
def test_stock_types_are_caffes_own(tmp_path, kind):
    proto = NET.replace(f'type: "{kind}"', f'type: "Stock{kind}"')
    _, stderr = run_caffe(script_of(proto, tmp_path / 'net.prototxt'), FCN_VERBOSE='1')
    assert {one for _, one, *_ in lines_of(stderr)} == {*REPLACED} - {kind}


@pytest.mark.parametrize('kind', REPLACED)
def test_layers_have_the_type_of_the_prototxt(tmp_path, kind):
    path = tmp_path / 'net.prototxt'
    for name in (kind, f'Stock{kind}'):
        path.write_text(NET.replace(f'type: "{kind}"', f'type: "{name}"'))
        assert name in [layer.type for layer in caffe.Net(str(path), caffe.TEST).layers]


def test_registering_again_changes_nothing(tmp_path):
    """Twice registered, the Stock types would be ours."""
    before = list(caffe.layer_type_list())
    _fcn.register_layers()
    _fcn.register_layers()
    assert list(caffe.layer_type_list()) == before
    proto = NET.replace('type: "ReLU"', 'type: "StockReLU"')
    script = script_of(proto, tmp_path / 'net.prototxt')
    script = script.replace('import caffe\n', 'import caffe\ncaffe._fcn.register_layers()\n')
    _, stderr = run_caffe(script, FCN_VERBOSE='1')
    assert 'ReLU' not in {kind for _, kind, *_ in lines_of(stderr)}


def kernels(folder, shape, kind, param):
    """Return the kernels that compute a layer in a fresh process, pass → (name, detail)."""
    path = folder / 'make.py'
    path.write_text(
        'import pathlib\nfrom tests.pycaffe.test_onednn import fill, make_net, np, run\n'
        f'net = make_net(pathlib.Path({str(folder)!r}), {shape}, {kind!r}, **{param})\n'
        "rng = fill(net)\nrun(net, np.ones_like(net.blobs['top'].data))\n"
    )
    folders = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    _, stderr = run_caffe(
        f'import runpy; runpy.run_path({str(path)!r})', FCN_VERBOSE='1', PYTHONPATH=folders
    )
    return {work: line for _, _, work, *line in lines_of(stderr)}


def names(*layer):
    return {name for name, _ in kernels(*layer).values()}


@pytest.mark.parametrize(
    'case, kernel',
    [
        ('pointwise', 'gemm-pointwise'),
        ('winograd', 'winograd'),
        ('winograd, odd channels', 'winograd'),
        ('first', 'winograd'),
        ('groups', 'winograd'),
        ('first, stride', 'gemm-few-channels'),
        ('depthwise', 'gemm-few-channels'),
        ('whole image', 'gemm-large-weights'),
        ('small image', 'gemm-large-weights'),
        ('three dimensions', 'caffe'),
    ],
)
def test_kernel_of_a_convolution(tmp_path, case, kernel):
    shape, param = CONVOLUTIONS[case]
    assert names(tmp_path, shape, 'Convolution', {'convolution_param': param}) == {kernel}


@pytest.mark.parametrize('case', ['stride', 'dilation', 'dilation of many channels'])
def test_onednn_computes_what_no_product_suits(tmp_path, case):
    """By which of its kernels depends on its version and on the processor."""
    shape, param = CONVOLUTIONS[case]
    allowed = {'onednn-direct16', 'onednn-direct8'}
    assert names(tmp_path, shape, 'Convolution', {'convolution_param': param}) <= allowed


def test_large_images_are_computed_in_bands(tmp_path):
    """Those for which test_onednn compares bands with Caffe's own layers."""
    param = {'convolution_param': dict(num_output=32, kernel_h=3, kernel_w=5, pad_h=1, pad_w=2)}
    lines = kernels(tmp_path, (24, 32, 203, 150), 'Convolution', param)
    assert len(lines) == 3
    assert all(re.search(r'\d bands', detail) for _, detail in lines.values())


def test_kernel_of_upsampling(tmp_path):
    """A Deconvolution whose weights are zero between channels has a kernel of its own."""
    _, stderr = run_caffe(
        script_of(
            NET,
            tmp_path / 'net.prototxt',
            "weights = net.params['up'][0].data\nweights[...] = 0\n"
            'weights[range(16), range(16)] = 1\nnet.forward()\nnet.backward()',
        ),
        FCN_VERBOSE='1',
    )
    lines = [line for line in lines_of(stderr) if line[0] == 'up']
    assert {kernel for _, _, _, kernel, _ in lines} == {'diagonal'}
    # The weights off the diagonal have gradients, which a dense kernel computes.
    assert [bool(detail) for *_, detail in lines] == [False, True, False]
    shape, param = DECONVOLUTIONS['other channels']
    assert 'diagonal' not in names(tmp_path, shape, 'Deconvolution', {'convolution_param': param})


@pytest.mark.parametrize(
    'case, kernel',
    [
        ('max pooling', 'max-rows'),
        ('average pooling', 'mean-rows'),
        ('relu', 'parallel'),
        ('lrn', 'blocks-roots'),
        ('lrn of another power', 'blocks-pow'),
        ('lrn in a channel', 'caffe'),
    ],
)
def test_kernel_of_another_layer(tmp_path, case, kernel):
    shape, kind, param = OTHERS[case]
    assert names(tmp_path, shape, kind, param) == {kernel}


def test_threads_can_be_set():
    before = engine.threads()
    try:
        for count in (1, 3):
            engine.set_threads(count)
            assert engine.threads() == count
        for count in (0, -2):
            with pytest.raises(ValueError, match=str(count)):
                engine.set_threads(count)
    finally:
        engine.set_threads(before)


@pytest.mark.parametrize('missing', ['caffe', 'caffe._build'])
def test_a_missing_engine_is_one_line(missing):
    """Without Caffe, and with another build of it than ours."""
    script = (
        f'import sys\nsys.modules[{missing!r}] = None\nfrom fcn.errors import FCNError\n'
        'try:\n    import fcn.engine\nexcept FCNError as error:\n    print(error)\n'
    )
    message, _ = run_caffe(script, PYTHONPATH=str(ROOT))
    assert len(message.splitlines()) == 1
    assert missing.rpartition('.')[2] in message and 'pip install ./pycaffe' in message


GIT = """#!/bin/sh
case "$1" in
  ls-files) exit {tracked};;
  describe) echo abc1234;;
  diff) exit {diff};;
esac
"""


@pytest.mark.parametrize(
    'tracked, diff, expected',
    [(0, 0, 'abc1234'), (0, 1, 'abc1234-dirty'), (0, 128, 'abc1234'), (1, 0, None), (128, 0, None)],
)
def test_the_commit_in_a_runs_log(tmp_path, monkeypatch, tracked, diff, expected):
    """An error of git's is no difference; a copy that git does not track has no commit."""
    (tmp_path / 'git').write_text(GIT.format(tracked=tracked, diff=diff))
    (tmp_path / 'git').chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    assert engine.versions()['fcn'] == expected


def test_the_commit_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    assert engine.versions()['fcn'] is None
