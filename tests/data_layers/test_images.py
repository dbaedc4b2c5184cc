"""Pictures of any mode and format, and those that are refused."""

import numpy as np
import pytest
from PIL import Image

from fcn.commands import infer
from fcn.commands.convert import BAND
from fcn.data_layers import read_image, read_label, voc_palette
from fcn.data_layers.images import FORMATS, to_indices
from fcn.data_layers.inputs import Colour
from fcn.errors import DataError


def test_colours_become_indices():
    label = np.arange(3 * (2 * BAND + 1), dtype=np.uint8).reshape(-1, 3)
    image = voc_palette()[label]
    assert (to_indices(image) == label).all()
    image[2 * BAND, 1] = 1, 2, 3
    with pytest.raises(DataError, match=rf'\(1, 2, 3\) at x=1, y={2 * BAND} is none'):
        to_indices(image)
    with pytest.raises(DataError, match=r'\(1, 2, 3\) at x=1, y=0'):
        to_indices(np.array([[[0, 0, 0], [1, 2, 3]]], np.uint8), 'x.png')


def test_convert_command(tmp_path, command):
    (tmp_path / 'rgb').mkdir()
    label = np.array([[0, 5], [255, 20]], np.uint8)
    Image.fromarray(voc_palette()[label]).save(tmp_path / 'rgb' / 'a.png')
    result = command('-m', 'fcn', 'convert', tmp_path / 'rgb', tmp_path / 'out')
    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / 'out' / 'a.png') as image:
        assert image.mode == 'P' and (np.asarray(image) == label).all()
    empty = command('-m', 'fcn', 'convert', tmp_path / 'nowhere', tmp_path / 'out')
    assert empty.returncode == 2 and 'no PNG files' in empty.stderr


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
    with pytest.raises(
        DataError, match=r'e\.jpg: not an image that is read here.*; make it one of JPEG, PNG'
    ):
        read(tmp_path / 'e.jpg')


def test_every_format_that_is_looked_for_is_read(tmp_path):
    assert {'.jpg', '.jpeg', '.png', '.bmp', '.gif', '.tif', '.webp', '.ppm'} < infer.ENDINGS
    assert not {'.eps', '.ico', '.pdf'} & infer.ENDINGS
    for kind in FORMATS:
        Image.new('RGB', (5, 4)).save(tmp_path / kind, kind)
        assert read_image(tmp_path / kind).shape == (4, 5, 3)
