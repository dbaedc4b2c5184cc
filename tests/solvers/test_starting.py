"""What a run starts from: a parent, another run, drawn weights; compared bit for bit."""

import logging
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scored_runs import BEST, NET, NEWEST, Weights, at, of_net
from small_runs import assert_equal_weights, weights_of_run

import fcn
from fcn.commands import solve
from fcn.errors import FCNError, RunError
from fcn.solvers import Options, Run, plan_stages, sources, starting_weights
from fcn.solvers.snapshot import WEIGHTS

NO_STEP = 1e-46  # a learning rate that changes no weight


def started_from(name: str, runs: Path, mini: Path, **options: Any) -> Weights:
    """Return the weights after a step of no length by a net that `plan_stages` trains."""
    planned = {key: options.pop(key) for key in ('from_run', 'snapshot') if key in options}
    options = {'max_iter': 1, 'val_images': 1, 'base_lr': NO_STEP, 'init_missing': True} | options
    train, val = sources(name, mini)
    (stage,) = plan_stages([name], runs, lambda _: Options(train, val, **options), **planned)
    assert stage.train()
    return weights_of_run(stage.run)


@pytest.mark.parametrize(
    ('snapshot', 'iteration'), [(None, BEST), ('best', BEST), ('newest', NEWEST), (3, 3)]
)
def test_the_next_stage_starts_from_the_chosen_snapshot(
    scored_run: Run, mini: Path, snapshot: str | int | None, iteration: int
) -> None:
    started = started_from('mini-fcn16s', Path('runs'), mini, snapshot=snapshot)
    parent = at(scored_run, iteration)
    shared = [name for name in parent if name in started and name != 'upscore']
    assert 'conv1_1' in shared and 'score_fr' in shared
    assert_equal_weights(
        {name: parent[name] for name in shared}, {name: started[name] for name in shared}
    )


def test_an_iteration_is_the_first_nets(scored_run: Run, mini: Path) -> None:
    def options(name: str) -> Options:
        return Options(*sources(name, mini), max_iter=1, val_images=1, init_missing=True)

    first, second = plan_stages(['mini-fcn16s', 'mini-fcn8s'], 'runs', options, snapshot=3)
    assert first.starting_weights() == [(scored_run.snapshots.file(3, WEIGHTS), '')]
    assert first.train()
    assert second.starting_weights() == [(first.run.snapshots.file(1, WEIGHTS), '')]


def test_training_goes_on_from_the_newest(
    scored_run: Run, mini: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [NET, '--data', str(mini), '--val-split', 'val', '--init-missing', '--gpu', '-1']
    arguments += ['--iterations', '6', '--base-lr', '1e-5', '--snapshot', 'best']
    assert solve.main(arguments) == 0
    events = [record for record in scored_run.log.read() if record.get('event') == 'resumed']
    assert [event['iteration'] for event in events] == [NEWEST]
    assert f'from iteration {NEWEST}' in capsys.readouterr().out
    assert Run(scored_run.folder).iteration == 6


def test_other_settings_name_the_command_of_a_new_run(
    scored_run: Run, mini: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that the message gives is run as it stands."""
    arguments = [NET, '--data', str(mini), '--init-missing', '--gpu', '-1', '--iterations', '1']
    with pytest.raises(RunError, match=r'run\.json: .*base_lr 1e-05, not 1e-36') as refused:
        solve.main([*arguments, '--base-lr', '1e-36'])
    (command,) = re.findall('`(.*)`', str(refused.value))
    program, *words = shlex.split(command)
    assert program == 'fcn' and words[:6] == [
        'solve',
        NET,
        '--from',
        f'runs/{NET}',
        '--runs',
        'runs2',
    ]
    assert '--base-lr 1e-36' in command
    assert solve.main(words[1:]) == 0
    new = Run(f'runs2/{NET}')
    assert new.iteration == 1
    # Steps of 1e-36 change no filter that is not zero.
    assert np.array_equal(at(new, 1)['conv1_1'][0], at(scored_run, BEST)['conv1_1'][0])
    assert new.starts_from == [str(scored_run.snapshots.file(BEST, WEIGHTS))]
    # The same command again finds the run done; a third rate goes into a third folder.
    capsys.readouterr()
    assert solve.main(words[1:]) == 0 and 'done' in capsys.readouterr().out
    with pytest.raises(RunError, match=f'--from runs/{NET} --runs runs3 .*--base-lr 1e-35'):
        solve.main([*words[1:], '--base-lr', '1e-35'])


def test_other_data_names_what_differs_and_the_command(scored_run: Run, mini: Path) -> None:
    shutil.copytree(mini, 'data')
    arguments = ['--base-lr', '1e-5', '--iterations', '9', '--init-missing', '--gpu', '-1']
    for data in (['--data', 'data'], ['--data', str(mini), '--train-data', 'data']):
        with pytest.raises(RunError, match=rf"root '{mini}', not root '.*data'") as refused:
            solve.main([NET, *data, *arguments])
        (command,) = re.findall('`(.*)`', str(refused.value))
        assert f'--from runs/{NET} --runs runs2 {" ".join(data)}' in command


def test_a_longer_list_names_the_command(mini: Path, tmp_path: Path) -> None:
    root = tmp_path / 'data'
    shutil.copytree(mini, root)
    runs = tmp_path / 'runs'
    options: dict[str, Any] = dict(runs=runs, init_missing=True, gpu=-1, val_images=1)
    first = fcn.train(NET, root, 1, **options)
    names = root / 'ImageSets' / 'Segmentation' / 'train.txt'
    names.write_text(names.read_text() + names.read_text().split()[0] + '\n')
    with pytest.raises(FCNError, match=r'list train .*fcn\.train\(') as refused:
        fcn.train(NET, root, 2, **options)
    (call,) = re.findall('`(.*)`', str(refused.value))
    result = eval(call, {'fcn': fcn})
    assert result.iteration == 2 and result.folder == tmp_path / 'runs2' / NET
    assert Run(result.folder).starts_from == [str(Run(first.folder).weights())]


@pytest.mark.parametrize(('snapshot', 'iteration'), [(None, BEST), ('newest', NEWEST), (4, 4)])
def test_a_new_run_starts_from_the_weights_of_another(
    scored_run: Run, mini: Path, snapshot: str | int | None, iteration: int
) -> None:
    started = started_from(NET, Path('runs2'), mini, from_run=f'runs/{NET}', snapshot=snapshot)
    assert_equal_weights(started, at(scored_run, iteration))
    new = Run(f'runs2/{NET}')
    assert new.log.read()[0]['iteration'] == 1 and Run(scored_run.folder).iteration == NEWEST


def test_from_python_a_run_starts_from_another(scored_run: Run, mini: Path) -> None:
    options: dict[str, Any] = dict(runs='runs2', gpu=-1, val_images=1, base_lr=1e-36)
    result = fcn.train(NET, mini, 1, from_run=scored_run.folder, snapshot=3, **options)
    assert np.array_equal(at(Run(result.folder), 1)['conv1_1'][0], at(scored_run, 3)['conv1_1'][0])
    assert_equal_weights(of_net(result.load(gpu=-1)), at(Run(result.folder), 1))
    # Interrupted or not, the same call goes on.
    assert fcn.train(NET, mini, 2, from_run=scored_run.folder, snapshot=3, **options).iteration == 2


def test_a_run_of_another_net_is_started_from_where_the_weights_fit(
    scored_run: Run, mini: Path
) -> None:
    started = started_from('mini-fcn8s', Path('runs'), mini, from_run=f'runs/{NET}')
    assert_equal_weights({'c': started['conv1_1']}, {'c': at(scored_run, BEST)['conv1_1']})
    shorter = 'mini-fcn-pool4'
    started_from(shorter, Path('runs'), mini, from_run=f'runs/{NET}')
    with pytest.raises(FCNError, match='fc6'):
        started_from(NET, Path('runs2'), mini, from_run=f'runs/{shorter}', init_missing=False)


def test_what_a_run_cannot_start_from_is_refused(
    scored_run: Run, mini: Path, tmp_path: Path
) -> None:
    plain = [NET, '--data', str(mini), '--gpu', '-1', '--iterations', '5', '--base-lr', '1e-5']
    file = str(scored_run.snapshots.file(3, WEIGHTS))
    for more, named in (
        (['--from', f'runs/{NET}'], 'itself.*--runs'),
        (['--from', f'runs/{NET}', '--weights', file, '--runs', 'runs2'], '--weights and --from'),
        (['--from', file, '--runs', 'runs2'], f'{file}: .*--weights'),
        (['--from', 'nowhere', '--runs', 'runs2'], 'nowhere'),
        (['--from', f'runs/{NET}', '--runs', 'runs2', '--snapshot', '9'], '2, 3, 4, 5'),
    ):
        with pytest.raises(RunError, match=named):
            solve.main([*plain, *more])
        assert not Path('runs2').exists()
    # The run was not started from that one.
    shutil.copytree('runs', 'others')
    with pytest.raises(RunError, match=f'{NET}: .*others/{NET}.*--runs'):
        solve.main([*plain, '--from', f'others/{NET}'])


def test_init_missing_alone_starts_a_net_without_parents(
    mini: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, 'fcn')
    started = started_from('mini-fcn16s', tmp_path, mini, init_missing=True)
    (line,) = (text for text in caplog.messages if NET in text)
    assert 'mini-fcn16s' in line and 'all layers' in line
    assert started['conv1_1'][0].std() > 0
    assert Run(tmp_path / 'mini-fcn16s').starts_from == []
    with pytest.raises(RunError, match=f'{NET}.*--init-missing'):
        started_from('mini-fcn16s', tmp_path / 'other', mini, init_missing=False)


def test_a_parent_at_hand_is_used_with_init_missing(scored_run: Run, mini: Path) -> None:
    assert_equal_weights(
        {'c': started_from('mini-fcn16s', Path('runs'), mini)['conv1_1']},
        {'c': at(scored_run, BEST)['conv1_1']},
    )


def test_one_parent_of_two_may_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, 'fcn')
    monkeypatch.chdir(tmp_path)
    Path('weights').mkdir()
    file = Path('weights/nyud-fcn32s-color-heavy.caffemodel')
    file.touch()
    net, missing = 'nyud-fcn32s-color-hha', 'nyud-fcn32s-hha'
    assert starting_weights(net, 'runs', drawn=[missing]) == [(file, 'color')]
    assert any(missing in text and 'all layers' not in text for text in caplog.messages)
    with pytest.raises(RunError, match=missing):
        starting_weights(net, 'runs')
