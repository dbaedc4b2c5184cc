"""The rarefaction experiment: what its figures are made of, and its smallest form as a whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import ITERATIONS

from experiments import dense, rarefaction
from experiments.maps import at_pixels
from experiments.records import read_record
from experiments.study import Study
from fcn.errors import FCNError
from fcn.nets.receptive_field import ReceptiveField, receptive_fields


def test_an_image_lies_in_the_middle_of_its_canvas() -> None:
    image = np.arange(1, 13, dtype=np.float32).reshape(1, 2, 6)
    canvas = dense.on_canvas(image, 4)
    assert canvas.shape == (1, 4, 4)
    assert (canvas[:, 1:3] == image[:, :, 1:5]).all() and not canvas[:, [0, 3]].any()


def test_each_pixel_gets_the_nearest_cell() -> None:
    cells = np.arange(6).reshape(2, 3)
    # Cells' centres lie at 1.5, 5.5 and 9.5.
    found = at_pixels(cells, ReceptiveField(4, 0, 3), (8, 12))
    assert found[:, 0].tolist() == [0, 0, 0, 0, 3, 3, 3, 3]
    assert found[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_upsampled_cells_keep_their_place_and_bend_nowhere_between() -> None:
    spec = dense.upsampled(dense.coarse('mini-fcn32s'), 4, 7)
    net = dense.loaded(spec, None)
    image = dense.noise(64)
    fine = dense.forward(net, image)[0]
    scores = dense.forward(dense.loaded(dense.coarse('mini-fcn32s'), None), image)[0]
    assert fine.shape[1:] == tuple(4 * (side - 1) + 1 for side in scores.shape[1:])
    np.testing.assert_allclose(fine[:, ::4, ::4], scores, rtol=1e-4, atol=1e-4 * abs(scores).max())
    bends = np.delete(np.diff(fine[:, ::4], 2, axis=2), np.s_[3::4], axis=2)
    assert abs(bends).max() < 1e-5 * abs(fine).max()
    assert receptive_fields(spec)['upsampled'].stride == 8


def test_nets_that_share_weights_compute_the_same() -> None:
    image, spec = dense.noise(96), dense.coarse('mini-fcn32s')
    net = dense.loaded(spec, None)
    other = dense.loaded(spec, None, net)
    np.testing.assert_array_equal(dense.forward(other, image), dense.forward(net, image))
    assert other.params['conv1_1'][0].data.ctypes.data == net.params['conv1_1'][0].data.ctypes.data


@pytest.mark.parametrize('name', ['voc-fcn32s', 'voc-fcn-googlenet'])
def test_real_images_are_large_enough_to_compare(name: str) -> None:
    side, spec = rarefaction.real_side(name), dense.coarse(name)
    for layers in dense.removals(spec, 2):
        for box in dense.comparable_cells(spec, layers, (side, side)).values():
            assert all(part.stop - part.start >= 5 for part in box)


def test_too_small_an_image_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: Callable[..., Study]
) -> None:
    it = study('rarefaction', backbone='googlenet', data=tmp_path)
    monkeypatch.setattr(it.runs, 'train', lambda net: pytest.fail('trained'))
    monkeypatch.setattr(rarefaction, 'real_side', lambda name: 500)
    with pytest.raises(FCNError, match='give an image of at least 5'):
        rarefaction.measure(it)


def row(**changed: Any) -> dict[str, Any]:
    """What `measure_case` yields where the paper is right."""
    seconds = dict(
        once=[1, 1, 1], shifted=[9, 9, 9], dilated=[3, 3, 3], batch=[4, 4, 4], upsampled=[2, 2, 2]
    )
    return (
        dict(
            net='n',
            layers=['pool5'],
            factor=2,
            image=[9, 9],
            rounds=seconds | changed.pop('rounds', {}),
            cells=dict(dilated=[2, 3], batch=[1, 1]),
            bend=0.5,
            difference=dict(dilated=1e-7, batch=1e-7, upsampled=0.2) | changed,
        )
        | changed
    )


def test_equalities_and_times_are_judged_by_the_rows() -> None:
    assert list(rarefaction.check_rows([row(), row()]).values()) == [True] * 3
    for changed, verdicts in (
        (row(dilated=1e-4), [False, True, True]),
        (row(rounds=dict(shifted=[2, 3, 9])), [True, None, True]),
        (row(rounds=dict(upsampled=[5, 5, 5])), [True, True, False]),
    ):
        assert list(rarefaction.check_rows([row(), changed]).values()) == verdicts


def test_upsampling_is_described_by_the_rows() -> None:
    assert 'is another function' in rarefaction.describe_upsampling([row()])
    assert 'smoother in 1 of 2' in rarefaction.describe_upsampling([row(), row(bend=1.2)])
    text = rarefaction.describe_upsampling([row(), row(upsampled=1e-6)])
    assert 'not always another function' in text


@pytest.mark.parametrize(
    ('dense_iu', 'dense_ms', 'fused_iu', 'fused_ms', 'noise', 'verdict'),
    [
        (0.32, 50, 0.60, 20, 2, True),  # 20 ms a point against 1/3
        (0.60, 20, 0.32, 50, 1, False),
        (0.32, 50, 0.33, 40, 3, None),  # by another seed, the skips may gain nothing
        (0.29, 50, 0.60, 8, 0, True),  # skips that take no time
        (0.32, 10.6, 0.60, 20, 0, None),
    ],
)  # ratios alike, as far as rounds tell
def test_cost_and_improvement_are_weighed(
    dense_iu: float,
    dense_ms: float,
    fused_iu: float,
    fused_ms: float,
    noise: float | None,
    verdict: bool | None,
) -> None:
    def scored(iu: float, ms: float) -> dict[str, Any]:
        return dict(mean_iu=iu, rounds=[0.99e-3 * ms, 1e-3 * ms, 1.02e-3 * ms])

    maps = {
        'FCN-32s': scored(0.3, 10),
        'rarefied, stride 4': scored(dense_iu, dense_ms),
        'FCN-8s': scored(fused_iu, fused_ms),
    }
    (found,) = rarefaction.check_trade(maps, noise).values()
    assert found is verdict


def test_the_smallest_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: Callable[..., Study], folder: Path
) -> None:
    monkeypatch.chdir(folder)
    it = study('rarefaction', quick=True, runs=folder / 'runs', iterations=ITERATIONS)
    text = it.report(rarefaction.measure(it)).read_text()
    raw = read_record(tmp_path / 'out' / 'rarefaction.json').raw
    (row,) = raw['rows']
    differences = row['difference']
    assert row['factor'] == 2
    assert max(differences['dilated'], differences['batch']) < rarefaction.TOLERANCE
    assert differences['upsampled'] > 1000 * rarefaction.TOLERANCE and row['bend'] < 1
    assert min(min(rounds) for rounds in row['rounds'].values()) > 0
    assert min(row['cells']['batch']) > 0
    assert list(raw['maps'])[::4] == ['FCN-32s', 'FCN-8s'] and len(raw['maps']) == 5
    assert (tmp_path / 'out' / 'rarefaction-maps.png').is_file()
    assert f'| FCN-8s | {ITERATIONS} | ' in text and 'no verdicts' in text
    claims = rarefaction.check_rows(raw['rows'])
    assert next(iter(claims.values())) is True  # Rarefied nets give what shifted runs give.
