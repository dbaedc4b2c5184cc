"""Whole images against patches, and waiting for data, on the miniature."""

from benchmarks import amortization


def test_a_whole_image_beats_its_patches(monkeypatch):
    monkeypatch.setattr(amortization, 'ROUNDS', 1)
    for what, found in amortization.grid_against_patches('mini-vgg', backward=True).items():
        assert found.side == (500 - 104) // 32 + 1, what
        assert 0 < found.whole < found.patches and found.ratio == found.patches / found.whole


def test_shares_of_both_phases():
    shares = amortization.data_share(images=3)
    assert set(shares) == {'train', 'val'} and all(0 < share < 1 for share in shares.values())
