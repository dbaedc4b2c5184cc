"""The files of the nets, as scripts and commands write them, and what Caffe makes of them."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import caffe
import numpy as np
import pytest

import fcn.nets
from fcn.data_layers import DATASETS
from fcn.engine import net_of
from fcn.errors import FCNError
from fcn.nets import NETS, deploy_net, find, train_net
from fcn.prototxts import prototxts

FOLDER = Path(fcn.nets.__file__).resolve().parent
FCNS = [name for name, config in NETS.items() if not config.is_classifier]


@pytest.mark.parametrize('name', [name for name, config in NETS.items() if config.is_published])
def test_committed_files_are_what_the_script_writes(name: str) -> None:
    texts = prototxts(name)
    assert set(texts) == {path.name for path in (FOLDER / name).glob('*.prototxt')}
    for file, text in texts.items():
        assert (FOLDER / name / file).read_text() == text, f'run python nets/{name}/net.py'


@pytest.mark.parametrize('from_root', [True, False])
def test_script_runs_from_the_root_and_from_its_folder(
    from_root: bool, command: Callable[..., CompletedProcess[str]]
) -> None:
    file = FOLDER / 'voc-fcn8s' / 'deploy.prototxt'
    before = file.stat().st_mtime_ns
    result = (
        command('nets/voc-fcn8s/net.py')
        if from_root
        else command('net.py', cwd=FOLDER / 'voc-fcn8s')
    )
    assert result.returncode == 0, result.stderr
    assert str(file) in result.stdout
    assert file.stat().st_mtime_ns > before


@pytest.mark.parametrize('name', FCNS)
def test_dropout_is_for_training_only(name: str) -> None:
    assert 'Dropout' not in {layer.type for layer in deploy_net(find(name)).to_proto().layer}


@pytest.mark.parametrize(
    'name',
    ['mini-fcn8s', 'mini-siftflow-fcn16s', 'mini-nyud-fcn16s-color-hha', 'voc-fcn-googlenet'],
)
def test_the_deploy_net_scores_as_the_train_net_does_in_its_test_phase(name: str) -> None:
    config, rng = find(name), np.random.default_rng(0)
    spec = train_net(config, DATASETS[config.data].train).to_proto()
    assert 'Dropout' in {layer.type for layer in spec.layer}
    inputs = DATASETS[config.data].inputs
    data = spec.layer[0]  # which would need a data set
    data.type = 'Input'
    data.ClearField('python_param')
    channels = [inputs[name].channels for name in config.input_blobs]
    for count in channels + [1] * len(config.classes):
        data.input_param.shape.add(dim=[1, count, 60, 70])
    deploy, train = net_of(deploy_net(config)), net_of(spec)
    assert list(deploy.params) == list(train.params)
    for layer, blobs in deploy.params.items():
        for blob, same in zip(blobs, train.params[layer], strict=True):
            blob.data[...] = rng.normal(0, blob.data[0].size ** -0.5, blob.data.shape)
            same.data[...] = blob.data
    for blob in deploy.inputs:
        deploy.blobs[blob].reshape(*train.blobs[blob].shape)
        deploy.blobs[blob].data[...] = rng.normal(0, 50, train.blobs[blob].data.shape)
        train.blobs[blob].data[...] = deploy.blobs[blob].data
    train.forward()
    for scores, values in deploy.forward().items():
        assert values.std() > 0
        np.testing.assert_array_equal(values, train.blobs[scores].data)


def test_an_unknown_net_is_refused_with_the_nearest_names(
    command: Callable[..., CompletedProcess[str]],
) -> None:
    result = command('solve.py', 'voc-fcn64s')
    assert result.returncode == 2 and result.stderr.count('\n') == 1
    assert "'voc-fcn64s'" in result.stderr
    assert 1 <= len(suggestions(result.stderr)) <= 3


def suggestions(message: str) -> set[str]:
    return set(re.findall(r'[\w-]+', message)) & set(NETS)


@pytest.mark.parametrize(
    ('typo', 'meant'),
    [
        ('voc-fcn8', 'voc-fcn8s'),
        ('siftflow-fcn16', 'siftflow-fcn16s'),
        ('nyud-fcn32-color-hha', 'nyud-fcn32s-color-hha'),
    ],
)
def test_a_typo_suggests_at_most_three_names(typo: str, meant: str) -> None:
    with pytest.raises(FCNError) as caught:
        find(typo)
    suggested = suggestions(str(caught.value))
    assert meant in suggested and len(suggested) <= 3


def test_nothing_like_a_net_suggests_none() -> None:
    with pytest.raises(FCNError, match=r"'xyz'.*--list") as caught:
        find('xyz')
    assert not suggestions(str(caught.value))


def test_a_folder_without_a_row_in_the_table_is_one_sentence(
    tmp_path: Path, command: Callable[..., CompletedProcess[str]]
) -> None:
    script = tmp_path / 'voc-fcn9s' / 'net.py'
    script.parent.mkdir()
    shutil.copy(FOLDER / 'voc-fcn8s' / 'net.py', script)
    result = command(script)
    assert result.returncode == 2 and result.stderr.count('\n') == 1
    assert f'{script}: ' in result.stderr and 'nets/table.py' in result.stderr
    assert list(script.parent.iterdir()) == [script]


def test_written_files_load_in_caffe(
    tmp_path: Path, mini: Path, command: Callable[..., CompletedProcess[str]]
) -> None:
    out = tmp_path / 'out'
    result = command('-m', 'fcn', 'net', 'mini-fcn16s', '--out', out)
    assert result.returncode == 0 and result.stderr == ''
    files = {f'{name}.prototxt' for name in ('train', 'val', 'deploy', 'solver')}
    assert set(result.stdout.split()) == {str(out / file) for file in files}
    assert {path.name for path in out.iterdir()} == files
    net = caffe.Net(str(out / 'deploy.prototxt'), caffe.TEST)
    assert list(net.outputs) == ['score']
    (tmp_path / 'data').mkdir()  # What they name, they name from where Caffe is started.
    (tmp_path / 'data' / 'mini').symlink_to(mini)
    (tmp_path / 'runs' / 'mini-fcn16s').mkdir(parents=True)
    script = (
        'import fcn.engine, caffe; '
        f'solver = caffe.SGDSolver({str(out / "solver.prototxt")!r}); '
        f'print(*solver.net.outputs, *caffe.Net({str(out / "val.prototxt")!r}, caffe.TEST).outputs)'
    )
    loaded = command('-c', script, cwd=tmp_path)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.split() == ['loss', 'loss']


def test_a_name_that_is_no_net_leaves_no_folder(
    tmp_path: Path, command: Callable[..., CompletedProcess[str]]
) -> None:
    result = command('-m', 'fcn', 'net', 'voc-fcn9s', cwd=tmp_path)
    assert result.returncode == 2 and result.stderr.count('\n') == 1
    assert "'voc-fcn9s'" in result.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize('arguments', [[], ['voc-fcn8s', '--list'], ['--list', '--table']])
def test_one_thing_is_asked_of_fcn_net(
    arguments: list[str], command: Callable[..., CompletedProcess[str]]
) -> None:
    result = command('-m', 'fcn', 'net', *arguments)
    assert result.returncode == 2 and '--table' in result.stderr


def test_the_committed_page_of_nets_is_what_the_command_prints(
    command: Callable[..., CompletedProcess[str]],
) -> None:
    result = command('-m', 'fcn', 'net', '--table')
    assert result.returncode == 0
    page = (FOLDER.parent / 'docs' / 'nets.md').read_text()
    assert page == result.stdout, 'run fcn net --table > docs/nets.md'
    rows = dict(re.findall(r'^\| `([\w-]+)` \|.* \| (\S+) \|$', page, re.MULTILINE))
    assert set(rows) == set(NETS)
    assert rows['voc-fcn8s'] == '65.5' and rows['mini-fcn8s'] == '–'
    for link in re.findall(r'\]\((.*?)\)', page):
        assert (FOLDER.parent / 'docs' / link).exists()
