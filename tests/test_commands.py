"""solve.py, score.py and infer.py as a user types them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import ROOT

from fcn.commands import infer
from fcn.data_layers import DATASETS, voc_palette
from fcn.data_layers.images import save_label
from fcn.inference import load_net
from fcn.memory_estimate import MemoryEstimate
from fcn.metrics import confusion, metrics
from fcn.nets import deploy_net, find
from fcn.solvers import weights_of
from miniature.generate import generate

CLASSES = DATASETS['mini'].classes


@pytest.fixture(scope='module')
def trained(tmp_path_factory, command):
    """A folder with a few scenes of the miniature and every stage trained for three iterations."""
    root = tmp_path_factory.mktemp('trained')
    generate(root / 'data', train=4, val=3, objects=40)
    result = command(
        'solve.py',
        'mini-vgg',
        'mini-fcn32s',
        'mini-fcn16s',
        '--data',
        root / 'data',
        '--runs',
        root / 'runs',
        '--iterations',
        3,
        '--base-lr',
        '1e-6',
    )
    assert result.returncode == 0, result.stderr
    return root


def test_stages_start_from_one_another_and_are_skipped_when_done(trained, command):
    about = json.loads((trained / 'runs' / 'mini-fcn16s' / 'run.json').read_text())
    assert about['starts_from'] == [
        str(trained / 'runs/mini-fcn32s/snapshots/iter_00000003/train_iter_3.caffemodel')
    ]
    surgery = (trained / 'runs' / 'mini-fcn32s' / 'surgery.txt').read_text()
    assert 'copied  conv1_1' in surgery and 'cast  fc6, fc7' in surgery and 'left  fc8' in surgery
    other = command(
        'solve.py',
        'mini-vgg',
        '--data',
        trained / 'data',
        '--runs',
        trained / 'runs',
        '--seed',
        3,
        '--base-lr',
        '1e-6',
    )
    assert other.returncode == 2 and 'has seed 1337, not 3' in other.stderr
    again = command(
        'solve.py',
        'mini-vgg',
        'mini-fcn32s',
        '--data',
        trained / 'data',
        '--runs',
        trained / 'runs',
        '--iterations',
        3,
        '--base-lr',
        '1e-6',
    )
    assert again.returncode == 0 and again.stdout.count('done, 3 iterations') == 2


def test_a_missing_parent_is_named_with_the_command_that_makes_it(tmp_path, trained, voc, command):
    result = command('solve.py', 'mini-fcn8s', '--data', trained / 'data', '--runs', tmp_path)
    assert result.returncode == 2
    assert 'mini-fcn8s starts from mini-fcn16s' in result.stderr
    assert '`python solve.py mini-vgg mini-fcn32s mini-fcn16s`' in result.stderr
    fetched = command(
        ROOT / 'solve.py', 'voc-fcn32s', '--data', voc, '--runs', tmp_path, cwd=tmp_path
    )
    assert fetched.returncode == 2 and '`python prepare.py ilsvrc ilsvrc-vgg16`,' in fetched.stderr


@pytest.mark.parametrize(
    'arguments',
    [
        ['--iterations', '0'],
        ['--base-lr', '-1'],
        ['--base-lr', 'nan'],
        ['--gpu', '0'],
        ['--data', 'nowhere'],
        ['ilsvrc-vgg16'],
        ['voc-fcn32s', 'voc-fcn6s'],
    ],
)
def test_bad_arguments_end_with_2_and_no_traceback(arguments, command):
    result = command('solve.py', *arguments)
    assert result.returncode == 2 and 'Traceback' not in result.stderr, result.stderr


def test_score_keeps_what_it_says(trained, tmp_path, command):
    result = command(
        'score.py',
        'mini-fcn16s',
        '--data',
        trained / 'data',
        '--runs',
        trained / 'runs',
        '--out',
        tmp_path / 'out',
    )
    assert result.returncode == 0, result.stderr
    kept = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    matrix = 0
    for i in range(3):
        truth = np.asarray(Image.open(trained / 'data' / 'SegmentationClass' / f'val_{i:05}.png'))
        prediction = np.asarray(Image.open(tmp_path / 'out' / f'val_{i:05}.png'))
        assert prediction.shape == truth.shape
        matrix = matrix + confusion(truth, prediction, len(CLASSES))
    assert (np.array(kept['confusion']) == matrix).all()
    assert kept['mean_iu'] == pytest.approx(metrics(matrix)['mean_iu'])
    assert f'mean iu {100 * kept["mean_iu"]:.1f}' in result.stdout and 'triangle' in result.stdout


def test_score_of_folders_needs_no_net(tmp_path, command):
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 21, (2, 30, 40), np.uint8)
    truth[:4] = 255
    for folder, label in (('truth', truth), ('pred', prediction)):
        (tmp_path / folder).mkdir()
        save_label(label, tmp_path / folder / 'a.png')
    arguments = ['score.py', '--pred', tmp_path / 'pred', '--truth', tmp_path / 'truth']
    result = command(*arguments)
    expected = metrics(confusion(truth, prediction, 21))
    assert (
        result.returncode == 0
        and f'pixel accuracy {100 * expected["pixel_accuracy"]:.1f}' in result.stdout
    )
    save_label(prediction[1:], tmp_path / 'pred' / 'a.png')
    bad = command(*arguments)
    assert bad.returncode == 2 and 'a.png' in bad.stderr and 'must be equal' in bad.stderr
    (tmp_path / 'pred' / 'a.png').unlink()
    missing = command(*arguments)
    assert missing.returncode == 2 and 'no such file' in missing.stderr


def test_score_refuses_weights_of_another_net(trained, command):
    result = command(
        'score.py',
        'mini-fcn8s',
        '--data',
        trained / 'data',
        '--weights',
        trained / 'runs/mini-fcn16s',
    )
    assert result.returncode == 2, result.stderr
    assert 'has no weights for' in result.stderr and result.stderr.count('\n') == 1


def test_infer_segments_any_format_size_and_orientation(trained, tmp_path, command):
    folder = tmp_path / 'photos'
    folder.mkdir()
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (50, 90, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90°
    picture.save(folder / 'turned.jpg', exif=exif)
    picture.convert('L').save(folder / 'grey.png')
    picture.save(folder / 'same.bmp')
    picture.save(folder / 'same.webp')
    Image.new('RGBA', (1, 1)).save(folder / 'dot.png')
    (folder / 'notes.txt').write_text('no image')
    result = command(
        'infer.py',
        folder,
        '--net',
        'mini-fcn16s',
        '--runs',
        trained / 'runs',
        '--out',
        tmp_path / 'out',
    )
    assert result.returncode == 0, result.stderr
    sizes = {
        'turned': (50, 90),
        'grey': (90, 50),
        'same_bmp': (90, 50),
        'same_webp': (90, 50),
        'dot': (1, 1),
    }
    assert {file.stem for file in (tmp_path / 'out').glob('*.png')} == set(sizes)
    for name, size in sizes.items():
        with Image.open(tmp_path / 'out' / f'{name}.png') as image:
            assert (image.size, image.mode) == (size, 'P')
            assert np.asarray(image).max() < len(CLASSES)
            assert image.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
        assert (tmp_path / 'out' / f'{name}_overlay.jpg').is_file()


@pytest.mark.parametrize(
    ('make', 'words'),
    [
        (None, 'no image there'),
        (b'', 'not an image'),
        (b'\x89PNG\r\n\x1a\n' + b'x' * 50, 'bad.png'),
    ],
)
def test_infer_names_a_bad_image(make, words, trained, tmp_path, command):
    if make is not None:
        (tmp_path / 'bad.png').write_bytes(make)
    result = command(
        'infer.py',
        tmp_path / 'bad.png',
        '--net',
        'mini-fcn16s',
        '--runs',
        trained / 'runs',
        '--out',
        tmp_path / 'out',
    )
    assert result.returncode == 2 and words in result.stderr and 'Traceback' not in result.stderr


def test_infer_does_not_write_over_what_it_reads(trained, tmp_path, command):
    Image.new('RGB', (20, 20)).save(tmp_path / 'photo.png')
    before = (tmp_path / 'photo.png').read_bytes()
    result = command(
        'infer.py', tmp_path, '--net', 'mini-fcn16s', '--runs', trained / 'runs', '--out', tmp_path
    )
    assert result.returncode == 2 and 'would overwrite it' in result.stderr
    assert (tmp_path / 'photo.png').read_bytes() == before


def test_a_link_to_itself_is_one_line(trained, tmp_path, command):
    Image.new('RGB', (20, 20)).save(tmp_path / 'a.png')
    (tmp_path / 'loop').symlink_to('loop')
    for arguments in (
        ['infer.py', tmp_path / 'a.png', '--net', 'mini-fcn16s', '--out', tmp_path / 'loop'],
        ['infer.py', tmp_path / 'loop', '--net', 'mini-fcn16s'],
        ['score.py', 'mini-fcn16s', '--data', tmp_path / 'loop'],
        ['score.py', 'mini-fcn16s', '--data', trained / 'data', '--out', tmp_path / 'loop'],
    ):
        result = command(*arguments, '--runs', trained / 'runs')
        assert (
            result.returncode == 2 and result.stderr.count('\n') == 1 and 'loop' in result.stderr
        ), result.stderr


def test_pictures_get_names_of_their_own(tmp_path):
    files = [
        Path(name) for name in ('a.jpg', 'b.jpg', 'b.png', *(f'{i}.png' for i in range(20_000)))
    ]
    assert infer.output_names(files)[:4] == ['a', 'b_jpg', 'b_png', '0']
    with pytest.raises(infer.DataError, match='b_jpg: several images'):
        infer.output_names([Path('x/b.jpg'), Path('y/b.jpg')])


def test_infer_goes_on_past_a_bad_image(trained, tmp_path, command):
    (tmp_path / 'a.png').write_bytes(b'nothing')
    Image.new('RGB', (20, 20)).save(tmp_path / 'b.png')
    result = command(
        'infer.py',
        tmp_path / '*.png',
        '--net',
        'mini-fcn16s',
        '--runs',
        trained / 'runs',
        '--out',
        tmp_path / 'out',
    )
    assert result.returncode == 2 and 'a.png' in result.stderr and '1 images' in result.stdout
    assert (tmp_path / 'out' / 'b.png').is_file()


def test_an_image_too_large_for_memory_is_segmented_by_tiles(
    trained, tmp_path, capsys, monkeypatch
):
    config = find('mini-fcn16s')
    net = load_net(deploy_net(config), weights_of(trained / 'runs' / 'mini-fcn16s'))
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (500, 700, 3), np.uint8)).save(
        tmp_path / 'big.png'
    )
    files, estimate = {'data': tmp_path / 'big.png'}, MemoryEstimate(net)
    _, whole = infer.segment_fitting(net, config, estimate, files)
    assert not capsys.readouterr().err
    monkeypatch.setattr(infer, 'free_memory', lambda: estimate.bytes(460, 460) / 0.8)
    images, tiled = infer.segment_fitting(net, config, estimate, files)
    assert images['data'].shape[:2] == tiled['label'].shape == (500, 700)
    assert 'big.png: 700×500 by tiles of 448' in capsys.readouterr().err
    assert (tiled['label'] != whole['label']).mean() < 1e-4


def test_tiles_that_are_all_overlap_are_refused(trained, tmp_path, command):
    Image.new('RGB', (20, 20)).save(tmp_path / 'a.png')
    arguments = [
        'infer.py',
        tmp_path / 'a.png',
        '--net',
        'mini-fcn16s',
        '--runs',
        trained / 'runs',
        '--out',
        tmp_path / 'out',
        '--tile',
    ]
    refused = command(*arguments, 64)
    assert refused.returncode == 2 and 'all overlap for mini-fcn16s; give' in refused.stderr
    assert command(*arguments, 416).returncode == 0


def test_a_tile_that_does_not_fit_is_refused_before_caffe_takes_it(trained, tmp_path, monkeypatch):
    config = find('mini-fcn16s')
    net = load_net(deploy_net(config), weights_of(trained / 'runs' / 'mini-fcn16s'))
    Image.new('RGB', (600, 500)).save(tmp_path / 'a.png')
    monkeypatch.setattr(infer, 'free_memory', lambda: 1e8)
    with pytest.raises(
        infer.DataError, match=r'--tile 2000: a tile of .*a\.png needs \d\.\d GB and 0\.1 GB may'
    ):
        infer.segment_fitting(net, config, MemoryEstimate(net), {'data': tmp_path / 'a.png'}, 2000)


def test_overlay_paints_the_classes_and_names_them():
    image, label = np.full((60, 200, 3), 100, np.uint8), np.zeros((60, 200), np.uint8)
    label[10:20, 10:20] = 2
    painted = np.asarray(infer.overlay(image, label, CLASSES))
    assert painted.shape[1] == 200 and painted.shape[0] > 60
    assert (painted[0, 0] == 100).all()
    assert np.abs(painted[15, 15] - (0.45 * 100 + 0.55 * voc_palette()[2].astype(float))).max() <= 1
    legend = painted[60:].reshape(-1, 3)
    assert (legend == voc_palette()[2]).all(1).any() and (legend != 255).any(1).sum() > 50
