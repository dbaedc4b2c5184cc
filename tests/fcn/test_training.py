"""fcn.train is solve.py: the same run folder, and the same bits."""

import json

import pytest

import fcn
from fcn.commands import solve
from fcn.solvers import Run
from fcn.surgery import read_weights

OPTIONS = dict(iterations=4, val_every=2, init_missing=True, gpu=-1, seed=3)


def weights_of(folder):
    return {
        name: [blob.tobytes() for blob in blobs]
        for name, blobs in read_weights(Run(folder).weights())
    }


@pytest.fixture
def trained(mini, drawn_weights, tmp_path, capsys):
    """Returns the result of a short training and the weights it started from."""
    start = drawn_weights('mini-fcn32s')
    result = fcn.train('mini-fcn32s', mini, weights=start, runs=tmp_path / 'api', **OPTIONS)
    assert capsys.readouterr() == ('', '')  # Nothing prints.
    return result, start


def test_a_run_is_that_of_the_command(trained, mini, tmp_path):
    result, start = trained
    arguments = ['--iterations', '4', '--val-every', '2', '--init-missing', '--gpu', '-1']
    arguments += ['--seed', '3', '--runs', tmp_path / 'command', '--weights', start]
    assert solve.main(['mini-fcn32s', '--data', str(mini), *map(str, arguments)]) == 0
    assert weights_of(result.folder) == weights_of(tmp_path / 'command' / 'mini-fcn32s')
    settings = [
        json.loads((folder / 'run.json').read_text())['settings']
        for folder in (result.folder, tmp_path / 'command' / 'mini-fcn32s')
    ]
    assert settings[0] == settings[1]


def test_the_result_is_of_the_run(trained, mini, tmp_path):
    result, start = trained
    assert (result.net, result.iteration, result.interrupted) == ('mini-fcn32s', 4, False)
    assert result.folder == tmp_path / 'api' / 'mini-fcn32s'
    evaluation = fcn.evaluate(result.folder, mini, 'val', snapshot='newest', gpu=-1)
    assert evaluation.mean_iu == pytest.approx(result.metrics['mean_iu'])
    assert result.load(gpu=-1).name == 'mini-fcn32s'
    assert result.learning_curve()['val_iteration'] == [2, 4]
    again = fcn.train('mini-fcn32s', mini, weights=start, runs=tmp_path / 'api', **OPTIONS)
    assert again == result


def test_a_longer_run_goes_on(trained, mini, tmp_path):
    _, start = trained
    options = OPTIONS | {'iterations': 6}
    longer = fcn.train('mini-fcn32s', mini, runs=tmp_path / 'api', **options)
    whole = fcn.train('mini-fcn32s', mini, weights=start, runs=tmp_path / 'whole', **options)
    assert longer.iteration == 6 and weights_of(longer.folder) == weights_of(whole.folder)


@pytest.mark.parametrize(
    ('options', 'named'),
    [
        ({'net': 'mini-fcn64s'}, 'mini-fcn64s'),
        ({'net': 'ilsvrc-vgg16'}, 'ilsvrc-vgg16'),
        ({'net': 'mini-fcn8s'}, 'mini-fcn16s'),
        ({'data': 'nowhere'}, 'nowhere'),
        ({'train_split': 'nothing'}, 'nothing'),
        ({'crop': 31}, 'crop=31'),
        ({'iterations': 0}, 'iterations=0'),
        ({'base_lr': -1}, 'base_lr=-1'),
        ({'sample': 0.3}, '0.3'),
        ({'weights': 'none.caffemodel'}, 'none.caffemodel'),
    ],
)
def test_mistakes_are_told_before_anything_is_written(mini, tmp_path, options, named):
    options = {'net': 'mini-fcn32s', 'data': mini, 'gpu': -1} | options
    with pytest.raises(fcn.FCNError, match=named):
        fcn.train(**options, runs=tmp_path / 'runs')
    assert not (tmp_path / 'runs').exists()
