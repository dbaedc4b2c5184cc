"""Whole images against patches, at its smallest."""

import pytest

from benchmarks.amortization import Amortization
from experiments import EXPERIMENTS, amortization
from experiments.study import Study
from fcn.errors import FCNError


@pytest.mark.slow
def test_amortization(quick):
    (passes,) = quick('amortization').values()
    assert set(passes) == {'forward', 'backward'}
    for found in passes.values():
        assert found['side'] == (500 - 104) // 32 + 1
        assert (
            found['ratio'] == pytest.approx(found['patches'] / found['whole'])
            and found['ratio'] > 1
        )


def test_a_ratio_is_judged_by_its_rounds():
    def judged(*ratios):
        patches = [6.0, 6.1, 6.2]
        return next(
            iter(
                amortization.said(
                    {
                        'net': {
                            what: Amortization(2, [6 / ratio] * 3, patches)
                            for what, ratio in zip('fb', ratios, strict=True)
                        }
                    }
                ).values()
            )
        )

    assert (
        judged(6, 7) is True
        and judged(6, 3) is False
        and judged(4.94, 7) is None
        and judged(4.94, 3) is False
    )


def test_data_is_refused(tmp_path):
    study = Study(EXPERIMENTS['amortization'], 'vgg16', tmp_path, out=tmp_path / 'out')
    with pytest.raises(FCNError, match=r'^amortization: takes noise, not images.*leave it out$'):
        amortization.run(study)
    assert not (tmp_path / 'out').exists()
