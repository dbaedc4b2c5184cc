"""The pictures: each is written, of the size it should be, and shows what it was given."""

import numpy as np
import pytest
from PIL import Image

from fcn.data_layers import DATASETS, voc_palette
from fcn.visualize import STAGE_COLOURS, VOID_COLOUR, colour_label, curves, grid, smoothed

STAGES = ('FCN-32s', 'FCN-16s', 'FCN-8s')


def row(height, width, values=(1, 2, 3)):
    """A plain image, stages that each give one label everywhere, and a truth of two with void."""
    truth = np.full((height, width), 4, np.uint8)
    truth[:, width // 2 :] = 5
    truth[:, width // 2 - 5 : width // 2 + 5] = 255
    image = np.full((height, width, 3), (10, 200, 100), np.uint8)
    return (
        image,
        {
            name: np.full((height, width), value, np.uint8)
            for name, value in zip(STAGES, values, strict=True)
        },
        truth,
    )


def opened(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert('RGB'))


def share(picture, colour):
    return (picture == np.asarray(colour, np.uint8)).all(-1).mean()


def test_label_colours():
    coloured = colour_label(np.array([[0, 1], [20, 255]]), DATASETS['voc'].colours)
    assert coloured.dtype == np.uint8
    assert coloured.tolist() == [[[0, 0, 0], [128, 0, 0]], [[0, 64, 128], list(VOID_COLOUR)]]


def test_a_class_of_the_miniature_has_one_colour_of_its_own_in_all_sets():
    shown = {}
    for name in ('mini', 'mini-nyud', 'mini-siftflow'):
        for kind, colour in zip(
            DATASETS[name].classes, DATASETS[name].colours.tolist(), strict=True
        ):
            shown.setdefault(kind, set()).add(tuple(colour))
    assert all(len(colours) == 1 for colours in shown.values()) and len(
        set.union(*shown.values())
    ) == len(shown)


def test_a_grid_shows_every_column_in_its_place(tmp_path):
    path = tmp_path / 'new' / 'figure4.png'
    grid(path, [row(96, 128), row(160, 100, values=(6, 1, 2))], DATASETS['mini'])
    picture = opened(path)
    height, width = picture.shape[:2]
    assert 1500 < width < 1650  # five columns of 1.5 inches at 200 dots an inch
    assert (
        0.8 < (1.5 * 0.75 + 1.5 * 1.6) * 200 / height < 1
    )  # besides the rows only titles and the legend
    palette = voc_palette()
    for column, colour in enumerate([(10, 200, 100), *palette[[1, 2, 3]]]):
        assert tuple(picture[200, (2 * column + 1) * width // 10]) == tuple(colour)
        assert share(picture, colour) > 0.05
    assert all(share(picture, palette[value]) > 0.03 for value in (4, 5, 6))
    assert 0.005 < share(picture, VOID_COLOUR) < 0.05
    assert (picture[:60] < 128).any()  # the titles


def test_the_legend_has_the_classes_that_are_there_and_stays_within_the_picture(tmp_path):
    image, _, truth = row(96, 128)
    kind = DATASETS['voc']
    few, many = tmp_path / 'few.png', tmp_path / 'many.png'
    grid(few, [(image, {}, truth)], kind)
    grid(many, [(image, {}, np.arange(96 * 128, dtype=np.uint8).reshape(96, 128) % 21)], kind)
    for path, present in ((few, {4, 5}), (many, set(range(21)))):
        legend = opened(path)[60 + 225 + 5 :]  # 200 dots an inch below titles and a row
        assert (
            (legend[:, :4] == 255).all()
            and (legend[:, -4:] == 255).all()
            and (legend[-1] == 255).all()
        )
        found = {
            label
            for label, colour in enumerate(kind.colours)
            if (legend == colour).all(-1).sum() > 200
        }
        assert found - {0, 7} == present - {
            0,
            7,
        }  # words are black, and all patches have a grey edge
    assert len(opened(many)) > len(opened(few))


def test_several_images_and_words_at_the_side_widen_a_grid(tmp_path):
    image, labels, truth = row(96, 128)
    for name, given, sides in (
        ('one', image, ()),
        ('two', {'colour': image, 'HHA': 255 - image}, ()),
        ('side', image, ['mean IU 12.3']),
    ):
        grid(tmp_path / f'{name}.png', [(given, labels, truth)], DATASETS['mini'], sides)
    one, two, side = (opened(tmp_path / f'{name}.png') for name in ('one', 'two', 'side'))
    assert (
        share(one, (245, 55, 155)) == 0 < share(two, (245, 55, 155))
        and two.shape[1] - one.shape[1] > 300
    )
    assert 0 < side.shape[1] - one.shape[1] < 60 and (side[100:250, :40] < 128).any()


def test_a_grid_refuses_rows_that_do_not_fit(tmp_path):
    image, labels, truth = row(96, 128)
    with pytest.raises(ValueError, match='95, 128'):
        grid(tmp_path / 'f.png', [(image, labels, truth[1:])], DATASETS['mini'])
    with pytest.raises(ValueError, match='in the first'):
        grid(
            tmp_path / 'f.png',
            [(image, labels, truth), (image, {'FCN-8s': truth}, truth)],
            DATASETS['mini'],
        )
    assert not list(tmp_path.iterdir())


def test_curves_are_drawn_for_each_stage(tmp_path):
    rng = np.random.default_rng(0)
    stages = {
        name: {
            'iteration': list(range(1, 401)),
            'loss': list(rng.gamma(4, 0.25, 400)),
            'val_iteration': [200, 400],
            'mean_iu': [0.3, 0.4],
        }
        for name in STAGES
    }
    curves(tmp_path / 'curves.png', stages)
    picture = opened(tmp_path / 'curves.png')
    assert picture.shape[:2] == (1000, 1400)
    for order, colour in enumerate(STAGE_COLOURS[:3]):
        drawn = (picture == [int(colour[at : at + 2], 16) for at in (1, 3, 5)]).all(-1)
        for half in (drawn[100:500], drawn[500:]):  # each stage follows on the one before
            columns = np.flatnonzero(half.any(0))
            assert len(columns) > 50
            assert 100 + order * 380 < columns.min() and columns.max() < 650 + order * 400


@pytest.mark.parametrize(
    'log',
    [
        {'iteration': [], 'loss': [], 'val_iteration': [], 'mean_iu': []},
        {'iteration': [1], 'loss': [0.5], 'val_iteration': [], 'mean_iu': []},
        {'iteration': [1, 2], 'loss': [0.5, 0.4], 'val_iteration': [2], 'mean_iu': [float('nan')]},
    ],
)
def test_curves_of_a_run_just_begun(tmp_path, log):
    curves(tmp_path / 'curves.pdf', {'FCN-32s': log})
    assert (tmp_path / 'curves.pdf').read_bytes().startswith(b'%PDF')


def test_smoothing_keeps_level_and_length():
    assert np.allclose(smoothed(np.full(30, 2.5), 7), 2.5)
    assert np.allclose(smoothed(np.arange(5.0), 3), [0.5, 1, 2, 3, 3.5])
    assert np.array_equal(smoothed(np.array([1.0, 5.0]), 1), [1, 5])
    assert len(smoothed([], 3)) == 0
