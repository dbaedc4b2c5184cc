"""The rarefaction experiment: what its figures are made of, and its smallest form as a whole."""

import json

import numpy as np
import pytest

from experiments import EXPERIMENTS, rarefaction
from experiments.study import Study
from nets.field import Field, fields
from surgery import interp


def test_an_image_lies_in_the_middle_of_its_canvas():
    image = np.arange(1, 13, dtype=np.float32).reshape(1, 2, 6)
    canvas = rarefaction.on_canvas(image, 4)
    assert canvas.shape == (1, 4, 4)
    assert (canvas[:, 1:3] == image[:, :, 1:5]).all() and not canvas[:, [0, 3]].any()


def test_each_pixel_gets_the_nearest_cell():
    cells = np.arange(6).reshape(2, 3)
    # Cells' centres lie at 1.5, 5.5 and 9.5.
    found = rarefaction.at_pixels(cells, Field(4, 0, 3), (8, 12))
    assert found[:, 0].tolist() == [0, 0, 0, 0, 3, 3, 3, 3]
    assert found[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_upsampled_cells_keep_their_place_and_bend_nowhere_between():
    spec = rarefaction.upsampled(rarefaction.coarse('mini-fcn32s'), 4, 7)
    net = rarefaction.loaded(spec, None)
    interp(net, ['upsampled'])
    image = rarefaction.noise(64)
    fine = rarefaction.forward(net, image)[0]
    scores = rarefaction.forward(rarefaction.loaded(rarefaction.coarse('mini-fcn32s'), None), image)[0]
    assert fine.shape[1:] == tuple(4 * (side - 1) + 1 for side in scores.shape[1:])
    np.testing.assert_allclose(fine[:, ::4, ::4], scores, rtol=1e-4, atol=1e-4 * abs(scores).max())
    bends = np.delete(np.diff(fine[:, ::4], 2, axis=2), np.s_[3::4], axis=2)
    assert abs(bends).max() < 1e-5 * abs(fine).max()
    assert fields(spec)['upsampled'].stride == 8


@pytest.mark.slow
def test_the_smallest_form(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = Study(EXPERIMENTS['rarefaction'], runs=tmp_path / 'runs', out=tmp_path / 'out', quick=True)
    rarefaction.run(study)
    raw = json.loads((tmp_path / 'out' / 'rarefaction.json').read_text())['raw']
    row, = raw['rows']
    assert row['factor'] == 2 and max(row['difference'][way] for way in ('dilated', 'batch')) < rarefaction.TOLERANCE
    assert row['difference']['upsampled'] > 1000 * rarefaction.TOLERANCE and row['bend'] < 1
    assert min(row['seconds'].values()) > 0 and len(raw['maps']) == 3
    assert (tmp_path / 'out' / 'rarefaction-maps.png').is_file()
    assert 'equalities hold within' in (tmp_path / 'out' / 'rarefaction.md').read_text()
