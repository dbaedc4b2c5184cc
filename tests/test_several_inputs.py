"""Nets that see or score more than one thing, and files for PASCAL's server, by the commands."""

import argparse
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from archives import build
from PIL import Image

from fcn.commands import infer, score
from fcn.data_layers import DATASETS
from fcn.data_layers.images import save_label
from fcn.errors import DataError, FCNError
from fcn.evaluation import evaluation_of
from fcn.nets import find
from fcn.preparation import make
from fcn.visualize import overlay

Command = Callable[..., subprocess.CompletedProcess[str]]
SMALLEST = 'voc-fcn-googlenet'  # of the nets of VOC's classes


@pytest.fixture(scope='session')
def googlenet(drawn_weights: Callable[[str], Path]) -> Path:
    return drawn_weights(SMALLEST)


@pytest.mark.parametrize('year', [2011, 2012])
def test_a_submission_has_the_servers_layout_and_needs_no_truth(
    voc: Path, googlenet: Path, tmp_path: Path, command: Command, year: int
) -> None:
    (voc / 'ImageSets' / 'Segmentation' / 'test.txt').write_text('2007_000001\n2007_000003\n')
    for label in (voc / 'SegmentationClass').iterdir():
        label.unlink()
    where = ['--weights', googlenet, '--data', voc, '--split', 'test', '--submit', tmp_path / 'sub']
    options = [] if year == 2012 else ['--year', year]
    result = command('score.py', SMALLEST, *where, *options)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / 'sub' / 'results' / f'VOC{year}' / 'Segmentation' / 'comp6_test_cls'
    assert result.stdout.strip() == str(folder)
    assert {file.name for file in folder.iterdir()} == {'2007_000001.png', '2007_000003.png'}
    for file in folder.iterdir():
        image = Image.open(voc / 'JPEGImages' / f'{file.stem}.jpg')
        with image, Image.open(file) as label:
            assert label.mode == 'P' and label.size == image.size and np.asarray(label).max() < 21
            assert label.getpalette()[3:6] == [128, 0, 0]


def test_a_net_of_other_classes_cannot_be_submitted(tmp_path: Path, command: Command) -> None:
    result = command('score.py', 'nyud-fcn32s-color', '--submit', tmp_path)
    assert result.returncode == 2 and 'nyud' in result.stderr and 'VOC' in result.stderr


def test_files_of_other_inputs_are_found_by_name_and_missing_ones_are_named(
    tmp_path: Path,
) -> None:
    make('nyud', tmp_path / 'data', build('nyud', tmp_path / 'archives', count=3))
    config = find('nyud-fcn32s-color-hha')
    hha = tmp_path / 'data/nyud/data/hha'
    folders = {'depth': None, 'hha': hha}
    photo = next((tmp_path / 'data/nyud/data/images').iterdir())
    files = infer.input_files(config, photo, folders)
    assert files == {'color': photo, 'hha': hha / photo.name}
    with pytest.raises(DataError, match='--hha'):
        infer.input_files(config, photo, {'depth': None, 'hha': None})
    with pytest.raises(DataError, match='no files of hha'):
        infer.input_files(config, photo, {'depth': None, 'hha': tmp_path})
    options = {'images': [str(photo)], 'recursive': False, 'out': hha, **folders}
    with pytest.raises(DataError, match=photo.name):  # The HHA image has the picture's name.
        infer.plan(argparse.Namespace(**options), config)
    for ending in ('png', 'bmp'):
        Image.new('RGB', (9, 9)).save(tmp_path / f'{photo.stem}.{ending}')
    with pytest.raises(DataError, match='2 files of hha'):
        infer.input_files(config, photo, {'depth': None, 'hha': tmp_path})
    alone = find('nyud-fcn32s-hha')
    assert infer.input_files(alone, photo, folders) == {'hha': photo}


def test_inputs_of_one_image_must_have_one_size(
    tmp_path: Path, drawn_weights: Callable[[str], Path]
) -> None:
    net = 'mini-nyud-fcn32s-color-hha'
    for folder, size in (('color', (60, 40)), ('right', (60, 40)), ('wrong', (60, 39))):
        (tmp_path / folder).mkdir()
        Image.new('RGB', size).save(tmp_path / folder / 'a.png')
    options = ['--net', net, '--weights', str(drawn_weights(net)), '--gpu', '-1']
    arguments = [str(tmp_path / 'color'), '--out', str(tmp_path / 'out'), *options, '--hha']
    infer.main([*arguments, str(tmp_path / 'right')])
    assert (tmp_path / 'out' / 'a.png').is_file()
    with pytest.raises(FCNError, match=r'wrong/a\.png.*60×39.*60×40'):
        infer.main([*arguments, str(tmp_path / 'wrong')])


def test_two_labels_are_two_tables_and_two_pictures(tmp_path: Path) -> None:
    dataset = DATASETS['siftflow']
    sem, geo = np.zeros((33, 33), np.int64), np.diag([5, 3, 2])
    sem[0, 0], sem[1, 2] = 6, 2  # balcony taken for bird, which the truth lacks
    evaluation = evaluation_of({'sem': sem, 'geo': geo}, dataset.labels, 1, dataset.drop_absent)
    text = score.report(evaluation)
    assert text.startswith('sem:\npixel accuracy 75.0   mean accuracy 50.0   mean iu 50.0')
    assert '\ngeo:\npixel accuracy 100.0' in text and 'streetlight' in text and 'vertical' in text
    record = json.loads(json.dumps(evaluation.record()))
    assert record['mean_iu'] == 0.5 and record['geo']['pixel_accuracy'] == 1
    assert record['class_iou']['bird'] == 0
    job = infer.Job({'data': tmp_path / 'a.jpg'}, tmp_path / 'a')
    assert job.picture('', '.png') == tmp_path / 'a.png'
    assert job.picture('geo', '_overlay.jpg') == tmp_path / 'a_geo_overlay.jpg'


def test_a_set_without_background_is_painted_completely() -> None:
    label = np.zeros((20, 60), np.uint8)
    image = np.full((20, 60, 3), 200, np.uint8)
    voc, nyud = (
        np.asarray(overlay(image, label, dataset.classes, dataset.colours_of('label')))
        for dataset in (DATASETS['voc'], DATASETS['nyud'])
    )
    assert (voc[:20] == 200).all()
    expected = 0.45 * 200 + 0.55 * DATASETS['nyud'].colours_of('label')[0].astype(float)
    assert np.abs(nyud[:20] - expected).max() <= 1
    assert (nyud[20:] != 255).any()


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['solve.py', 'voc-fcn32s', '--weights', 'W:hha'], ['one stream']),
        (
            ['solve.py', 'nyud-fcn32s-color-hha', '--weights', 'W:colour', '--weights', 'W:hha'],
            ['color and hha', 'FILE:color'],
        ),
        (
            ['solve.py', 'nyud-fcn32s-color-hha', '--weights', 'W:hha', '--weights', 'W:hha'],
            ['one file for each'],
        ),
        (['infer.py', 'P', '--net', SMALLEST, '--weights', 'W', '--hha', '.'], ['--hha', SMALLEST]),
        (['score.py', '--submit', 'out', '--images', '3'], ['--submit', '--images']),
        (['score.py', '--submit', 'out', '--year', '-5'], ['-5', '2007']),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: list[str], named: list[str], googlenet: Path, tmp_path: Path, command: Command
) -> None:
    Image.new('RGB', (9, 9)).save(tmp_path / 'p.png')
    paths = {'W': str(googlenet), 'P': str(tmp_path / 'p.png')}
    given = [paths.get(word, word.replace('W:', f'{googlenet}:')) for word in arguments]
    result = command(*given)
    assert result.returncode == 2 and 'Traceback' not in result.stderr, result.stderr
    assert all(word in result.stderr for word in named), result.stderr


def test_predictions_do_not_replace_the_truth(voc: Path, googlenet: Path, command: Command) -> None:
    truth = voc / 'SegmentationClass'
    before = {file.name: file.read_bytes() for file in truth.iterdir()}
    where = ['--weights', googlenet, '--data', voc, '--out', truth]
    result = command('score.py', SMALLEST, *where)
    assert result.returncode == 2 and str(truth) in result.stderr
    assert 'would overwrite' in result.stderr
    assert {file.name: file.read_bytes() for file in truth.iterdir()} == before


def test_weights_of_another_net_are_named(googlenet: Path, voc: Path, command: Command) -> None:
    where = ['--weights', googlenet, '--data', voc]
    result = command('score.py', 'pascalcontext-fcn32s', *where)
    assert result.returncode == 2
    result = command('score.py', 'voc-fcn-alexnet', *where)
    assert result.returncode == 2 and f'{googlenet}: score_fr' in result.stderr


def test_a_missing_parent_of_the_last_is_told_before_the_first_is_trained(
    voc: Path, googlenet: Path, tmp_path: Path, command: Command
) -> None:
    where = ['--data', voc, '--val-split', 'seg11valid', '--runs', tmp_path / 'runs']
    options = ['--weights', googlenet, '--iterations', 1]
    result = command('solve.py', SMALLEST, 'voc-fcn16s', *where, *options)
    assert result.returncode == 2 and 'voc-fcn16s starts from voc-fcn32s' in result.stderr
    assert '`python prepare.py fcn-weights voc-fcn32s`' in result.stderr
    assert not (tmp_path / 'runs').exists()


def test_a_truth_of_void_alone_is_reported(
    voc: Path, googlenet: Path, tmp_path: Path, command: Command
) -> None:
    for file in (voc / 'SegmentationClass').iterdir():
        with Image.open(file) as label:
            save_label(np.full(label.size[::-1], 255, np.uint8), file)
    where = ['--weights', googlenet, '--data', voc, '--out', tmp_path / 'out']
    result = command('score.py', SMALLEST, *where)
    assert result.returncode == 0 and 'no pixel of the truth has a class' in result.stdout
    text = (tmp_path / 'out' / 'metrics.json').read_text()
    assert json.loads(text, parse_constant=pytest.fail)['mean_iu'] is None
