"""Untrusted prototxts: whatever Caffe would abort on is a one-line error, and no file of the user
is touched."""

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from fcn.errors import WeightsError
from fcn.surgery import Report, convolutionalize, load, read_spec, sandbox

INPUT = (
    'layer { name: "data" type: "Input" top: "data" '
    'input_param { shape { dim: 1 dim: 3 dim: 20 dim: 20 } } }\n'
)


def layer(kind: str, more: str = '', bottom: str = 'data') -> str:
    return INPUT + f'layer {{ name: "x" type: "{kind}" bottom: "{bottom}" top: "x" {more} }}'


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (layer('ReLU', bottom='y'), "Unknown bottom blob 'y'"),
        (
            layer('Convolution', 'convolution_param { num_output: 2 kernel_size: 99 }'),
            "layer 'x': Caffe refuses it: Check",
        ),
        (
            layer('Convolution', 'convolution_param { num_output: 2 kernel_size: 1 group: 0 }'),
            r"layer 'x'.*SIGFPE",
        ),
        (
            layer(
                'InnerProduct',
                'inner_product_param { num_output: 4 weight_filler { type: "none" } }',
            ),
            'Unknown filler',
        ),
        (layer('InnerProduct', 'inner_product_param { }'), 'a blob without elements'),
        (
            layer('InnerProduct', 'inner_product_param { num_output: 1700000 }'),
            "layer 'x': the net needs more than",
        ),
        (
            layer('InnerProduct', 'inner_product_param { num_output: 500000 }'),
            'more than a caffemodel can hold',
        ),
        (INPUT.replace('dim: 20', 'dim: 1000000000'), 'blob size exceeds INT_MAX'),
        (
            layer('InnerProduct', 'inner_product_param { num_output: 4 }')
            + layer('InnerProduct', 'inner_product_param { num_output: 4 }')
            .removeprefix(INPUT)
            .replace('top: "x"', 'top: "y"'),
            "two layers named 'x'",
        ),
    ],
)
def test_what_caffe_aborts_on_is_one_line(text: str, words: str) -> None:
    with pytest.raises(WeightsError, match=words) as caught:
        load(text_format.Parse(text, caffe_pb2.NetParameter()), 'mine.prototxt')
    assert str(caught.value).startswith('mine.prototxt: ') and '\n' not in str(caught.value)


def test_a_net_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, 'SECONDS', 0.1)
    with pytest.raises(WeightsError, match=r'takes more than 0\.1 s'):
        load(text_format.Parse(INPUT, caffe_pb2.NetParameter()), 'slow.prototxt')


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('', 'holds no layer'),
        ('layer {' * 5000, 'no prototxt'),
        (INPUT + '\x01{', 'no prototxt'),
        ('layer { name: "' + 'x' * (4 << 20) + '" }', 'larger than 4 MiB'),
        (
            layer('Python', 'python_param { module: "antigravity" layer: "x" }'),
            "'x' would run antigravity.x",
        ),
        (
            layer('HDF5Output', 'hdf5_output_param { file_name: "FILE" }'),
            'type HDF5Output',
        ),
    ],
)
def test_what_is_not_even_tried(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / 'victim').write_text('precious')
    (tmp_path / 'net.prototxt').write_text(text.replace('FILE', str(tmp_path / 'victim')))
    with pytest.raises(WeightsError, match=words) as caught:
        read_spec(tmp_path / 'net.prototxt')
    assert len(str(caught.value)) < 600 and '\n' not in str(caught.value)
    assert (tmp_path / 'victim').read_text() == 'precious'


def test_names_of_layers_do_not_steer_the_terminal() -> None:
    report = Report(unused=['a\x1b[2J', 'b\nc'], missing=['d\r'], renamed={'e\n': 'f'})
    renamed, unused, missing = str(report).split('\n')
    assert unused.endswith(r': a\x1b[2J, b\nc')
    assert renamed.endswith(r': e\n as f')
    assert r'no weights for d\r;' in missing


def test_a_folder_or_a_binary_file_is_no_prototxt(tmp_path: Path) -> None:
    (tmp_path / 'b.prototxt').write_bytes(b'\xff\xfe\x00')
    for file, words in (
        (tmp_path, re.escape(f'{tmp_path}: ')),
        (tmp_path / 'b.prototxt', r'b\.prototxt: .*UTF-8'),
    ):
        with pytest.raises(WeightsError, match=words):
            read_spec(file)


def test_layers_of_another_phase_are_not_cast() -> None:
    spec = text_format.Parse(
        layer('InnerProduct', 'inner_product_param { num_output: 4 }')
        + """
        layer { name: "aux" type: "InnerProduct" bottom: "y" top: "aux" include { phase: TRAIN }
                inner_product_param { num_output: 4 } }""",
        caffe_pb2.NetParameter(),
    )
    net = load(spec, 'net.prototxt')
    assert [one.type for one in convolutionalize(net, spec).layer] == [
        'Input',
        'Convolution',
        'InnerProduct',
    ]
    del spec.layer[1]
    with pytest.raises(WeightsError, match='no InnerProduct layer to cast'):
        convolutionalize(load(spec, 'net.prototxt'), spec)


def test_outputs_are_checked_first(
    tmp_path: Path, command: Callable[..., CompletedProcess[str]]
) -> None:
    net = tmp_path / 'net.prototxt'
    net.write_text(layer('InnerProduct', 'inner_product_param { num_output: 4 }'))
    before = net.read_text()
    for out, words in (
        (net, 'would overwrite'),
        (tmp_path, 'is a folder'),
        (tmp_path / 'no' / 'x', 'there is no folder'),
        (net / 'x', 'there is no folder'),
    ):
        result = command('-m', 'surgery', 'init', net, out, '--init-missing')
        assert result.returncode == 2 and words in result.stderr and result.stderr.count('\n') == 1
    assert net.read_text() == before
