"""solve.py, score.py and infer.py as a user types them."""

import json
import logging
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import ROOT

import fcn
from fcn.commands import infer
from fcn.data_layers import DATASETS, voc_palette
from fcn.data_layers.images import save_label
from fcn.memory import SHARE
from fcn.memory_estimate import segmenting
from fcn.metrics import confusion, metrics
from fcn.visualize import overlay

Command = Callable[..., subprocess.CompletedProcess[str]]
NET = 'mini-fcn16s'
CLASSES = DATASETS['mini'].classes


@pytest.fixture
def infers(trained: Path, tmp_path: Path, command: Command) -> Command:
    """A function that runs infer.py with the trained net; pictures go to the folder out."""

    def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
        options = ['--net', NET, '--runs', trained / 'runs', '--out', tmp_path / 'out']
        return command('infer.py', *options, *arguments)

    return run


def test_stages_start_from_one_another_and_are_skipped_when_done(
    trained: Path, command: Command
) -> None:
    runs = trained / 'runs'
    about = json.loads((runs / NET / 'run.json').read_text())
    parent = runs / 'mini-fcn32s/snapshots/iter_00000003/train_iter_3.caffemodel'
    assert about['starts_from'] == [str(parent)]
    surgery = (runs / 'mini-fcn32s' / 'surgery.txt').read_text()
    for what, layers in (('copied', 'conv1_1'), ('cast', 'fc6, fc7'), ('not in the net', 'fc8')):
        assert re.search(f'{what}.*{layers}', surgery), surgery
    same = ['--data', trained / 'data', '--runs', runs, '--base-lr', '1e-6']
    other = command('solve.py', 'mini-vgg', *same, '--seed', 3)
    assert other.returncode == 2 and 'seed 1337' in other.stderr
    again = command('solve.py', 'mini-vgg', 'mini-fcn32s', *same, '--iterations', 3)
    assert again.returncode == 0 and again.stdout.count('done, 3 iterations') == 2


def test_a_missing_parent_is_named_with_the_command_that_makes_it(
    tmp_path: Path, trained: Path, voc: Path, command: Command
) -> None:
    result = command('solve.py', 'mini-fcn8s', '--data', trained / 'data', '--runs', tmp_path)
    assert result.returncode == 2 and 'mini-fcn16s' in result.stderr
    assert '`python solve.py mini-vgg mini-fcn32s mini-fcn16s`' in result.stderr
    arguments = ['voc-fcn32s', '--data', voc, '--runs', tmp_path]
    fetched = command(ROOT / 'solve.py', *arguments, cwd=tmp_path)
    assert fetched.returncode == 2 and '`python prepare.py ilsvrc ilsvrc-vgg16`' in fetched.stderr


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
def test_bad_arguments_end_with_2_and_no_traceback(arguments: list[str], command: Command) -> None:
    result = command('solve.py', *arguments)
    assert result.returncode == 2 and 'Traceback' not in result.stderr, result.stderr


def test_score_writes_what_it_prints(trained: Path, tmp_path: Path, command: Command) -> None:
    where = ['--data', trained / 'data', '--runs', trained / 'runs', '--out', tmp_path / 'out']
    result = command('score.py', NET, *where)
    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    matrix = np.zeros((len(CLASSES), len(CLASSES)), int)
    for i in range(3):
        truth = np.asarray(Image.open(trained / 'data' / 'SegmentationClass' / f'val_{i:05}.png'))
        prediction = np.asarray(Image.open(tmp_path / 'out' / f'val_{i:05}.png'))
        assert prediction.shape == truth.shape
        matrix += confusion(truth, prediction, len(CLASSES))
    assert (np.array(record['confusion']) == matrix).all()
    assert record['mean_iu'] == pytest.approx(metrics(matrix)['mean_iu'])
    assert f'mean iu {100 * record["mean_iu"]:.1f}' in result.stdout
    assert all(name in result.stdout for name in CLASSES)


def test_score_of_folders_needs_no_net(tmp_path: Path, command: Command) -> None:
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 21, (2, 30, 40), np.uint8)
    truth[:4] = 255
    for folder, label in (('truth', truth), ('pred', prediction)):
        (tmp_path / folder).mkdir()
        save_label(label, tmp_path / folder / 'a.png')
    arguments = ['score.py', '--pred', tmp_path / 'pred', '--truth', tmp_path / 'truth']
    result = command(*arguments)
    expected = 100 * metrics(confusion(truth, prediction, 21))['pixel_accuracy']
    assert result.returncode == 0 and f'pixel accuracy {expected:.1f}' in result.stdout
    save_label(prediction[1:], tmp_path / 'pred' / 'a.png')
    bad = command(*arguments)
    assert bad.returncode == 2 and 'a.png' in bad.stderr and '29' in bad.stderr
    (tmp_path / 'pred' / 'a.png').unlink()
    missing = command(*arguments)
    assert missing.returncode == 2 and 'no such file' in missing.stderr


def test_score_refuses_weights_of_another_net(trained: Path, command: Command) -> None:
    weights = ['--weights', trained / 'runs' / NET]
    result = command('score.py', 'mini-fcn8s', '--data', trained / 'data', *weights)
    assert result.returncode == 2, result.stderr
    assert 'has no weights for' in result.stderr and result.stderr.count('\n') == 1


def test_infer_segments_any_format_size_and_orientation(tmp_path: Path, infers: Command) -> None:
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
    result = infers(folder)
    assert result.returncode == 0, result.stderr
    sizes = dict.fromkeys(('grey', 'same_bmp', 'same_webp'), (90, 50))
    sizes |= {'turned': (50, 90), 'dot': (1, 1)}
    assert {file.stem for file in (tmp_path / 'out').glob('*.png')} == set(sizes)
    for name, size in sizes.items():
        with Image.open(tmp_path / 'out' / f'{name}.png') as image:
            assert (image.size, image.mode) == (size, 'P')
            assert np.asarray(image).max() < len(CLASSES)
            palette = np.array(image.getpalette()).reshape(-1, 3)
            assert (palette[: len(CLASSES)] == DATASETS['mini'].colours_of('label')).all()
        assert (tmp_path / 'out' / f'{name}_overlay.jpg').is_file()


@pytest.mark.parametrize(
    ('content', 'named'),
    [
        (None, 'no image there'),
        (b'', 'not an image'),
        (b'\x89PNG\r\n\x1a\n' + b'x' * 50, 'bad.png'),
    ],
)
def test_infer_names_a_bad_image(
    content: bytes | None, named: str, tmp_path: Path, infers: Command
) -> None:
    if content is not None:
        (tmp_path / 'bad.png').write_bytes(content)
    result = infers(tmp_path / 'bad.png')
    assert result.returncode == 2 and named in result.stderr and 'Traceback' not in result.stderr


def test_infer_does_not_overwrite_what_it_reads(tmp_path: Path, infers: Command) -> None:
    Image.new('RGB', (20, 20)).save(tmp_path / 'photo.png')
    before = (tmp_path / 'photo.png').read_bytes()
    result = infers(tmp_path, '--out', tmp_path)
    assert result.returncode == 2 and 'would overwrite it' in result.stderr
    assert (tmp_path / 'photo.png').read_bytes() == before


def test_a_link_to_itself_is_one_line(
    trained: Path, tmp_path: Path, command: Command, infers: Command
) -> None:
    Image.new('RGB', (20, 20)).save(tmp_path / 'a.png')
    loop = tmp_path / 'loop'
    loop.symlink_to('loop')
    scores = ['score.py', NET, '--runs', trained / 'runs']
    for result in (
        infers(tmp_path / 'a.png', '--out', loop),
        infers(loop),
        command(*scores, '--data', loop),
        command(*scores, '--data', trained / 'data', '--out', loop),
    ):
        assert result.returncode == 2 and 'loop' in result.stderr, result.stderr
        assert result.stderr.count('\n') == 1, result.stderr


def test_pictures_get_names_of_their_own() -> None:
    names = ['a.jpg', 'b.jpg', 'b.png', *(f'{i}.png' for i in range(20_000))]
    targets = infer.targets([(Path(name), Path(name)) for name in names], Path('out'))
    assert targets[:4] == [Path('out', name) for name in ('a', 'b_jpg', 'b_png', '0')]
    same = [(Path(folder, 'b.jpg'), Path('b.jpg')) for folder in 'xy']
    with pytest.raises(fcn.DataError, match='b_jpg'):
        infer.targets(same, Path('out'))


def test_infer_goes_on_past_a_bad_image(tmp_path: Path, infers: Command) -> None:
    (tmp_path / 'a.png').write_bytes(b'nothing')
    Image.new('RGB', (20, 20)).save(tmp_path / 'b.png')
    result = infers(tmp_path / '*.png')
    assert result.returncode == 2 and 'a.png' in result.stderr and '1 image' in result.stdout
    assert (tmp_path / 'out' / 'b.png').is_file()


def test_an_image_too_large_for_memory_is_segmented_by_tiles(
    trained: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO, 'fcn')
    image = np.random.default_rng(0).integers(0, 256, (500, 700, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / 'big.png')
    segmenter = fcn.load(trained / 'runs' / NET, gpu=-1)
    whole = segmenter(tmp_path / 'big.png').labels
    assert not caplog.text
    free = (segmenter._estimate.testing(460, 460) + segmenting(500, 700)).bytes / SHARE
    monkeypatch.setattr('fcn.segmenter.free_memory', lambda: free)
    segmenter = fcn.load(trained / 'runs' / NET, gpu=-1)  # which holds no memory yet
    tiled = segmenter(tmp_path / 'big.png')
    assert tiled.image.shape[:2] == tiled.labels.shape == (500, 700)
    assert '700×500 by tiles of 448' in caplog.text
    assert (tiled.labels != whole).mean() < 1e-4


def test_tiles_that_are_all_overlap_are_refused(tmp_path: Path, infers: Command) -> None:
    Image.new('RGB', (20, 20)).save(tmp_path / 'a.png')
    refused = infers(tmp_path / 'a.png', '--tile', 64)
    assert refused.returncode == 2 and f'all overlap for {NET}' in refused.stderr
    assert infers(tmp_path / 'a.png', '--tile', 416).returncode == 0


def test_a_tile_that_does_not_fit_is_refused_before_caffe_takes_it(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = fcn.load(trained / 'runs' / NET, gpu=-1)
    monkeypatch.setattr('fcn.segmenter.free_memory', lambda: 1e8)
    with pytest.raises(fcn.DataError, match=r'tile 2000: .*\d\.\d GB .*0\.1 GB'):
        segmenter(np.zeros((500, 600, 3), np.uint8), tile=2000)


def test_overlay_paints_the_classes_and_names_them() -> None:
    image, label = np.full((60, 200, 3), 100, np.uint8), np.zeros((60, 200), np.uint8)
    label[10:20, 10:20] = 2
    painted = np.asarray(overlay(image, label, CLASSES, voc_palette()))
    assert painted.shape[1] == 200 and painted.shape[0] > 60
    assert (painted[0, 0] == 100).all()
    expected = 0.45 * 100 + 0.55 * voc_palette()[2].astype(float)
    assert np.abs(painted[15, 15] - expected).max() <= 1
    legend = painted[60:].reshape(-1, 3)
    assert (legend == voc_palette()[2]).all(1).any() and (legend != 255).any(1).sum() > 50
