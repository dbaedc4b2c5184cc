"""Whole images against patches, and waiting for data, on the miniature."""

import pytest

from benchmarks import amortization
from fcn.errors import FCNError


@pytest.mark.parametrize('backward', [False, True])
def test_a_whole_image_beats_its_patches(monkeypatch: pytest.MonkeyPatch, backward: bool) -> None:
    monkeypatch.setattr(amortization, 'ROUNDS', 1)
    results = amortization.grid_against_patches('mini-vgg', backward)
    assert list(results) == ['forward', 'backward'][: 1 + backward]
    for what, result in results.items():
        assert result.side == (500 - 104) // 32 + 1, what
        assert 0 < result.whole < result.patches
        assert result.ratio == result.patches / result.whole


def test_figures_of_another_shape_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The net is measured on a smaller image than the one it is reported for."""
    monkeypatch.setattr(amortization, 'ROUNDS', 1)
    make = amortization._net
    monkeypatch.setattr(
        amortization,
        '_net',
        lambda spec, shape, backward: make(spec, (*shape[:2], 104, 104), backward),
    )
    with pytest.raises(FCNError, match=r'mini-vgg.*1×1.*500×500'):
        amortization.grid_against_patches('mini-vgg')


@pytest.mark.parametrize(
    ('shape', 'side'),
    [((1, 7, 13, 13), 13), ((1, 7, 14, 14), 14), ((1, 7, 13, 14), None), ((20, 7), None)],
)
def test_outputs_are_as_many_as_the_image_has_room_for(
    shape: tuple[int, ...], side: int | None
) -> None:
    if side:
        assert amortization.check_side(shape, 500, 104, 'mini-vgg') == side
        return
    with pytest.raises(FCNError, match='mini-vgg'):
        amortization.check_side(shape, 500, 104, 'mini-vgg')


def test_shares_of_both_phases() -> None:
    shares = amortization.data_share('mini-fcn32s', images=3)
    assert set(shares) == {'train', 'val'} and all(0 < share < 1 for share in shares.values())
