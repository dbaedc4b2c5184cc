"""Nets trained in several variants: what the experiments conclude, and their smallest forms."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import augmentation, balancing, momentum, sampling, variants
from experiments.claims import format_claims
from experiments.curves import curve
from experiments.pages import Page
from experiments.records import Record
from experiments.runs import Runs
from experiments.study import Study
from fcn.errors import DivergedError
from fcn.solvers import Run


def by_iu(*values: float) -> variants.Values:
    """The values of a variant of these mean IUs, a seed each."""
    count = len(values)
    return dict(
        pixel_accuracy=[80.0] * count,
        mean_accuracy=[50.0] * count,
        mean_iu=list(map(float, values)),
        frequency_weighted_iu=[70.0] * count,
    )


class FakePage:
    """A page of raw numbers alone."""

    def __init__(self, raw: dict[str, Any], noise: float | None = None) -> None:
        self.raw, self.noise = raw, noise


@pytest.mark.parametrize(
    ('values', 'difference', 'improves'),
    [
        ([34.0, 46, 40], 6, True),  # as much with every seed, however the seeds differ
        ([28.4, 40.6, 34.8], 0.6, False),
        ([26.0, 45, 42], 3.667, None),
        ([25.0, 36, 31], -3.333, False),
    ],
)
def test_a_variant_is_compared_seed_by_seed(
    values: list[float], difference: float, improves: bool | None
) -> None:
    found = {'plain': by_iu(28, 40, 34), 'changed': by_iu(*values)}
    differences, error = variants.gains(found, 'changed', 'plain')
    assert differences.mean() == pytest.approx(difference, abs=1e-3)
    assert error == pytest.approx(2 * np.std(differences, ddof=1) / 3**0.5)
    assert variants.improves(found, 'changed', 'plain') is improves
    text = variants.describe_gain(found, 'changed', 'plain')
    assert f'{abs(difference):.1f} points {"above" if difference > 0 else "below"} plain' in text
    assert f'{differences[0]:+.1f}, {differences[1]:+.1f}' in text


def test_one_seed_decides_nothing() -> None:
    found = {'plain': by_iu(40), 'changed': by_iu(45)}
    assert variants.improves(found, 'changed', 'plain') is None
    assert 'one seed' in variants.describe_gain(found, 'changed', 'plain')


def test_a_curve_counts_training_alone(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for iteration, loss in ((1, 5.0), (20, 4.0), (40, 3.0)):
        run.log.append(iteration=iteration, loss=0, smoothed_loss=loss, images_per_second=8.0)
        if iteration == 20:
            run.log.append(iteration=20, validation={'mean_iu': 0.25}, validation_loss=7.0)
    values = curve(run, batch=4)
    assert values['iteration'] == [1, 20, 40] and values['loss'] == [5, 4, 3]
    np.testing.assert_allclose(values['seconds'], [0.5, 10, 20])
    assert (values['val_iteration'], values['val_loss'], values['mean_iu']) == ([20], [7], [25])


@pytest.mark.parametrize(
    ('ends', 'verdicts'),
    [
        ([(10.0, 1.0), (10.5, 2.0), (9.5, 4.0)], [True, True]),
        ([(10.0, 1.0), (12.0, 2.0), (9.5, 0.9)], [False, False]),
    ],
)
def test_the_claims_on_sampling_follow_from_the_curves(
    ends: list[tuple[float, float]], verdicts: list[bool | None]
) -> None:
    raw = {
        str(share): dict(loss=[loss], seconds=[seconds], iteration=[1], mean_iu=[50.0])
        for share, (loss, seconds) in zip(sampling.SHARES, ends, strict=True)
    }
    assert list(sampling.check_claims(FakePage(raw)).values()) == verdicts
    losses, times = sampling.ratios(raw)
    assert losses == [end[0] / ends[0][0] for end in ends[1:]]
    assert times == [end[1] / ends[0][1] for end in ends[1:]]


def test_heavy_learning_and_batches_are_comparable() -> None:
    options = list(momentum.options_of('voc-fcn32s').values())
    assert (options[0]['batch'], options[0]['momentum']) == (1, 0.99)  # the recipe itself
    assert [option['base_lr'] for option in options] == pytest.approx([1e-10, 1e-10, 2e-9, 2e-8])
    reach = [momentum.reach(**option) for option in options]
    assert reach[1:] == pytest.approx([reach[0] / 10, reach[0] / 10, reach[0]])
    mini = next(iter(momentum.options_of('mini-fcn32s').values()))
    assert momentum.reach(1, 0.99, mini['base_lr']) == pytest.approx(momentum.reach(1, 0.9, 5e-7))


@pytest.mark.parametrize(
    ('background', 'verdicts'), [(10.0, [None, False]), (38.0, [None, None])]
)  # Then nothing was learned.
def test_heavy_learning_is_judged_by_the_best_validations(
    background: float, verdicts: list[bool | None]
) -> None:
    results = {
        name: {'mean_iu': [10, iu, 11]} for name, iu in (('heavy', 40.0), ('a', 40.5), ('b', 42.0))
    }
    results['c'] = {'diverged': True}
    page = FakePage(dict(variants=results, background=background), noise=1.0)
    claims = momentum.check_claims(page)
    assert list(claims.values()) == verdicts
    assert format_claims(claims).count('undecided here') == verdicts.count(None)


def test_a_variant_that_diverges_is_said_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: Callable[..., Study]
) -> None:
    def train(study: Study, net: str, count: int, base_lr: float, **options: Any) -> Run:
        if base_lr > 9e-6:
            raise DivergedError('the loss is nan')
        run = Run(tmp_path / str(base_lr) / str(options['momentum']))
        run.folder.mkdir(parents=True)
        run.log.append(iteration=count, loss=2.0, smoothed_loss=2.0, images_per_second=9.0)
        run.log.append(iteration=count, validation={'mean_iu': 0.4}, validation_loss=3.0)
        return run

    monkeypatch.setattr(variants, 'train', train)
    monkeypatch.setattr(momentum, 'background', lambda study, net: 10.0)
    it = study('momentum', quick=True)
    text = it.report(momentum.measure(it)).read_text()
    row = '| batches, 200 times the rate | – | 20 | 0.9 | 1e-05 | 5e-06 | diverged | – | – | 51.9 |'
    assert row in text
    assert text.count('batches, 200 times the rate') == 2  # and in a sentence
    raw = json.loads((tmp_path / 'out' / 'momentum.json').read_text())['raw']
    assert list(momentum.check_claims(FakePage(raw))) == [
        'Heavy learning beats online (+0.0)',
        'Heavy learning beats batches, 20 times the rate (+0.0)',
    ]


def test_a_run_is_named_by_its_options(
    monkeypatch: pytest.MonkeyPatch, study: Callable[..., Study]
) -> None:
    trained = []
    monkeypatch.setattr(
        Runs, 'train', lambda self, *arguments, **options: trained.append((arguments, options))
    )
    it = study('augmentation', quick=True)
    variants.train(it, 'mini-fcn32s', 80, mirror=True, jitter=32, sampling=None, seed=1337)
    ((arguments, options),) = trained
    assert arguments == ('mini-fcn32s', 'mini-fcn32s-80-mirror-jitter32')
    assert options['mirror'] is True and options['jitter'] == 32 and options['iterations'] == 80
    for count, seed, label in (
        (160, 1337, None),
        (160, 2, 'mini-fcn32s-160-seed2'),
        (80, 1337, 'mini-fcn32s-80'),
    ):
        variants.train(it, 'mini-fcn32s', count, seed=seed)
        assert trained[-1][0] == ('mini-fcn32s', label)  # Table 2's own run, or another


def test_the_real_column_stands_next_to_the_miniature(tmp_path: Path) -> None:
    def save(stem: str, real: bool, iterations: int, **values: variants.Values) -> Page:
        raw = dict(iterations=iterations, images=800, variants=values)
        about = dict(command='', commit='', date='', machine='', seconds=1.0)
        record = Record('balancing', 'googlenet' if real else 'mini', real, False, **about, raw=raw)
        record.save(tmp_path / f'{stem}.json')
        return Page(tmp_path, stem)

    mini = dict(plain=by_iu(40, 41, 42), balanced=by_iu(40, 41, 42))
    assert variants.REAL not in variants.table(save('balancing', False, 1600, **mini))
    save('balancing-googlenet', True, 400, plain=by_iu(31.25), balanced=by_iu(29.5))
    page = save('balancing', False, 1600, **mini)
    head, _, plain, balanced = variants.table(page).splitlines()
    assert variants.REAL in head and '29.5' in balanced
    assert plain == '| plain | 1600 | 80.0 | 50.0 | 41.0 | 70.0 | 2.0 | 31.2 | 400 |'
    assert 'balancing-googlenet.md' in variants.origin(page)
    text = balancing.body(page)
    assert text.count('need no balancing') == 2 and text.count('undecided here') == 1


@pytest.mark.slow
def test_sampling(quick: Callable[..., dict[str, Any]]) -> None:
    curves = quick('sampling')
    assert list(curves) == ['1.0', '0.5', '0.25']
    for values in curves.values():
        assert values['iteration'][-1] == 25 and values['loss'][-1] < values['loss'][0]
        assert values['seconds'] == sorted(values['seconds'])
    assert [values['images'][-1] for values in curves.values()] == [100, 200, 400]


@pytest.mark.slow
@pytest.mark.parametrize(('options', 'images'), [((), 400), (('--iterations', 40), 40)])
def test_momentum(
    options: tuple[Any, ...], images: int, quick: Callable[..., dict[str, Any]]
) -> None:
    """All variants see as many images, but for one whose rate is too high for so short a start: it
    may diverge."""
    results = quick('momentum', *options)['variants']
    assert len(results) == 4
    assert not any(results[name].get('diverged') for name in ('heavy', 'online'))
    assert {
        values['val_iteration'][-1] * values['options']['batch']
        for values in results.values()
        if not values.get('diverged')
    } == {images}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'names'),
    [
        ('balancing', [balancing.PLAIN, balancing.BALANCED]),
        ('augmentation', list(augmentation.OPTIONS)),
    ],
)
def test_balancing_and_augmentation(
    name: str, names: list[str], quick: Callable[..., dict[str, Any]]
) -> None:
    results = quick(name)['variants']
    assert list(results) == names
    for values in results.values():
        assert all(len(column) == 1 and 0 < column[0] <= 100 for column in values.values())
        assert values['pixel_accuracy'][0] > 50


@pytest.mark.slow
@pytest.mark.parametrize('name', ['balancing', 'augmentation'])
def test_real_images_and_the_real_classifier(
    name: str, quick: Callable[..., dict[str, Any]], shared: Callable[[str], Path], tmp_path: Path
) -> None:
    """Two iterations of GoogLeNet on a few photos."""
    real = shared('data/voc')
    (tmp_path / 'voc/ImageSets/Segmentation').mkdir(parents=True)
    for folder in ('JPEGImages', 'SegmentationClass'):
        (tmp_path / 'voc' / folder).symlink_to(real / folder)
    for split, count in (('train', 6), ('seg11valid', 2)):
        names = (real / f'ImageSets/Segmentation/{split}.txt').read_text().split()[:count]
        (tmp_path / f'voc/ImageSets/Segmentation/{split}.txt').write_text('\n'.join(names) + '\n')
    results = quick(
        *[name, '--backbone', 'googlenet', '--data', tmp_path / 'voc', '--iterations', 2],
        *['--runs', tmp_path / 'runs'],
        *['--weights', shared('weights/bvlc_googlenet.caffemodel')],
        stem=f'{name}-googlenet',
    )['variants']
    assert all(np.isfinite(column[0]) for values in results.values() for column in values.values())
