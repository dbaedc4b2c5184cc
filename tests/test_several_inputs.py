"""Nets that see or say more than one thing, and files for PASCAL's server, from the command line."""

import json

import numpy as np
import pytest
from archives import build
from PIL import Image

from fcn.commands import infer, score
from fcn.data_layers import DATASETS
from fcn.data_layers.images import save_label
from fcn.engine import net_of
from fcn.errors import DataError
from fcn.nets import deploy_net, find
from fcn.preparation import make
from fcn.surgery import save, start


@pytest.fixture(scope='module')
def googlenet(tmp_path_factory):
    """Drawn weights of the smallest net of VOC's classes."""
    net = net_of(deploy_net(find('voc-fcn-googlenet')))
    start(net, [], init_missing=True)
    scores = net.params['score_fr'][0].data
    scores[...] = np.random.default_rng(0).normal(0, 0.01, scores.shape)
    path = tmp_path_factory.mktemp('weights') / 'googlenet.caffemodel'
    save(net, path)
    return path


@pytest.mark.parametrize('year', [2011, 2012])
def test_submission_has_the_servers_layout_and_needs_no_truth(
    voc, googlenet, tmp_path, command, year
):
    (voc / 'ImageSets' / 'Segmentation' / 'test.txt').write_text('2007_000001\n2007_000003\n')
    for label in (voc / 'SegmentationClass').iterdir():
        label.unlink()
    options = [] if year == 2012 else ['--year', year]
    result = command(
        'score.py',
        'voc-fcn-googlenet',
        '--weights',
        googlenet,
        '--data',
        voc,
        '--split',
        'test',
        '--submit',
        tmp_path / 'sub',
        *options,
    )
    assert result.returncode == 0, result.stderr
    folder = tmp_path / 'sub' / 'results' / f'VOC{year}' / 'Segmentation' / 'comp6_test_cls'
    assert result.stdout.strip() == str(folder)
    assert {file.name for file in folder.iterdir()} == {'2007_000001.png', '2007_000003.png'}
    for file in folder.iterdir():
        with (
            Image.open(file) as label,
            Image.open(voc / 'JPEGImages' / f'{file.stem}.jpg') as image,
        ):
            assert label.mode == 'P' and label.size == image.size and np.asarray(label).max() < 21
            assert label.getpalette()[3:6] == [128, 0, 0]


def test_a_net_of_other_classes_cannot_be_submitted(tmp_path, command):
    result = command('score.py', 'nyud-fcn32s-color', '--submit', tmp_path)
    assert result.returncode == 2 and "PASCAL's server takes VOC's" in result.stderr


def test_companions_are_found_by_name_and_missing_ones_are_named(tmp_path):
    make('nyud', tmp_path / 'data', build('nyud', tmp_path / 'archives', count=3))
    config, folders = (
        find('nyud-fcn32s-color-hha'),
        {'depth': None, 'hha': tmp_path / 'data/nyud/data/hha'},
    )
    photo = next((tmp_path / 'data/nyud/data/images').iterdir())
    files = infer.input_files(config, photo, folders)
    assert files == {'color': photo, 'hha': folders['hha'] / photo.name}
    images = infer.read_inputs(config, files)
    assert images['color'].shape == images['hha'].shape
    with pytest.raises(DataError, match=r'the net sees hha too; give the folder of it with --hha'):
        infer.input_files(config, photo, folders | {'hha': None})
    with pytest.raises(DataError, match=r'no files of hha there for'):
        infer.input_files(config, photo, folders | {'hha': tmp_path})
    Image.new('RGB', (9, 9)).save(tmp_path / photo.name)
    with pytest.raises(DataError, match=r'the hha is 9×9, its color .* they must be equal'):
        infer.read_inputs(config, infer.input_files(config, photo, folders | {'hha': tmp_path}))
    with pytest.raises(
        DataError, match='would overwrite it'
    ):  # the HHA image has the picture's name
        infer.outputs(folders['hha'], [files], DATASETS['nyud'].labels)
    Image.new('RGB', (9, 9)).save(tmp_path / f'{photo.stem}.bmp')
    with pytest.raises(DataError, match=r'2 files of hha there for .*; there must be one'):
        infer.input_files(config, photo, folders | {'hha': tmp_path})
    alone = find('nyud-fcn32s-hha')
    assert infer.input_files(alone, photo, folders) == {'hha': photo}


def test_two_labels_are_two_tables_and_two_pictures(tmp_path):
    dataset = DATASETS['siftflow']
    sem, geo = np.zeros((33, 33), np.int64), np.diag([5, 3, 2])
    sem[0, 0], sem[1, 2] = 6, 2  # balcony taken for bird, which the truth lacks
    text = score.report({'sem': sem, 'geo': geo}, dataset)
    assert text.startswith('sem:\npixel accuracy 75.0   mean accuracy 50.0   mean iu 50.0')
    assert '\ngeo:\npixel accuracy 100.0' in text and 'streetlight' in text and 'vertical' in text
    kept = json.loads(json.dumps(score.record({'sem': sem, 'geo': geo}, dataset)))
    assert (
        kept['mean_iu'] == 0.5
        and kept['geo']['pixel_accuracy'] == 1
        and kept['class_iou']['bird'] == 0
    )
    targets = infer.outputs(tmp_path, [{'data': tmp_path / 'a.jpg'}], dataset.labels)
    assert targets == [
        {
            'sem': (tmp_path / 'a.png', tmp_path / 'a_overlay.jpg'),
            'geo': (tmp_path / 'a_geo.png', tmp_path / 'a_geo_overlay.jpg'),
        }
    ]


def test_a_set_without_background_is_painted_whole():
    label = np.zeros((20, 60), np.uint8)
    image = np.full((20, 60, 3), 200, np.uint8)
    assert (np.asarray(infer.overlay(image, label, DATASETS['voc'].classes))[:20] == 200).all()
    painted = np.asarray(infer.overlay(image, label, DATASETS['nyud'].classes))
    assert (painted[:20] == 90).all() and (painted[20:] != 255).any()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['solve.py', 'voc-fcn32s', '--weights', 'W:hha'], 'the net has one stream; give one file'),
        (
            ['solve.py', 'nyud-fcn32s-color-hha', '--weights', 'W:colour', '--weights', 'W:hha'],
            'the net has the streams color and hha; give one file for each, as FILE:color',
        ),
        (
            ['solve.py', 'nyud-fcn32s-color-hha', '--weights', 'W:hha', '--weights', 'W:hha'],
            'one file for each',
        ),
        (
            ['infer.py', 'P', '--net', 'voc-fcn32s', '--hha', '.'],
            '--hha: voc-fcn32s sees no hha beside the images',
        ),
        (['score.py', '--submit', 'out', '--images', '3'], '--submit writes every label'),
        (['score.py', '--submit', 'out', '--year', '-5'], 'is not a whole number from 2007'),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, words, googlenet, tmp_path, command):
    Image.new('RGB', (9, 9)).save(tmp_path / 'p.png')
    given = [
        str(word).replace('W', str(googlenet)).replace('P', str(tmp_path / 'p.png'))
        for word in arguments
    ]
    result = command(*given)
    assert result.returncode == 2 and words in result.stderr and 'Traceback' not in result.stderr, (
        result.stderr
    )


def test_predictions_do_not_replace_the_truth(voc, googlenet, command):
    truth = voc / 'SegmentationClass'
    before = {file.name: file.read_bytes() for file in truth.iterdir()}
    result = command(
        'score.py', 'voc-fcn-googlenet', '--weights', googlenet, '--data', voc, '--out', truth
    )
    assert result.returncode == 2 and 'would overwrite the data set' in result.stderr
    assert {file.name: file.read_bytes() for file in truth.iterdir()} == before


def test_weights_of_another_net_are_named(googlenet, voc, command):
    result = command('score.py', 'pascalcontext-fcn32s', '--weights', googlenet, '--data', voc)
    assert result.returncode == 2
    result = command('score.py', 'voc-fcn-alexnet', '--weights', googlenet, '--data', voc)
    assert (
        result.returncode == 2
        and f'{googlenet}: score_fr' in result.stderr
        and 'of another net' in result.stderr
    )


def test_a_missing_parent_of_the_last_is_told_before_the_first_is_trained(
    voc, googlenet, tmp_path, command
):
    result = command(
        'solve.py',
        'voc-fcn-googlenet',
        'voc-fcn16s',
        '--weights',
        googlenet,
        '--data',
        voc,
        '--val-split',
        'seg11valid',
        '--iterations',
        1,
        '--runs',
        tmp_path / 'runs',
    )
    assert result.returncode == 2 and 'voc-fcn16s starts from voc-fcn32s' in result.stderr
    assert (
        'or fetch what is published with `python prepare.py fcn-weights voc-fcn32s`'
        in result.stderr
    )
    assert not (tmp_path / 'runs').exists()


def test_a_truth_of_void_alone_is_said_to_be_so(voc, googlenet, tmp_path, command):
    for file in (voc / 'SegmentationClass').iterdir():
        with Image.open(file) as label:
            save_label(np.full(label.size[::-1], 255, np.uint8), file)
    result = command(
        'score.py',
        'voc-fcn-googlenet',
        '--weights',
        googlenet,
        '--data',
        voc,
        '--out',
        tmp_path / 'out',
    )
    assert result.returncode == 0 and 'no pixel of the truth has a class' in result.stdout
    kept = json.loads((tmp_path / 'out' / 'metrics.json').read_text(), parse_constant=pytest.fail)
    assert kept['mean_iu'] is None
