"""Nets trained in several ways: what the experiments conclude, and each in its smallest form."""

import json

import numpy as np
import pytest

from experiments import EXPERIMENTS, augmentation, balancing, momentum, sampling, ways
from experiments.study import Study
from fcn.errors import DivergedError
from fcn.solvers import Run


def by_iu(*values):
    return np.array([[80, 50, value, 70] for value in values], float)


@pytest.mark.parametrize(
    ('values', 'difference', 'improves'),
    [
        ([34.0, 46, 40], 6, True),  # as much with every seed, however the seeds differ
        ([28.4, 40.6, 34.8], 0.6, False),
        ([26.0, 45, 42], 3.667, None),
        ([25.0, 36, 31], -3.333, False),
    ],
)
def test_a_way_is_compared_seed_by_seed(values, difference, improves):
    found = {'plain': by_iu(28, 40, 34), 'way': by_iu(*values)}
    differences, error = ways.gains(found, 'way', 'plain')
    assert differences.mean() == pytest.approx(difference, abs=1e-3)
    assert error == pytest.approx(2 * np.std(differences, ddof=1) / 3**0.5)
    assert ways.improves(found, 'way', 'plain') is improves
    words = ways.verdict(found, 'way', 'plain')
    assert f'{abs(difference):.1f} points {"above" if difference > 0 else "below"} plain' in words
    assert f'{differences[0]:+.1f}, {differences[1]:+.1f}' in words


def test_one_seed_decides_nothing():
    found = {'plain': by_iu(40), 'way': by_iu(45)}
    assert ways.improves(found, 'way', 'plain') is None and 'by one seed' in ways.verdict(
        found, 'way', 'plain'
    )


def test_a_curve_counts_training_alone(tmp_path):
    run = Run(tmp_path)
    for iteration, loss in ((1, 5.0), (20, 4.0), (40, 3.0)):
        run.log.append(iteration=iteration, loss=0, smoothed_loss=loss, images_per_second=8.0)
        if iteration == 20:
            run.log.append(iteration=20, validation={'mean_iu': 0.25}, validation_loss=7.0)
    curve = ways.curve(run, batch=4)
    assert curve['iteration'].tolist() == [1, 20, 40] and curve['loss'].tolist() == [5, 4, 3]
    np.testing.assert_allclose(curve['seconds'], [0.5, 10, 20])
    assert (
        curve['val_iteration'].tolist(),
        curve['val_loss'].tolist(),
        curve['mean_iu'].tolist(),
    ) == ([20], [7], [25])


def test_what_is_said_of_sampling_follows_from_the_curves():
    as_there = sampling.conclusion(
        {1.0: (10.0, 1.0, 50), 0.5: (10.5, 2.0, 50), 0.25: (9.5, 4.0, 50)}
    )
    assert (
        '**' not in as_there
        and '1.05 and 0.95' in as_there
        and '2.0 and 4.0 times as long' in as_there
    )
    unlike = sampling.conclusion({1.0: (10.0, 1.0, 50), 0.5: (12.0, 2.0, 50), 0.25: (9.5, 0.9, 50)})
    assert unlike.count('**not so here**') == 2


def test_heavy_learning_and_batches_are_comparable():
    options = list(momentum.rates('voc-fcn32s').values())
    assert (options[0]['batch'], options[0]['momentum']) == (1, 0.99)  # the recipe itself
    assert [option['base_lr'] for option in options] == pytest.approx([1e-10, 1e-10, 2e-9, 2e-8])
    reach = [
        momentum.reach(option['batch'], option['momentum'], option['base_lr']) for option in options
    ]
    assert reach[1:] == pytest.approx([reach[0] / 10, reach[0] / 10, reach[0]])
    mini = next(iter(momentum.rates('mini-fcn32s').values()))
    assert momentum.reach(1, 0.99, mini['base_lr']) == pytest.approx(momentum.reach(1, 0.9, 5e-7))
    ends = {
        way: {'mean_iu': np.array([10, iu, 11])}
        for way, iu in (('heavy', 40.0), ('a', 40.5), ('b', 42.0))
    }
    said = momentum.conclusion(ends, 100, 10.0, 1.0)
    assert said.count('**not so here**') == said.count('undecided here') == 1
    assert (
        momentum.conclusion(ends, 100, 38.0, 1.0).count('undecided here') == 2
    )  # nothing was learned


def test_a_way_that_diverges_is_said_to(tmp_path, monkeypatch):
    def train(study, net, count, base_lr, **options):
        if base_lr > 9e-6:
            raise DivergedError('the loss is nan')
        run = Run(tmp_path / str(base_lr) / str(options['momentum']))
        run.folder.mkdir(parents=True)
        run.log.append(iteration=count, loss=2.0, smoothed_loss=2.0, images_per_second=9.0)
        run.log.append(iteration=count, validation={'mean_iu': 0.4}, validation_loss=3.0)
        return run

    monkeypatch.setattr(ways, 'train', train)
    monkeypatch.setattr(momentum, 'background', lambda study, net: 10.0)
    momentum.run(Study(EXPERIMENTS['momentum'], runs=tmp_path, out=tmp_path, quick=True))
    text = (tmp_path / 'momentum.md').read_text()
    assert (
        '| batches, 200 times the rate | 20 | 0.9 | 1e-05 | 5e-06 | diverged | – | – | 51.9 |'
        in text
    )
    assert 'The loss of batches, 200 times the rate was no finite number' in text
    assert text.count('Heavy learning beats') == 2


def test_a_run_is_named_by_what_was_asked(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        Study, 'train', lambda self, *arguments, **options: asked.append((arguments, options))
    )
    study = Study(EXPERIMENTS['augmentation'], runs=tmp_path, quick=True)
    ways.train(study, 'mini-fcn32s', 80, mirror=True, jitter=32, sampling=None, seed=1337)
    ((arguments, options),) = asked
    assert arguments == ('mini-fcn32s', 'mini-fcn32s-80-mirror-jitter32')
    assert options['mirror'] is True and options['jitter'] == 32 and options['iterations'] == 80
    for count, seed, label in (
        (160, 1337, None),
        (160, 2, 'mini-fcn32s-160-seed2'),
        (80, 1337, 'mini-fcn32s-80'),
    ):
        ways.train(study, 'mini-fcn32s', count, seed=seed)
        assert asked[-1][0] == ('mini-fcn32s', label)  # Table 2's own run, or another


def test_the_real_column_stands_beside_the_miniature(tmp_path, monkeypatch):
    monkeypatch.setattr(ways, 'train', lambda *arguments, **options: None)
    monkeypatch.setattr(ways, 'scores', lambda study, net, runs: by_iu(*range(40, 40 + len(runs))))
    study = Study(EXPERIMENTS['balancing'], runs=tmp_path, out=tmp_path)
    made = {balancing.PLAIN: {}, balancing.BALANCED: dict(balance=True)}
    assert ways.REAL not in ways.compared(study, made, 10)[1]
    (tmp_path / 'balancing-googlenet.json').write_text(
        json.dumps({'raw': {'plain': {'mean_iu': [31.25]}, 'balanced': {'mean_iu': [29.5]}}})
    )
    _, table = ways.compared(study, made, 10)
    lines = table.splitlines()
    assert (
        ways.REAL in lines[0]
        and lines[2].endswith('| 41.0 | 70.0 | 2.0 | 31.2 |')
        and '29.5' in lines[3]
    )
    assert 'balancing-googlenet.md' in ways.basis(study, 10)


@pytest.mark.slow
def test_sampling(quick):
    found = quick('sampling')
    assert list(found) == ['1.0', '0.5', '0.25']
    for values in found.values():
        assert values['iteration'][-1] == 25 and values['loss'][-1] < values['loss'][0]
        assert values['seconds'] == sorted(values['seconds'])
    assert [values['images'][-1] for values in found.values()] == [100, 200, 400]


@pytest.mark.slow
@pytest.mark.parametrize(('asked', 'images'), [((), 400), (('--iterations', 40), 40)])
def test_momentum(asked, images, quick):
    """All ways see as many images, but one whose rate is too high for so short a start, which may diverge."""
    found = quick('momentum', *asked)
    assert (
        len(found) == 4
        and not found['heavy'].get('diverged')
        and not found['online'].get('diverged')
    )
    assert {
        values['val_iteration'][-1] * values['options']['batch']
        for values in found.values()
        if not values.get('diverged')
    } == {images}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'found_ways'),
    [
        ('balancing', [balancing.PLAIN, balancing.BALANCED]),
        ('augmentation', list(augmentation.WAYS)),
    ],
)
def test_balancing_and_augmentation(name, found_ways, quick):
    found = quick(name)
    assert list(found) == found_ways
    for values in found.values():
        assert all(len(column) == 1 and 0 < column[0] <= 100 for column in values.values())
        assert values['pixel_accuracy'][0] > 50


@pytest.mark.slow
@pytest.mark.parametrize('name', ['balancing', 'augmentation'])
def test_real_images_and_the_real_classifier(name, quick, shared, tmp_path):
    """Two iterations of GoogLeNet on a few photos."""
    real = shared('data/voc')
    (tmp_path / 'voc/ImageSets/Segmentation').mkdir(parents=True)
    for folder in ('JPEGImages', 'SegmentationClass'):
        (tmp_path / 'voc' / folder).symlink_to(real / folder)
    for split, count in (('train', 6), ('seg11valid', 2)):
        names = (real / f'ImageSets/Segmentation/{split}.txt').read_text().split()[:count]
        (tmp_path / f'voc/ImageSets/Segmentation/{split}.txt').write_text('\n'.join(names) + '\n')
    found = quick(
        name,
        '--trunk',
        'googlenet',
        '--data',
        tmp_path / 'voc',
        '--iterations',
        2,
        '--runs',
        tmp_path / 'runs',
        '--weights',
        shared('weights/bvlc_googlenet.caffemodel'),
        stem=f'{name}-googlenet',
    )
    assert all(np.isfinite(column[0]) for values in found.values() for column in values.values())
