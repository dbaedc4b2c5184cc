"""The README's Python runs as it stands, with a smaller net in the place of FCN-8s."""

import numpy as np
import pytest
from PIL import Image
from support import ROOT

import fcn
from fcn.engine import net_of
from fcn.nets import deploy_net, find
from fcn.surgery import save, start


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with the photo and the weights that the README names."""
    monkeypatch.chdir(tmp_path)
    net = net_of(deploy_net(find('mini-fcn8s')))
    start(net, [], init_missing=True)
    save(net, tmp_path / 'fcn8s-heavy-pascal.caffemodel')
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / 'photo.jpg')
    return tmp_path


def python_blocks(page):
    """The fenced Python of a page."""
    parts = (ROOT / page).read_text().split('```python\n')[1:]
    return [part.split('```')[0] for part in parts]


def test_the_readmes_python(folder, capsys):
    (block,) = python_blocks('README.md')
    assert len(block.strip().splitlines()) <= 7
    exec(block.replace('voc-fcn8s', 'mini-fcn8s'), {})
    assert 'background' in capsys.readouterr().out
    with Image.open(folder / 'overlay.png') as overlay:
        assert overlay.width == 50


def test_every_name_that_the_pages_use_is_there():
    for page in ('README.md', 'docs/using.md', 'docs/training.md'):
        for block in python_blocks(page):
            compile(block, page, 'exec')
            for word in block.split('fcn.')[1:]:
                name = word.split('(')[0].split('\n')[0].strip()
                assert hasattr(fcn, name), f'{page}: fcn.{name}'
