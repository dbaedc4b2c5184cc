"""Sets of one's own, from a folder to a segmented photo, by the commands and from Python."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_sets import NAMES, SIZE, save_mask, save_picture, truth
from exported_sets import LAYOUTS, Layout
from PIL import Image, ImageOps
from small_runs import assert_equal_weights

import fcn
from fcn import engine
from fcn.commands import check, infer, score, solve
from fcn.data_layers.images import VOID
from fcn.data_layers.own.manifest import read_manifest
from fcn.errors import FCNError, RunError
from fcn.metrics import confusion
from fcn.nets import deploy_net
from fcn.own import choose_net, config_of
from fcn.solvers import Run
from fcn.surgery import read_weights, save, start, write_weights

NET = 'mini-fcn32s'
TRAINED: Any = dict(iterations=2, init_missing=True, gpu=-1)


def words(*arguments: Any) -> list[str]:
    return [str(argument) for argument in arguments]


def train(root: Path, runs: Path, **options: Any) -> Path:
    """Train for two iterations and return the run's folder."""
    return fcn.train(NET, root, runs=runs, **(TRAINED | options)).folder


def validated(run: Path) -> list[int]:
    """Return the numbers of the pictures that a run validates on."""
    examples = read_manifest(run / 'dataset.json').splits['val']
    return [NAMES.index(Path(example.image).stem[:2]) for example in examples]


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A folder of pictures and masks of numbers, 0 to 2."""
    LAYOUTS['numbers'].write(tmp_path / 'photos')
    return tmp_path / 'photos'


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture that is in no set."""
    save_picture(tmp_path / 'new.jpg', 99)
    return tmp_path / 'new.jpg'


FAST = 'numbers', 'coco polygons', 'cityscapes'  # a kind of labels each


@pytest.mark.parametrize(
    'layout',
    [
        pytest.param(layout, id=name, marks=[] if name in FAST else pytest.mark.slow)
        for name, layout in LAYOUTS.items()
    ],
)
def test_every_layout_is_checked_learned_scored_and_used(
    layout: Layout, tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, runs, out = tmp_path / 'photos', tmp_path / 'runs', tmp_path / 'out'
    layout.write(root)
    assert check.main(words(root, '--out', out, *layout.options)) == 0
    assert (out / 'contact.png').is_file()
    options = words('--runs', runs, '--gpu', -1, '--iterations', 2, '--init-missing')
    assert solve.main([NET, *words('--data', root), *options, *layout.options]) == 0
    run = runs / 'photos' / NET
    evaluation = fcn.evaluate(runs / 'photos', gpu=-1)
    assert evaluation.classes == layout.classes
    capsys.readouterr()
    score.main(words(runs / 'photos', '--gpu', -1))
    table = capsys.readouterr().out.split('\n')
    assert [line.rpartition('  ')[0].strip() for line in table if line][1:] == [*layout.classes]
    if layout.truth:
        table_of = np.array([*layout.truth], np.uint8)
        labels = np.stack([table_of[truth(number)] for number in validated(run)])
        counts = np.bincount(labels.ravel(), minlength=256)[: len(layout.classes)]
        assert evaluation.confusion.sum(1).tolist() == counts.tolist()

    # The run folder is enough, wherever it is.
    moved = tmp_path / 'elsewhere'
    shutil.move(run, moved)
    shutil.rmtree(root)
    shutil.rmtree(runs)
    infer.main(words(photo, '--weights', moved, '--out', out, '--gpu', -1))
    with Image.open(out / 'new.png') as labels_of_photo:
        assert labels_of_photo.size == SIZE[::-1]
        palette = np.array(labels_of_photo.getpalette('RGB')).reshape(-1, 3)
    segmenter = fcn.load(moved, gpu=-1)
    result = segmenter(photo)
    assert result.classes == layout.classes and set(result.shares) <= set(layout.classes)
    np.testing.assert_array_equal(palette[: len(layout.classes)], result.colours)
    if layout.colours:
        assert result.colours.tolist() == [list(colour) for colour in layout.colours]


@pytest.mark.parametrize('name', ['colours', pytest.param('coco runs', marks=pytest.mark.slow)])
def test_the_commands_as_they_are_typed(
    name: str, tmp_path: Path, photo: Path, command: Callable[..., Any]
) -> None:
    LAYOUTS[name].write(tmp_path / 'photos')
    runs, gpu = tmp_path / 'runs', ('--gpu', -1)
    short = '--init-missing', '--iterations', 2
    for arguments in (
        ('prepare.py', 'check', tmp_path / 'photos', '--out', tmp_path / 'checked'),
        ('solve.py', NET, '--data', tmp_path / 'photos', '--runs', runs, *gpu, *short),
        ('score.py', runs / 'photos', *gpu),
        ('infer.py', photo, '--weights', runs / 'photos', '--out', tmp_path / 'out', *gpu),
    ):
        result = command(*arguments)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / 'out' / 'new_overlay.jpg').is_file()


def test_masks_of_0_and_255_end_before_training(tmp_path: Path, command: Callable) -> None:
    """All that is labelled would be of one class, and the score 100."""
    layout = LAYOUTS['one object']
    layout.write(tmp_path / 'photos')
    runs = tmp_path / 'runs'
    arguments = NET, '--data', tmp_path / 'photos', '--runs', runs, '--init-missing', '--gpu', -1
    result = command('solve.py', *arguments)
    assert result.returncode == 2 and '--foreground 255' in result.stderr
    assert 'Traceback' not in result.stderr and not runs.exists()


def test_a_run_goes_on_and_knows_its_data(drawn: Path, tmp_path: Path) -> None:
    runs = tmp_path / 'runs'
    train(drawn, runs)
    moved = tmp_path / 'moved' / 'photos'
    shutil.move(drawn, moved)
    result = fcn.train(NET, moved, runs=runs, **(TRAINED | dict(iterations=4)))
    assert result.iteration == 4
    whole = train(moved, tmp_path / 'whole', iterations=4)
    ours, other = (
        {name: [np.array(blob) for blob in blobs] for name, blobs in read_weights(file)}
        for file in (Run(result.folder).weights(), Run(whole).weights())
    )
    assert_equal_weights(ours, other)
    (moved / 'masks' / 'p4_mask.png').unlink()
    (moved / 'images' / 'p4.jpg').unlink()
    with pytest.raises(RunError):
        fcn.train(NET, moved, runs=runs, **(TRAINED | dict(iterations=6)))
    assert Run(result.folder).iteration == 4


def test_weights_of_other_classes_begin_anew(drawn: Path, tmp_path: Path) -> None:
    first = train(drawn, tmp_path / 'runs')
    LAYOUTS['one object'].write(tmp_path / 'object')
    second = train(
        tmp_path / 'object', tmp_path / 'runs', weights=str(first), foreground=255, iterations=1
    )
    lines = (second / 'surgery.txt').read_text()
    anew = next(line for line in lines.split('\n') if 'anew' in line)
    assert 'score' in anew and 'conv' not in anew
    copied = next(line for line in lines.split('\n') if line.startswith('copied'))
    assert 'conv1_1' in copied
    assert fcn.evaluate(second, gpu=-1).classes == ('background', 'foreground')


def drawn_weights_of(run: Path, pixels: np.ndarray) -> Path:
    """Write weights of the run's net into its folder, whose classes score alike over a picture,
    H×W×3, and differ from pixel to pixel."""
    file = run / 'snapshots' / 'iter_drawn' / 'drawn.caffemodel'
    file.parent.mkdir()
    net = engine.net_of(deploy_net(config_of(NET, file)))
    start(net, [], init_missing=True)
    weights, bias = (blob.data for blob in net.params['score_fr'])
    weights[...] = np.random.default_rng(0).normal(0, 0.01, weights.shape)
    save(net, file)
    probabilities = fcn.load(run, weights=file, gpu=-1)(pixels).probabilities
    bias[...] = -np.log(probabilities).mean((1, 2))
    save(net, file)
    return file


@pytest.mark.parametrize('tag', [3, 6])
def test_photos_are_turned_by_one_rule(tag: int, tmp_path: Path) -> None:
    """Scored by the data layer, and segmented as photos, by labels as they are seen. Where the tag
    does not exchange height and width, sizes do not tell that."""
    root, exif = tmp_path / 'phone', Image.Exif()
    exif[274] = tag
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[tag]
    pixels, labels = np.zeros((70, 110, 3), np.uint8), np.zeros((70, 110), np.uint8)
    pixels[:30, :50], labels[:30, :50] = 255, 1
    for number, name in enumerate(NAMES):
        pixels[40:, 60:], labels[40:, 60:] = (0, 20 * number, 255), 2
        stored = Image.fromarray(pixels).transpose(turn)
        file = root / 'images' / f'{name}.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        stored.save(file, exif=exif)
        with Image.open(file) as image:
            assert (np.asarray(ImageOps.exif_transpose(image)) == pixels).all()
        save_mask(root / 'masks' / f'{name}.png', labels)
    run = train(root, tmp_path / 'runs', iterations=1)
    file = drawn_weights_of(run, pixels)
    evaluation = fcn.evaluate(run, weights=file, gpu=-1)
    segmenter, expected = fcn.load(run, weights=file, gpu=-1), np.zeros((3, 3), np.int64)
    for number in validated(run):
        found = segmenter(root / 'images' / f'{NAMES[number]}.png').labels
        expected += confusion(labels, found, 3)
    assert (expected.sum(0) > 0).sum() > 1
    np.testing.assert_array_equal(evaluation.confusion, expected)


def test_another_folder_is_scored_whole_by_its_own_legend(drawn: Path, tmp_path: Path) -> None:
    """Here the net's classes have other numbers, and there is no list of images."""
    (drawn / 'classes.txt').write_text('background\nbox\ntri\n')
    run = train(drawn, tmp_path / 'runs')
    other = tmp_path / 'other'
    for number in range(3):
        save_picture(other / 'images' / f'q{number}.jpg', number)
        save_mask(other / 'masks' / f'q{number}.png', np.array([2, 0, 1], np.uint8)[truth(number)])
    (other / 'classes.txt').write_text('box\ntri\nbackground\n')
    evaluation = fcn.evaluate(run, other, gpu=-1)
    labels = np.stack([truth(number) for number in range(3)])
    assert evaluation.confusion.sum(1).tolist() == np.bincount(labels.ravel()).tolist()
    assert evaluation.images == 3
    (other / 'classes.txt').write_text('box\ncircle\nbackground\n')
    with pytest.raises(FCNError):
        fcn.evaluate(run, other, gpu=-1)


def test_a_moved_set_is_the_same_set(drawn: Path, tmp_path: Path) -> None:
    run = train(drawn, tmp_path / 'runs')
    before = fcn.evaluate(run, gpu=-1).confusion
    shutil.move(drawn, tmp_path / 'moved')
    after = fcn.evaluate(run, tmp_path / 'moved', gpu=-1).confusion
    np.testing.assert_array_equal(before, after)
    with pytest.raises(FCNError):
        fcn.evaluate(run, gpu=-1)


def test_a_set_in_an_inner_folder_is_scored_on_what_it_was_validated_on(
    drawn: Path, tmp_path: Path
) -> None:
    """As an unpacked archive has it: scoring the outer folder must not score what was learned."""
    outer = tmp_path / 'outer'
    outer.mkdir()
    shutil.move(drawn, outer / 'inner')
    run = train(outer, tmp_path / 'runs')
    assert fcn.evaluate(run, outer, gpu=-1).images == len(validated(run)) < len(NAMES)


def test_a_set_that_is_not_sound_leaves_no_run(drawn: Path, tmp_path: Path) -> None:
    """A label that is a pixel wider than its image would teach other pixels."""
    save_mask(drawn / 'masks' / 'p2_mask.png', np.pad(truth(2), ((0, 0), (0, 1))))
    with pytest.raises(FCNError):
        train(drawn, tmp_path / 'runs')
    assert not (tmp_path / 'runs').exists()


def test_void_is_neither_learned_nor_scored(drawn: Path, tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        labels = truth(number)
        labels[:5] = VOID
        save_mask(drawn / 'masks' / f'{name}_mask.png', labels)
    run = train(drawn, tmp_path / 'runs')
    expected = sum(int((truth(number)[5:] >= 0).sum()) for number in validated(run))
    assert fcn.evaluate(run, gpu=-1).confusion.sum() == expected


def test_without_starting_weights_nothing_is_left(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FCNError, match='starting weights'):
        solve.main(words('--data', drawn, '--runs', 'runs', '--gpu', -1))
    assert not Path('runs').exists()


@pytest.mark.parametrize(
    ('layer', 'shape', 'net'),
    [
        ('inception_3a/5x5', (32, 16, 5, 5), 'voc-fcn-googlenet'),
        ('inception_3a/5x5', (32, 16, 3, 3), 'voc-fcn-googlenet-torch'),
        ('conv1', (96, 3, 11, 11), 'voc-fcn-alexnet'),
        ('conv1', (64, 3, 11, 11), 'voc-fcn-alexnet-torch'),
    ],
)
def test_starting_weights_choose_the_net_that_takes_them(
    tmp_path: Path, layer: str, shape: tuple[int, ...], net: str
) -> None:
    others = ['inception_3a/1x1'] if 'inception' in layer else ['conv5']
    layers = {layer: np.zeros(shape), **{name: np.zeros((1, 1, 1, 1)) for name in others}}
    file = tmp_path / 'w.caffemodel'
    write_weights(file, [(name, 'Convolution', [blob]) for name, blob in layers.items()])
    assert choose_net([str(file)], 'cpu').net == net
