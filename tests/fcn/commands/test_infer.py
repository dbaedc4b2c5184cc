"""infer.py on folders: what it reads, what it writes and where."""

import json
import os

import numpy as np
import pytest
from PIL import Image

import fcn
from fcn.commands import infer

NET = 'mini-fcn8s'


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder of photos with a subfolder, an upper-case ending and files that are no images."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ('a.png', 'B.JPG', 'deep/er/a.png', 'deep/.hidden.png'):
        file = tmp_path / 'photos' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 256, (10, 12, 3), np.uint8).repeat(5, 0).repeat(5, 1)
        Image.fromarray(image).save(file)
    (tmp_path / 'photos' / 'notes.txt').write_text('no image')
    return tmp_path / 'photos'


@pytest.fixture
def run(drawn_weights):
    weights = str(drawn_weights(NET))

    def infer_with(*arguments):
        given = [*map(str, arguments), '--net', NET, '--weights', weights, '--gpu', '-1']
        return infer.main(given)

    return infer_with


def written(folder):
    return {str(file.relative_to(folder)) for file in folder.rglob('*') if file.is_file()}


def test_a_folder_without_its_subfolders(photos, run):
    run(photos, '--out', 'out')
    expected = {'a.png', 'a_overlay.jpg', 'B.png', 'B_overlay.jpg'}
    assert written(photos.parent / 'out') == expected


def test_subfolders_keep_their_names(photos, run):
    run(photos, '--recursive', '--out', 'out')
    assert {'deep/er/a.png', 'deep/er/a_overlay.jpg', 'a.png'} <= written(photos.parent / 'out')
    assert len(written(photos.parent / 'out')) == 6


def test_what_was_written_is_not_read_again(photos, run, monkeypatch):
    monkeypatch.chdir(photos)
    for _ in range(2):
        run('.', '--recursive', '--out', 'out')
    assert len(written(photos / 'out')) == 6


def test_labels_and_probabilities_are_the_librarys(photos, run, drawn_weights):
    result = fcn.load(NET, drawn_weights(NET), gpu=-1)(photos / 'a.png')
    run(photos / 'a.png', '--out', 'out', '--probabilities', 'npy')
    out = photos.parent / 'out'
    with Image.open(out / 'a.png') as labels:
        assert labels.mode == 'P' and np.array_equal(np.asarray(labels), result.labels)
    probabilities = np.load(out / 'a_probabilities.npy', allow_pickle=False)
    assert probabilities.dtype == np.float32
    assert np.array_equal(probabilities, result.probabilities)
    run(photos / 'a.png', '--out', 'out', '--probabilities', 'star')
    with Image.open(out / 'a_star.png') as grey:
        expected = 255 * result.probabilities[result.classes.index('star')]
        assert grey.mode == 'L' and np.abs(np.asarray(grey) - expected).max() <= 0.5001


def test_the_summary_says_what_was_seen(photos, run):
    run(photos, '--recursive', '--out', 'out', '--json', 'summary.json')
    summary = json.loads((photos.parent / 'summary.json').read_text())
    assert summary['net'] == NET and 'star' in summary['classes'] and summary['refused'] == []
    assert len(summary['images']) == 3
    for entry in summary['images']:
        with Image.open(entry['labels']) as labels:
            values = np.asarray(labels)
        assert (entry['width'], entry['height']) == values.shape[::-1]
        assert sum(entry['shares'].values()) == pytest.approx(1, abs=1e-5)
        for name, share in entry['shares'].items():
            found = (values == summary['classes'].index(name)).mean()
            assert found == pytest.approx(share, abs=1e-6)
    assert sum(entry['seconds'] for entry in summary['images']) < summary['seconds']


def test_one_bad_image_does_not_keep_the_others_back(photos, run):
    (photos / 'bad.png').write_bytes((photos / 'a.png').read_bytes()[:200])
    with pytest.raises(fcn.FCNError, match=r'bad\.png'):
        run(photos, '--out', 'out', '--json', 'summary.json')
    assert {'a.png', 'B.png'} <= written(photos.parent / 'out')
    (refused,) = json.loads((photos.parent / 'summary.json').read_text())['refused']
    assert 'bad.png' in refused


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['photos/nothing'], 'nothing'),
        (['photos/deep'], '--recursive'),
        (['photos/a.png', '--probabilities', 'horse'], 'horse'),
        (['photos/a.png', '--tile', '2'], '--tile 2'),
        (['photos/a.png', '--out', 'photos'], 'a.png'),
        (['photos/a.png', '--hha', 'photos'], '--hha'),
        (['photos/a.png', '--out', 'photos/notes.txt'], 'notes.txt'),
    ],
)
def test_mistakes_are_told_before_anything_is_written(photos, run, arguments, named):
    before = written(photos.parent)
    with pytest.raises(fcn.FCNError, match=named):
        run(*arguments)
    assert written(photos.parent) == before


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write anywhere')
def test_a_folder_that_cannot_be_written_is_named_whole(photos, run):
    photos.parent.chmod(0o500)
    with pytest.raises(fcn.FCNError, match=str(photos.parent / 'out')):
        run(photos, '--out', 'out')
