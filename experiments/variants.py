"""One net trained in several variants: what sampling, balancing, augmentation and momentum share.

A variant is named, and has options of solvers.Options. Its `values` are {metric: one number per
seed}, in percent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fcn.metrics import METRICS
from fcn.nets import find
from fcn.solvers import Run
from fcn.text import markdown_table

from .claims import Verdict, exceeds
from .pages import HEADS, Page
from .records import Figure
from .runs import QUICK, QUICK_REAL, Published
from .scoring import percent
from .settings import Settings
from .study import Study

Values = dict[str, list[float]]
Variants = Mapping[str, Values]

SEEDS = (1337, 1, 2)  # of the miniature: what two runs of one variant differ by
NOTICEABLE = 1.0  # points of mean IU
REAL = 'real images, GoogLeNet: mean IU'


def planned_iterations(settings: Settings, mini: int, real: int) -> int:
    """Return how long each variant learns: `mini` or `real` iterations, fewer if quick, or as the
    command line says."""
    if settings.iterations:
        return settings.iterations
    if not settings.mini:
        return QUICK_REAL if settings.quick else real
    return mini // QUICK if settings.quick else mini


def seeds(settings: Settings) -> Sequence[int]:
    """Return the seeds: those of the miniature; a real net has time for one."""
    return SEEDS if settings.mini and not settings.quick else SEEDS[:1]


def train(study: Study, net: str, count: int, **options: Any) -> Run | Published:
    """Return the run of `net` after `count` iterations with `options`, in a folder named by both.

    Whichever experiment needs the same run first trains it. The miniature's net as by its recipe is
    that of Table 2.
    """
    changed = ''.join(
        f'-{key}' if value is True else f'-{key}{value:g}'
        for key, value in options.items()
        if value and (key, value) != ('seed', SEEDS[0])
    )
    usual = study.settings.mini and count == study.runs.usual_iterations(find(net))
    return study.runs.train(
        net,
        None if usual and not changed else f'{net}-{count}{changed}',
        iterations=count,
        val_every=max(1, count // 8),
        **options,
    )


def scores(study: Study, net: str, runs: Sequence[Run | Published]) -> Values:
    """Return the values of a net's runs."""
    rows = [percent(study.scoring.first(net, run)) for run in runs]
    return dict(zip(METRICS, map(list, zip(*rows, strict=True)), strict=True))


def measure_variants(
    study: Study, options: Mapping[str, Mapping[str, Any]], count: int
) -> dict[str, Any]:
    """Train the 32s net in each variant, {name: options}, with each seed, and score it.

    Returns the raw numbers: `variants` is {name: Values}, `iterations` and `images` say how long
    each net learned, and from how many images.
    """
    net = study.settings.net('fcn32s')
    variants = {}
    for name, changed in options.items():
        runs = [train(study, net, count, **changed, seed=seed) for seed in seeds(study.settings)]
        variants[name] = scores(study, net, runs)
    images = len(study.sets.source(net, 'train').names())
    return dict(iterations=count, images=images, variants=variants)


def table(page: Page) -> str:
    """Return the means of the variants over seeds, with the spread of mean IU.

    On the miniature the mean IU on real images stands next to it, if there is such a page.
    """
    variants: Variants = page.raw['variants']
    several = count_seeds(variants) > 1
    real = page.real
    head = ['', 'iterations', *HEADS, *(['spread of mean IU'] if several else [])]
    head += [REAL, 'after iterations'] if real else []
    rows = []
    for name, values in variants.items():
        row = [name, page.raw['iterations'], *(float(np.mean(values[key])) for key in METRICS)]
        row += [float(np.ptp(values['mean_iu']))] if several else []
        if real:
            mean = float(np.mean(real.raw['variants'][name]['mean_iu']))
            row += [mean, real.raw['iterations']]
        rows.append(row)
    return markdown_table(head, rows)


def origin(page: Page) -> str:
    """Return what the table rests on."""
    count = count_seeds(page.raw['variants'])
    what = f'Means over {count} seeds' if count > 1 else 'One seed'
    text = f'{what}, scored on all validation images.'
    if page.real:
        text += f' The real column is from {page.real.link}, which says how long it took.'
    return text


def count_seeds(variants: Variants) -> int:
    """Return how many seeds each variant was trained with."""
    return len(next(iter(variants.values()))['mean_iu'])


def figures(page: Page, plain: str) -> list[Figure]:
    """Return the score of the variant that follows the recipe, for other pages."""
    variants: Variants = page.raw['variants']
    count = count_seeds(variants)
    how = f'the mean over {count} seeds' if count > 1 else 'one seed'
    how += f', scored on {page.record.scored_on} images'
    mean = float(np.mean(variants[plain]['mean_iu']))
    return [Figure(page.net('fcn32s'), mean, page.raw['iterations'], how)]


def gains(variants: Variants, name: str, plain: str) -> tuple[np.ndarray, float]:
    """Return by how many points of mean IU a variant is above `plain`, seed by seed, and twice the
    standard error of their mean, which is infinite for one seed."""
    differences = np.subtract(variants[name]['mean_iu'], variants[plain]['mean_iu'])
    count = len(differences)
    if count == 1:
        return differences, np.inf
    return differences, 2 * float(differences.std(ddof=1)) / np.sqrt(count)


def improves(variants: Variants, name: str, plain: str) -> Verdict:
    """Return whether a variant raises mean IU noticeably; None if two standard errors leave both
    possible."""
    differences, error = gains(variants, name, plain)
    return exceeds(float(differences.mean()) - NOTICEABLE, error)


def describe_gain(variants: Variants, name: str, plain: str) -> str:
    """Return the gain of a variant as a sentence."""
    differences, error = gains(variants, name, plain)
    mean = float(differences.mean())
    how = 'by one seed, which tells nothing about chance'
    if len(differences) > 1:
        by_seed = ', '.join(f'{difference:+.1f}' for difference in differences)
        how = f'seed by seed {by_seed}; two standard errors are {error:.1f}'
    direction = 'above' if mean > 0 else 'below'
    return f'{name.capitalize()}, mean IU is {abs(mean):.1f} points {direction} {plain} ({how}).'
