"""Heavy learning against accumulated batches (PAMI, section 4.3).

With batches of k images and momentum p, an image's gradient is in the step with the coefficient
p^⌊j/k⌋ after j more images. Without the floor that is (p^(1/k))^j: momentum 0.9 with batches of 20
is like momentum 0.9^(1/20) ≈ 0.99 with single images, which the paper calls heavy learning. It
takes more steps for as many images, and learns faster.

Caffe takes the mean of a batch's gradients, where the paper's formula has their sum: its rate η is
k·η there. Heavy learning also steps k times as often, so that an image moves the weights
(1 − 0.9) / (1 − 0.99) = 10 times as far with it in the end. With batches at 10·k·η it moves them as
far, and only the frequency of steps differs. Both are tried, and single images with momentum 0.9,
which the paper calls online.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fcn.errors import DivergedError
from fcn.metrics import confusion, metrics
from fcn.nets import find
from fcn.solvers.recipes import recipe_of
from fcn.text import Cell, markdown_table

from . import variants
from .claims import Claims, exceeds
from .curves import Curve, curve, draw_curves
from .pages import Page
from .paper import MOMENTUM
from .records import Figure
from .study import Study

BATCH, USUAL, HEAVY = 20, 0.9, 0.99
HEAVILY, ONLINE = 'heavy', 'online'
LEARNED = 5.0  # points of mean IU above calling all background: below, a net has hardly begun

Options = dict[str, Any]
HEAD = [
    '',
    'iterations',
    'batch',
    'momentum',
    'rate',
    'rate / (batch · (1 − momentum))',
    'validation loss',
    'best mean IU',
    'seconds of training',
    'the paper: mean IU',
]


def options_of(net: str) -> dict[str, Options]:
    """Return the variants, {name: options}.

    In the first an image moves the weights as far as by the net's recipe.
    """
    recipe, config = recipe_of(net), find(net)
    assert config.base_lr
    rate = config.base_lr / recipe.iter_size * (1 - HEAVY) / (1 - recipe.momentum)
    options = {
        HEAVILY: dict(batch=1, momentum=HEAVY, base_lr=rate),
        ONLINE: dict(batch=1, momentum=USUAL, base_lr=rate),
    }
    for factor in (BATCH, round(BATCH * (1 - USUAL) / (1 - HEAVY))):
        name = f'batches, {factor} times the rate'
        options[name] = dict(batch=BATCH, momentum=USUAL, base_lr=factor * rate)
    return options


def reach(batch: int, momentum: float, base_lr: float) -> float:
    """Return how far an image's gradient moves the weights in the end, in Caffe, whose batches are
    means."""
    return base_lr / batch / (1 - momentum)


def measure(study: Study) -> dict[str, Any]:
    """Return the curves of the variants after as many `images`, without those that diverged."""
    net = study.settings.net('fcn32s')
    images = BATCH * max(1, variants.planned_iterations(study.settings, 4000, 400) // BATCH)
    requested = options_of(net)
    curves = {name: learn(study, net, images, options) for name, options in requested.items()}
    results = {name: values for name, values in curves.items() if values}
    panels = []
    for label, key in (('validation loss', 'val_loss'), ('validation mean IU (%)', 'mean_iu')):
        lines = {
            name: (
                [count * requested[name]['batch'] for count in values['val_iteration']],
                values[key],
            )
            for name, values in results.items()
        }
        panels.append(('images seen', label, lines))
    draw_curves(study.picture('curves'), panels, markers=True)
    return dict(
        images=images,
        background=background(study, net),
        variants={
            name: {'options': requested[name], **(values or {'diverged': True})}
            for name, values in curves.items()
        },
    )


def learn(study: Study, net: str, images: int, options: Options) -> Curve | None:
    """Return the curve of `net` after so many images, or None if its loss was not finite."""
    try:
        run = variants.train(study, net, images // options['batch'], **options)
    except DivergedError:
        return None
    return curve(run, options['batch'])


def background(study: Study, net: str) -> float:
    """Return the mean IU in percent of calling all background."""
    dataset = study.sets.dataset(net)
    classes = len(next(iter(dataset.labels.values())))
    truths = map(dataset.label, dataset.names)
    matrix = sum(confusion(truth, np.zeros_like(truth), classes) for truth in truths)
    return 100 * metrics(np.asarray(matrix))['mean_iu']


def row(name: str, values: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Return a variant's line of the table."""
    batch, momentum, rate = (values['options'][key] for key in ('batch', 'momentum', 'base_lr'))
    ends: tuple[Cell, ...] = ('diverged', None, None)
    if not values.get('diverged'):
        loss, seconds = min(values['val_loss']), values['seconds'][-1]
        ends = (f'{loss:.4g}', float(max(values['mean_iu'])), f'{seconds:.0f}')
    return (
        name,
        None if values.get('diverged') else values['val_iteration'][-1],
        batch,
        f'{momentum:g}',
        f'{rate:.2g}',
        f'{reach(batch, momentum, rate):.2g}',
        *ends,
        MOMENTUM[name.partition(',')[0]],
    )


def check_claims(page: Page) -> Claims:
    """Return what the paper says about heavy learning, and whether it holds after as many images.

    Undecided are differences within the noise, and all of them if no variant's mean IU is LEARNED
    points above that of calling all background.
    """
    best = {
        name: max(values['mean_iu'])
        for name, values in page.raw['variants'].items()
        if not values.get('diverged')
    }
    if HEAVILY not in best:
        return {}
    begun = max(best.values()) > page.raw['background'] + LEARNED
    gains = {name: best[HEAVILY] - iu for name, iu in best.items() if name != HEAVILY}
    return {
        f'Heavy learning beats {name} ({gain:+.1f})': exceeds(gain, page.noise) if begun else None
        for name, gain in gains.items()
    }


def body(page: Page) -> str:
    results = page.raw['variants']
    diverged = [name for name, values in results.items() if values.get('diverged')]
    text = [
        markdown_table(HEAD, [row(name, values) for name, values in results.items()]),
        f'![by images seen]({page.picture("curves")})',
        f'The best validations within {page.raw["images"]} images each; calling all background has '
        f'a mean IU of {page.raw["background"]:.1f}. Seconds leave out the validations.',
        page.verdicts(check_claims),
    ]
    if diverged:
        text.append(
            f'The loss of {" and ".join(diverged)} was not a finite number before the end: the '
            'rate is too high.'
        )
    return '\n\n'.join(text)


def figures(page: Page) -> list[Figure]:
    values = page.raw['variants'][HEAVILY]
    if values.get('diverged'):
        return []
    how = 'heavy learning: single images, the best validation'
    count = int(values['val_iteration'][-1])
    return [Figure(page.net('fcn32s'), max(values['mean_iu']), count, how)]
