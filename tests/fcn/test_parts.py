"""A scoring in parts: the sums are those of the whole, and what does not add up is refused."""

import json
import re

import numpy as np
import pytest

from fcn.commands import infer, score
from fcn.data_layers.images import read_label, save_label
from fcn.data_layers.prefetch import part_of
from fcn.errors import DataError
from fcn.evaluation import score_folders
from fcn.mpi import Part
from fcn.parts import merge

NET = 'mini-fcn8s'


@pytest.fixture
def score_with(mini, drawn_weights):
    """A function that runs score.py on the eight images of the miniature's training split."""

    def run(*arguments):
        where = ['--data', mini, '--split', 'train', '--weights', drawn_weights(NET), '--gpu', -1]
        score.main([NET, *map(str, where), *map(str, arguments)])

    return run


def test_parts_add_up_to_the_whole(score_with, tmp_path, capsys):
    score_with('--out', tmp_path / 'whole')
    whole = capsys.readouterr().out
    for number in (3, 1, 2):
        score_with('--part', f'{number}/3', '--out', tmp_path / 'parts')
    score.main(['--merge', str(tmp_path / 'parts'), '--out', str(tmp_path / 'merged')])
    assert capsys.readouterr().out.endswith(whole)
    metrics = [(tmp_path / name / 'metrics.json').read_bytes() for name in ('whole', 'merged')]
    assert metrics[0] == metrics[1]
    labels = [
        {f.name: f.read_bytes() for f in tmp_path.glob(f'{d}/*.png')} for d in ('whole', 'parts')
    ]
    assert len(labels[0]) == 8 and labels[0] == labels[1]


def test_more_parts_than_images(score_with, tmp_path):
    assert [Part(number, 5).of(range(3)) for number in range(5)] == [[0], [1], [2], [], []]
    assert [Part(number, 5).size(3) for number in range(5)] == [1, 1, 1, 0, 0]
    for number in (1, 2, 3):
        score_with('--images', 2, '--part', f'{number}/3', '--out', tmp_path)
    assert merge([tmp_path]).images == 2
    record = json.loads((tmp_path / 'part-3-of-3.json').read_text())
    assert record['images'] == 0 and not np.any(record['confusion']['label'])


def test_label_images_in_parts(mini, tmp_path):
    truths, predictions = mini / 'SegmentationClass', tmp_path / 'predictions'
    predictions.mkdir()
    for file in truths.iterdir():
        label = read_label(file)
        save_label(np.where(label == 255, 0, 6 - label).astype(np.uint8), predictions / file.name)
    folders = ['--pred', str(predictions), '--truth', str(truths), '--classes', '7']
    for number in (1, 2):
        score.main([*folders, '--part', f'{number}/2', '--out', str(tmp_path / 'parts')])
    merged = merge([tmp_path / 'parts'])
    whole = score_folders(predictions, truths, tuple('abcdefg'))
    assert merged.images == whole.images
    assert np.array_equal(merged.confusion, whole.confusion)


@pytest.fixture
def parts(tmp_path):
    """Three parts of a scoring that nobody did, as the files hold them."""
    for number in (1, 2, 3):
        record = {
            'part': number,
            'of': 3,
            'net': NET,
            'weights': 'f00d',
            'list': 'beef',
            'total': 5,
            'images': 2 if number < 3 else 1,
            'drop_absent': False,
            'classes': {'label': ['a', 'b']},
            'confusion': {'label': [[number, 0], [1, 2]]},
        }
        (tmp_path / f'part-{number}-of-3.json').write_text(json.dumps(record))
    return tmp_path


def change(file, **entries):
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


def test_merging(parts):
    assert merge([parts]).confusion.tolist() == [[6, 0], [3, 6]]
    files = sorted(parts.iterdir())
    assert merge(files).images == 5


def test_missing_parts_are_named(parts):
    (parts / 'part-2-of-3.json').unlink()
    with pytest.raises(DataError, match=r'missing: 2; .*--part 2/3'):
        merge([parts])


def test_a_part_that_is_there_twice(parts):
    again = parts / 'part-1-of-3 (copy).json'
    again.write_text((parts / 'part-1-of-3.json').read_text())
    with pytest.raises(DataError, match='part 1 of 3 is there twice'):
        merge([parts, again])


@pytest.mark.parametrize(
    ('entries', 'named'),
    [
        ({'weights': 'other'}, 'weights'),
        ({'list': 'other'}, 'list of images'),
        ({'of': 4}, 'number of parts'),
        ({'net': 'mini-fcn16s'}, 'net'),
        ({'total': 6}, 'number of images'),
        ({'classes': {'label': ['a', 'c']}}, 'classes'),
        ({'images': 1}, '4 images together'),
    ],
)
def test_parts_of_other_work(parts, entries, named):
    change(parts / 'part-2-of-3.json', **entries)
    with pytest.raises(DataError, match=named):
        merge([parts])


@pytest.mark.parametrize(
    'text',
    ['', '{', '[]', '{}', 'null', '[' * 9999]
    + [
        json.dumps({'part': 1, 'of': 1, 'images': 1, 'total': 1, 'drop_absent': False} | entries)
        for entries in (
            {'classes': {'label': ['a']}, 'confusion': {'label': [[-1]]}},
            {'classes': {'label': ['a']}, 'confusion': {'label': [[0.5]]}},
            {'classes': {'label': ['a']}, 'confusion': {'label': [[1, 1]]}},
            {'classes': {'label': ['a']}, 'confusion': {'label': [[10**30]]}},
            {'classes': {'label': ['a']}, 'confusion': {'label': 7}},
            {'classes': {}, 'confusion': {}},
            {'classes': ['a'], 'confusion': ['a']},
            {'classes': {'label': [1]}, 'confusion': {'label': [[1]]}},
        )
    ],
)
def test_what_is_no_part(text, tmp_path):
    file = tmp_path / 'part-1-of-1.json'
    file.write_text(text)
    with pytest.raises(DataError, match=re.escape(str(file))):
        merge([file])


def test_no_parts_there(tmp_path):
    with pytest.raises(DataError, match='no part-I-of-N'):
        merge([tmp_path])


@pytest.mark.parametrize('text', ['0/2', '3/2', '2', '/', '1/0', 'a/b', '1/99999999999'])
def test_impossible_parts(text, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        score.parse(['--part', text, '--out', str(tmp_path)])
    assert end.value.code == 2 and text in capsys.readouterr().err


def test_a_part_needs_a_place(capsys):
    with pytest.raises(SystemExit):
        score.parse(['--part', '1/2'])
    assert '--out' in capsys.readouterr().err


def test_infer_in_parts(mini, drawn_weights, tmp_path):
    given = ['--net', NET, '--weights', str(drawn_weights(NET)), '--gpu', '-1']
    photos = str(mini / 'JPEGImages')
    infer.main([photos, *given, '--out', str(tmp_path / 'whole')])
    for number in (1, 2, 3):
        infer.main([photos, *given, '--out', str(tmp_path / 'parts'), '--part', f'{number}/3'])
    pictures = [
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}
        for name in ('whole', 'parts')
    ]
    assert len(pictures[0]) == 22 and pictures[0] == pictures[1]


def test_a_part_of_batches():
    names = list('abcdefg')
    assert part_of(names, 1, 2) == ['b', 'd', 'f']
    assert [part_of(names, number, 2, 2) for number in (0, 1)] == [list('abef'), list('cdg')]
