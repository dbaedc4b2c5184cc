"""score.py and infer.py as several processes: the same files as those of one."""

import json

from mpi_launch import mpiexec

from fcn.commands import score

NET = 'mini-fcn8s'


def test_the_same_scores(mini, drawn_weights, tmp_path, capsys):
    options = ['--data', mini, '--split', 'train', '--weights', drawn_weights(NET), '--gpu', -1]
    score.main([NET, *map(str, options), '--out', str(tmp_path / 'one')])
    result = mpiexec(3, 'score.py', NET, *options, '--out', tmp_path / 'three')
    assert result.returncode == 0, result.stderr
    assert result.stdout == capsys.readouterr().out
    one, three = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}
        for name in ('one', 'three')
    )
    assert len(one) == 9 and one == three


def test_the_same_summary_and_what_was_refused(mini, drawn_weights, tmp_path):
    photos = tmp_path / 'photos'
    photos.mkdir()
    for number, file in enumerate(sorted((mini / 'JPEGImages').iterdir())[:3]):
        (photos / f'{number}.jpg').write_bytes(file.read_bytes())
    (photos / '1b.jpg').write_text('no image')
    given = ['--net', NET, '--weights', drawn_weights(NET), '--gpu', -1]
    result = mpiexec(
        2, 'infer.py', photos, *given, '--out', tmp_path / 'out', '--json', tmp_path / 'all.json'
    )
    assert result.returncode == 2 and '3 images in' in result.stdout
    assert result.stderr.count('infer.py: ') == 1 and '1b.jpg' in result.stderr
    summary = json.loads((tmp_path / 'all.json').read_text())
    names = [entry['file'].rpartition('/')[2] for entry in summary['images']]
    assert names == ['0.jpg', '1.jpg', '2.jpg'] and len(summary['refused']) == 1


def test_a_mistake_is_told_once(tmp_path):
    result = mpiexec(2, 'score.py', NET, '--weights', tmp_path / 'none', '--gpu', -1)
    assert result.returncode == 2
    assert result.stderr.count('score.py: ') == 1 and 'none' in result.stderr
