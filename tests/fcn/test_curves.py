"""Curves of runs: what a log says, as a table, a picture, and the state of the run."""

import csv
import fcntl
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_runs import line, trainer, validation, write_run

from fcn.commands import curves
from fcn.errors import RunError
from fcn.history import find_runs, read_history, short_names
from fcn.solvers.tensorboard import scalars

CLASS_IU = {'background': 0.5, 'disc': None, 'a "b", c': 0.25}


def opened(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert('L'))


def test_the_table_holds_every_number_and_the_picture_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = [line(1, 9), line(20, 7), validation(20, 0.25, class_iu=CLASS_IU)]
    write_run(tmp_path / 'runs/a', *begun, line(40, float('nan')))
    write_run(tmp_path / 'runs/b', line(1, 8))
    curves.main([str(tmp_path / 'runs'), '--out', str(tmp_path / 'out/x.png')])
    assert capsys.readouterr().out.split() == [
        str(tmp_path / f'out/x.{end}') for end in ('png', 'csv')
    ]
    rows = list(csv.DictReader((tmp_path / 'out/x.csv').read_text().splitlines()))
    assert [(row['run'], row['iteration'], row['loss'], row['mean_iu']) for row in rows] == [
        ('a', '1', '9', ''),
        ('a', '20', '7', ''),
        ('a', '20', '', '0.25'),
        ('a', '40', '', ''),
        ('b', '1', '8', ''),
    ]
    assert [rows[2][f'iu {name}'] for name in CLASS_IU] == ['0.5', '', '0.25']
    assert np.ptp(np.asarray(opened(tmp_path / 'out/x.png'))) > 200


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / 'none'):
        with pytest.raises(RunError, match=str(folder)):
            curves.main([str(folder)])
    with pytest.raises(RunError, match='no losses yet'):
        curves.main([str(write_run(tmp_path / 'a'))])


def test_the_state_of_a_run_is_what_its_files_tell(tmp_path: Path) -> None:
    done = [line(1, 9, 0.0), line(40, 7, 39.0), validation(40, 0.5)]
    states = {
        'finished': write_run(tmp_path / 'a', *done, dict(iteration=40, event='advice')),
        'interrupted': write_run(tmp_path / 'b', *done, max_iter=80),
        'diverged': write_run(tmp_path / 'c', done[0], dict(iteration=2, event='loss is nan')),
        'begun': write_run(tmp_path / 'd'),
    }
    for state, folder in states.items():
        assert read_history(folder).state == state
    running = states['interrupted']
    with (running / '.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert read_history(running).state == 'running'
    assert read_history(running).state == 'running'  # as on another machine: the log is young
    # (9 s at iteration 40 − 0 s at iteration 1) / 39 iterations, for 40 more
    assert read_history(running).seconds_left == pytest.approx(9 / 39 * 40)
    assert find_runs(tmp_path) == sorted(states.values())
    assert short_names([Path('x/a'), Path('y/a'), Path('y/b')]) == ['x/a', 'y/a', 'y/b']


def test_event_files_hold_what_the_log_does(tmp_path: Path, mini: Path) -> None:
    """Read without tensorboardX's reader: records of length, checksum, bytes, checksum."""
    pytest.importorskip('tensorboardX')
    from tensorboardX.proto.event_pb2 import Event

    for iterations in (3, 6):  # The second goes on with the first.
        run = trainer(tmp_path, mini, max_iter=iterations, tensorboard=True)
        run.train([])
    found: dict[str, dict[int, float]] = {}
    images: list[bytes] = []
    purged = []
    for file in sorted((run.run.folder / 'tensorboard').iterdir()):
        content, at = file.read_bytes(), 0
        while at < len(content):
            (size,) = struct.unpack('<Q', content[at : at + 8])
            event = Event.FromString(content[at + 12 : at + 12 + size])
            at += 16 + size
            if event.HasField('session_log'):
                purged.append(event.step)
            for value in event.summary.value:
                if value.HasField('image'):
                    images.append(value.image.encoded_image_string)
                elif not value.HasField('tensor'):
                    found.setdefault(value.tag, {})[event.step] = value.simple_value
    assert purged == [4]
    logged: dict[str, dict[int, float]] = {}
    for record in run.run.log.read():
        for tag, number in scalars(record).items():
            logged.setdefault(tag, {})[record['iteration']] = number
    assert {'train/loss', 'validation/mean_iu', 'class_iu/background'} <= set(logged)
    assert set(found) == set(logged)
    for tag, values in logged.items():
        assert found[tag] == pytest.approx(values, rel=1e-6, nan_ok=True), tag
    history = read_history(run.run.folder)
    for index, mean in enumerate(history.validations['mean_iu']):
        shares = [series[index] for series in history.class_iu.values()]
        assert len(shares) == 7 and mean == pytest.approx(
            np.mean([share for share in shares if share is not None])
        )
    assert len(images) == 2 * 3 and all(image.startswith(b'\x89PNG') for image in images)
