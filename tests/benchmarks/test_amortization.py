"""Whole images against patches, and waiting for data, on the miniature."""

from benchmarks import amortization


def test_a_whole_image_beats_its_patches(monkeypatch):
    monkeypatch.setattr(amortization, 'TIMES', 1)
    side, at_once, patches = amortization.grid_against_patches('mini-vgg')
    assert side == (500 - 104) // 32 + 1
    assert 0 < at_once < patches


def test_shares_of_both_phases():
    shares = amortization.data_share(images=3)
    assert set(shares) == {'train', 'val'} and all(0 < share < 1 for share in shares.values())
