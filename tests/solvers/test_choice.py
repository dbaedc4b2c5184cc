"""Which snapshot of a run is used: compared by weights, bit for bit."""

import json
import logging
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scored_runs import BEST, NET, NEWEST, SECOND, at, of_net
from small_runs import assert_equal_weights

import fcn
from fcn.commands import infer, score, solve
from fcn.errors import FCNError, RunError
from fcn.solvers import (
    Run,
    starting_weights,
    weights_for,
    weights_of,
)
from fcn.solvers.snapshot import MANIFEST, WEIGHTS, read_checksummed, write_checksummed


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """A function that returns what was logged about snapshots."""
    caplog.set_level(logging.INFO, 'fcn')
    return lambda: [
        record.getMessage() for record in caplog.records if 'snapshot' in record.getMessage()
    ]


def damage(scored_run: Run, iteration: int) -> None:
    file = scored_run.snapshots.file(iteration, WEIGHTS)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def forget_validations(scored_run: Run) -> None:
    for _, folder in scored_run.snapshots.all():
        entries = read_checksummed(folder / MANIFEST) | {'validation': None}
        entries.pop('seal', None)
        write_checksummed(folder / MANIFEST, **entries)


def test_snapshots_differ(scored_run: Run) -> None:
    """Otherwise the tests below show nothing."""
    first = [at(scored_run, iteration)['conv1_1'][0] for iteration in (2, 3, 4, 5)]
    assert all((one != other).any() for one, other in pairwise(first))


def test_a_run_is_used_by_its_best_snapshot(
    scored_run: Run, mini: Path, messages: Callable[[], list[str]]
) -> None:
    folder = f'runs/{NET}'
    assert_equal_weights(of_net(fcn.load(folder, gpu=-1)), at(scored_run, BEST))
    (message,) = messages()
    for told in (folder, f'{BEST} (mean IU 90.0', f'{NEWEST} (55.4)'):
        assert told in message
    assert_equal_weights(of_net(fcn.load(NET, gpu=-1)), at(scored_run, BEST))
    assert_equal_weights(of_net(fcn.load(NET, folder, gpu=-1)), at(scored_run, BEST))
    file = scored_run.snapshots.file(BEST, WEIGHTS)
    assert weights_of(folder) == weights_for(NET, 'runs') == file
    assert starting_weights('mini-fcn16s', 'runs') == [(file, '')]
    by_file = fcn.evaluate(NET, mini, 'val', weights=file, gpu=-1)
    by_run = fcn.evaluate(folder, mini, 'val', gpu=-1)
    assert np.array_equal(by_run.confusion, by_file.confusion)


def test_a_snapshot_is_chosen(
    scored_run: Run, mini: Path, messages: Callable[[], list[str]]
) -> None:
    folder = f'runs/{NET}'
    assert_equal_weights(
        of_net(fcn.load(folder, snapshot='newest', gpu=-1)), at(scored_run, NEWEST)
    )
    assert messages() == []
    for choice, iteration in ((3, 3), ('best', BEST)):
        assert_equal_weights(
            of_net(fcn.load(folder, snapshot=choice, gpu=-1)), at(scored_run, iteration)
        )
        assert f' {iteration} ' in messages()[-1] and f' {NEWEST} ' in messages()[-1]
    for choice in ('newest', 3):
        file = scored_run.snapshots.file(NEWEST if choice == 'newest' else 3, WEIGHTS)
        by_file = fcn.evaluate(NET, mini, 'val', weights=file, gpu=-1)
        by_run = fcn.evaluate(folder, mini, 'val', snapshot=choice, gpu=-1)
        assert np.array_equal(by_run.confusion, by_file.confusion)
    for bad in ('latest', True, 2.5):
        with pytest.raises(FCNError, match=r"'best', 'newest'"):
            fcn.load(folder, snapshot=bad, gpu=-1)  # type: ignore[arg-type]


def test_the_commands_choose_a_snapshot(scored_run: Run, mini: Path) -> None:
    image = str(next((mini / 'JPEGImages').iterdir()))
    chosen = {'': BEST, 'newest': NEWEST, '4': 4}
    for word, iteration in chosen.items():
        choice = ['--snapshot', word] if word else []
        infer.main([image, '--net', NET, '--gpu', '-1', '--json', 'summary.json', *choice])
        used = json.loads(Path('summary.json').read_text())['weights']
        assert used == str(scored_run.snapshots.file(iteration, WEIGHTS))
        score.main([NET, '--data', str(mini), '--gpu', '-1', '--out', 'out', *choice])
        scored = json.loads(Path('out/metrics.json').read_text())['confusion']
        assert scored == fcn.evaluate(NET, mini, weights=used, gpu=-1).confusion.tolist()


@pytest.mark.parametrize('bad', ['latest', '0', '-1', '1.5'])
def test_what_is_no_snapshot_is_refused(bad: str) -> None:
    for parse, arguments in ((solve.parse, []), (score.parse, []), (infer.parse, ['a.jpg'])):
        with pytest.raises(SystemExit, match='2'):
            parse([*arguments, '--snapshot', bad])


def test_an_iteration_that_is_not_there_or_damaged_names_those_that_are(scored_run: Run) -> None:
    with pytest.raises(RunError, match=r'iteration 7: .* 2, 3, 4, 5 '):
        fcn.load(f'runs/{NET}', snapshot=7, gpu=-1)
    damage(scored_run, 3)
    with pytest.raises(RunError, match=r'iteration 3: .*train_iter_3\.caffemodel.* 2, 4, 5 '):
        fcn.load(f'runs/{NET}', snapshot=3, gpu=-1)
    for iteration in (2, 4, 5):
        damage(scored_run, iteration)
    for choice in (3, 7, 'best', 'newest'):
        with pytest.raises(RunError, match=f'{NET}/snapshots: '):
            fcn.load(f'runs/{NET}', snapshot=choice, gpu=-1)


def test_only_an_undamaged_snapshot_is_the_best(
    scored_run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    damage(scored_run, BEST)
    assert weights_of(scored_run.folder) == scored_run.snapshots.file(SECOND, WEIGHTS)
    assert f'train_iter_{BEST}.caffemodel' in caplog.text
    damage(scored_run, SECOND)
    assert weights_of(scored_run.folder) == scored_run.snapshots.file(4, WEIGHTS)
    # A damaged solver state does not keep the weights from being used.
    scored_run.snapshots.file(4, 'solverstate').unlink()
    assert weights_of(scored_run.folder) == scored_run.snapshots.file(4, WEIGHTS)


def test_without_a_validation_the_newest_is_used(
    scored_run: Run, messages: Callable[[], list[str]]
) -> None:
    forget_validations(scored_run)
    assert weights_of(scored_run.folder) == scored_run.snapshots.file(NEWEST, WEIGHTS)
    assert messages() == []
    assert weights_of(scored_run.folder, 3) == scored_run.snapshots.file(3, WEIGHTS)
    assert len(messages()) == 1 and messages()[0].count('not validated') == 2


def test_a_file_has_no_snapshots_to_choose_from(scored_run: Run, mini: Path) -> None:
    file = scored_run.snapshots.file(3, WEIGHTS)
    for weights in (file, file.parent):
        for choice in ('best', 'newest', 3):
            with pytest.raises(RunError, match=rf'{weights}: .*--snapshot'):
                fcn.load(NET, weights, snapshot=choice, gpu=-1)
        with pytest.raises(RunError, match=rf'{weights}: .*--snapshot'):
            fcn.train('mini-fcn16s', mini, weights=weights, snapshot='newest', gpu=-1)
    with pytest.raises(RunError, match='--snapshot'):
        score.main([NET, '--weights', str(file), '--snapshot', 'best', '--data', str(mini)])


def test_a_published_file_has_no_snapshots(scored_run: Run) -> None:
    Path('weights').mkdir()
    file = Path('weights/fcn8s-heavy-pascal.caffemodel')
    file.touch()
    for choice in ('best', 'newest', 3):
        with pytest.raises(RunError, match=rf'{file}: .*--snapshot'):
            weights_for('voc-fcn8s', 'runs', snapshot=choice)
    Path('weights/fcn32s-heavy-pascal.caffemodel').touch()
    assert len(starting_weights('voc-fcn16s', 'runs', snapshot='newest')) == 1
    with pytest.raises(RunError, match=r'fcn32s-heavy-pascal.* 3|fcn32s-heavy-pascal.*--snapshot'):
        starting_weights('voc-fcn16s', 'runs', snapshot=3)
