"""Pictures of any mode and format, and those that are refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.commands import infer
from fcn.data_layers import DATASETS, read_image, read_label, voc_palette
from fcn.data_layers.images import FORMATS, fill_nearest, save_label
from fcn.data_layers.inputs import Colour
from fcn.errors import DataError


def test_convert_command(tmp_path, command):
    (tmp_path / 'rgb').mkdir()
    label = np.array([[0, 5], [255, 20]], np.uint8)
    Image.fromarray(voc_palette()[label]).save(tmp_path / 'rgb' / 'a.png')
    result = command('-m', 'fcn', 'convert', tmp_path / 'rgb', tmp_path / 'out')
    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / 'out' / 'a.png') as image:
        assert image.mode == 'P' and (np.asarray(image) == label).all()
    empty = command('-m', 'fcn', 'convert', tmp_path / 'nowhere', tmp_path / 'out')
    assert empty.returncode == 2 and f'{tmp_path}/nowhere' in empty.stderr


def test_a_folder_that_cannot_be_made_is_named(tmp_path, command):
    (tmp_path / 'rgb').mkdir()
    Image.new('RGB', (3, 2)).save(tmp_path / 'rgb' / 'a.png')
    (tmp_path / 'file').write_text('')
    result = command('-m', 'fcn', 'convert', tmp_path / 'rgb', tmp_path / 'file' / 'out')
    assert result.returncode == 2 and f'{tmp_path}/file/out: ' in result.stderr
    assert 'Traceback' not in result.stderr and result.stderr.count('\n') == 1


def test_a_label_is_written_in_the_colours_of_its_data_set(tmp_path):
    label = np.array([[0, 1, 6], [255, 2, 3]], np.uint8)
    for name, colours in {'voc': None, 'mini-nyud': DATASETS['mini-nyud'].colours}.items():
        save_label(label, tmp_path / f'{name}.png', colours)
        expected = voc_palette() if colours is None else np.array([*colours, *voc_palette()[7:]])
        with Image.open(tmp_path / f'{name}.png') as image:
            assert (np.asarray(image) == label).all()
            assert (np.asarray(image.convert('RGB')) == expected[label]).all()
    assert (DATASETS['voc'].colours == voc_palette()[:21]).all()


def test_a_class_has_one_colour_in_all_labels_of_all_drawn_sets():
    colour_of = {}
    for name in ('mini', 'mini-objects', 'mini-nyud', 'mini-siftflow'):
        dataset = DATASETS[name]
        for label, names in dataset.labels.items():
            for one, colour in zip(names, dataset.colours_of(label).tolist(), strict=True):
                if one not in ('horizontal', 'vertical'):
                    assert colour_of.setdefault(one, colour) == colour, one
    assert len(set(map(tuple, colour_of.values()))) == len(colour_of)


def test_holes_take_the_nearest_value():
    values = np.array([[1, 0, 0, 0, 2]])
    assert fill_nearest(values, values == 0).tolist()[0][:2] == [1, 1]
    assert fill_nearest(values, values == 0).tolist()[0][3:] == [2, 2]
    assert (fill_nearest(values, values < 9) == values).all()
    assert (fill_nearest(values, values > 9) == values).all()


def test_grey_and_cmyk_photos_are_read_as_rgb(tmp_path):
    for mode in ('L', 'CMYK', 'RGBA', 'I;16'):
        file = tmp_path / ('a.jpg' if mode == 'CMYK' else 'a.png')
        Image.new(mode, (5, 4)).save(file)
        assert read_image(file).shape == (4, 5, 3)
    Image.fromarray(np.full((4, 5), 30000, np.uint16)).save(tmp_path / 'deep.png')
    assert (read_image(tmp_path / 'deep.png') == 30000 // 256).all()
    assert Colour((1, 2, 3)).blob(np.zeros((4, 5, 3), np.uint8))[:, 0, 0].tolist() == [-1, -2, -3]


@pytest.mark.parametrize('read', [read_image, read_label])
def test_a_program_is_no_picture(read, tmp_path):
    """Pillow would have Ghostscript run an EPS file, whatever its name says."""
    Image.new('L', (5, 4)).save(tmp_path / 'e.eps')
    (tmp_path / 'e.eps').rename(tmp_path / 'e.jpg')
    with Image.open(tmp_path / 'e.jpg') as image:
        assert image.format == 'EPS'
    with pytest.raises(DataError, match=r'e\.jpg: .*JPEG, PNG'):
        read(tmp_path / 'e.jpg')


def test_every_format_that_is_looked_for_is_read(tmp_path):
    assert {'.jpg', '.jpeg', '.png', '.bmp', '.gif', '.tif', '.webp', '.ppm'} < infer.ENDINGS
    assert not {'.eps', '.ico', '.pdf'} & infer.ENDINGS
    for kind in FORMATS:
        Image.new('RGB', (5, 4)).save(tmp_path / kind, kind)
        assert read_image(tmp_path / kind).shape == (4, 5, 3)


def test_files_passed_over_in_a_folder_are_counted(tmp_path, caplog):
    caplog.set_level('INFO', 'fcn')
    for name in ('b.heic', 'c.HEIC', 'd.txt', '._a.png'):
        (tmp_path / name).touch()
    Image.new('RGB', (5, 4)).save(tmp_path / 'a.png')
    (image,) = infer.find_images([str(tmp_path)], False, tmp_path / 'out')
    assert image == (tmp_path / 'a.png', Path('a.png'))
    (record,) = caplog.records
    assert '2 .heic' in record.getMessage() and '1 .png' in record.getMessage()
