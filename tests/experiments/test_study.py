"""The frame of the experiments: what is listed, refused, found and reported."""

import json
from pathlib import Path

import pytest

from experiments import EXPERIMENTS
from experiments.report import exceeds, minutes, together
from experiments.runs import ended
from experiments.study import Study, StudyError, table
from fcn.solvers import Options, Run, Trainer
from fcn.solvers.snapshot import MANIFEST, STATE, WEIGHTS, digest, file_name, write_checksummed


def study(tmp_path, name='table2', **options):
    return Study(EXPERIMENTS[name], runs=tmp_path / 'runs', out=tmp_path / 'out', **options)


def plant(run, settings):
    """Give a run a snapshot of iteration 40, of empty files, made with `settings`."""
    folder = run.snapshots.folder / 'iter_00000040'
    folder.mkdir(parents=True)
    files = {
        file_name(40, kind): digest(touched(folder / file_name(40, kind)))
        for kind in (WEIGHTS, STATE)
    }
    write_checksummed(
        folder / MANIFEST,
        iteration=40,
        files=files,
        settings=settings,
        validation={'label': {'mean_iu': 0.5}},
    )


def touched(path):
    path.touch()
    return path


def test_every_experiment_is_listed_and_has_its_module(command):
    result = command('-m', 'experiments')
    assert result.returncode == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(EXPERIMENTS)


def test_the_readme_links_every_report():
    text = (Path(__file__).resolve().parents[2] / 'README.md').read_text()
    assert all(
        f'| [`{name}`](results/{name}.md) | {row.section} | {row.words} |' in text
        for name, row in EXPERIMENTS.items()
    )


@pytest.mark.parametrize(
    'arguments, says',
    [
        (['nonsense'], "no experiment is named 'nonsense'"),
        (
            ['table2', '--data', 'nowhere'],
            'nowhere: no such folder; prepare the set with `python prepare.py voc`',
        ),
        (['table2', '--trunk', 'googlenet'], 'a real trunk wants a real set'),
        (
            ['table2', '--trunk', 'mini', '--data', '.'],
            'the miniature trunk learns the miniature alone',
        ),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(command, tmp_path, arguments, says):
    result = command(
        '-m', 'experiments', *arguments, '--runs', tmp_path / 'runs', '--out', tmp_path / 'out'
    )
    assert result.returncode == 2 and says in result.stderr and result.stderr.count('\n') == 1
    assert not list(tmp_path.iterdir())


def test_nets_go_by_the_trunk(tmp_path, voc):
    assert study(tmp_path).net('fcn32s') == 'mini-fcn32s'
    real = study(tmp_path, trunk='vgg16', data=voc)
    assert (
        real.net('fcn32s') == 'voc-fcn32s' and real.net('nyud-fcn32s-color') == 'nyud-fcn32s-color'
    )
    other = study(tmp_path, trunk='googlenet', data=voc)
    assert other.nets(['fcn32s', 'fcn16s', 'fcn-pool4']) == {
        'fcn32s': 'voc-fcn-googlenet',
        'fcn16s': 'voc-fcn16s-googlenet',
    }
    with pytest.raises(StudyError, match='try another --trunk'):
        other.net('fcn-pool4')


def test_a_set_that_is_not_prepared_names_the_command(tmp_path, voc):
    (voc / 'ImageSets/Segmentation/seg11valid.txt').unlink()
    with pytest.raises(StudyError, match=r"no split 'seg11valid'.*`python prepare.py voc`"):
        study(tmp_path, trunk='vgg16', data=voc).source('voc-fcn32s', 'val')


def test_a_run_has_ended_when_it_validated_last(tmp_path):
    run = Run(tmp_path / 'runs' / 'voc-fcn32s')
    plant(run, {})
    assert not ended(run)
    run.log.append(iteration=40, validation={'mean_iu': 0.5})
    assert ended(run) and study(tmp_path).found('voc-fcn32s').iteration == 40
    run.log.append(iteration=40, event='stopped by SIGINT')
    assert not ended(run) and study(tmp_path).found('voc-fcn32s') is None


def test_a_finished_run_of_a_real_net_is_used_as_it_is(tmp_path, voc, monkeypatch):
    monkeypatch.setattr(Trainer, 'train', lambda self, *arguments: pytest.fail('trained again'))
    run = Run(tmp_path / 'runs' / 'voc-fcn32s')
    plant(run, {'net': 'voc-fcn32s', 'seed': 1})
    run.log.append(iteration=40, validation={'mean_iu': 0.5})
    for iterations in (None, 60):  # Made with other settings, it cannot go on.
        it = study(tmp_path, trunk='vgg16', data=voc, iterations=iterations)
        assert it.train('voc-fcn32s').folder == run.folder


def test_ours_goes_on_if_more_is_asked_for(tmp_path, voc, monkeypatch):
    asked = []
    monkeypatch.setattr(Trainer, 'train', lambda self, *arguments: asked.append(self.max_iter))
    it = study(tmp_path, trunk='vgg16', data=voc, iterations=60)
    settings = Trainer(
        'voc-fcn32s',
        tmp_path,
        Options(it.source('voc-fcn32s', 'train'), it.source('voc-fcn32s', 'val')),
    ).settings
    run = Run(tmp_path / 'runs' / 'voc-fcn32s')
    plant(run, settings)
    run.log.append(iteration=40, validation={'mean_iu': 0.5})
    with pytest.raises(KeyboardInterrupt):  # as if interrupted: it did not train to the end
        it.train('voc-fcn32s')
    assert asked == [60]
    it.iterations = None
    assert it.train('voc-fcn32s').iteration == 40


def test_a_report_says_what_and_how(tmp_path, capsys):
    it = study(tmp_path, 'upperbound')
    it.report(table(['factor', 'mean IU'], [(128, 50.94), (64, None)]), {'128': 0.5094})
    text = (tmp_path / 'out' / 'upperbound.md').read_text()
    assert text == capsys.readouterr().out.rstrip('\n') + '\n'
    assert (
        text.startswith('# upperbound: ')
        and '| 128 | 50.9 |\n| 64 | – |' in text
        and 'at commit' in text
    )
    record = json.loads((tmp_path / 'out' / 'upperbound.json').read_text())
    assert record['raw'] == {'128': 0.5094} and record['machine'] and record['seconds'] >= 0
    assert it.beside('mini') == record and it.beside('googlenet') is None
    assert it.picture('curve') == Path(tmp_path / 'out' / 'upperbound-curve.png')


def test_verdicts_together():
    assert together([True, True]) is True
    assert together([True, None]) is None
    assert together([None, False]) is False
    assert [exceeds(*pair) for pair in ((2.0, 1.0), (-2.0, None), (0.5, 1.0), (-0.5, 1.0))] == [
        True,
        False,
        None,
        None,
    ]


def test_minutes_leave_out_the_time_that_a_run_was_stopped(tmp_path):
    lines = [
        dict(iteration=1, time=0),
        dict(iteration=2, time=900),
        dict(iteration=2, time=5000, event='resumed'),
        dict(iteration=3, time=5060),
    ]
    (tmp_path / 'log.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    assert minutes(Run(tmp_path)) == 16


def test_published_weights_are_used_where_there_is_no_run(tmp_path, voc, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Trainer, 'train', lambda self, *arguments: pytest.fail('trained'))
    (tmp_path / 'weights').mkdir()
    file = touched(tmp_path / 'weights/fcn32s-heavy-pascal.caffemodel')
    it = study(tmp_path, trunk='vgg16', data=voc)
    assert it.train('voc-fcn32s').weights().resolve() == file
    it.report('text', {})
    assert (
        '`voc-fcn32s` has the weights that its authors published.'
        in (tmp_path / 'out/table2-vgg16.md').read_text()
    )
