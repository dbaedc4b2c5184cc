"""Heavy learning against accumulated batches (PAMI, section 4.3).

With batches of k images and momentum p an image's gradient is in the step with the coefficient
p^⌊j/k⌋, if j more have been seen since. Without the floor that is (p^(1/k))^j: momentum 0.9 with
batches of 20 is like momentum 0.9^(1/20) ≈ 0.99 with single images, which the paper
calls heavy learning. It takes more steps for as many images, and learns faster.

Caffe takes the mean of a batch's gradients, where the paper's formula has their sum: its rate η
is k·η there. Heavy learning also steps k times as often, so that an image moves the
weights (1 − 0.9) / (1 − 0.99) = 10 times as far with it in the end. With batches at
10·k·η it moves them as far, and only the frequency of steps differs. Both are tried, and single
images with momentum 0.9, which the paper calls online.
"""

import numpy as np

from fcn.errors import DivergedError
from fcn.metrics import confusion, metrics
from fcn.nets import find
from fcn.solvers.recipes import recipe_of

from . import ways
from .study import claims, exceeds, table

BATCH, USUAL, HEAVY = 20, 0.9, 0.99
HEAVILY, ONLINE = 'heavy', 'online'
PAPER = {HEAVILY: 63.6, ONLINE: 60.7, 'batches': 51.9}  # PAMI: mean IU in percent
LEARNED = 5.0  # points of mean IU above calling all background: below, a net has hardly begun


def rates(net):
    """The ways, {name: solvers.Options}. In the first an image moves the weights as far as by its recipe."""
    recipe = recipe_of(net)
    rate = find(net).base_lr / recipe.iter_size * (1 - HEAVY) / (1 - recipe.momentum)
    found = {
        HEAVILY: dict(batch=1, momentum=HEAVY, base_lr=rate),
        ONLINE: dict(batch=1, momentum=USUAL, base_lr=rate),
    }
    for factor in (BATCH, round(BATCH * (1 - USUAL) / (1 - HEAVY))):
        found[f'batches, {factor} times the rate'] = dict(
            batch=BATCH, momentum=USUAL, base_lr=factor * rate
        )
    return found


def reach(batch, momentum, rate):
    """How far an image's gradient moves the weights in the end, in Caffe, whose batches are means."""
    return rate / batch / (1 - momentum)


def run(study):
    net = study.net('fcn32s')
    images = BATCH * max(1, ways.iterations(study, 4000, 400) // BATCH)
    asked = rates(net)
    found = {way: learned(study, net, images, options) for way, options in asked.items()}
    found, diverged = (
        {way: values for way, values in found.items() if values},
        [way for way, values in found.items() if not values],
    )
    file = study.picture('curves')
    seen = {way: values['val_iteration'] * asked[way]['batch'] for way, values in found.items()}
    ways.lines(
        file,
        [
            ('images seen', label, {way: (seen[way], values[key]) for way, values in found.items()})
            for label, key in (
                ('validation loss', 'val_loss'),
                ('validation mean IU (%)', 'mean_iu'),
            )
        ],
        markers=True,
    )
    rows = [row(way, options, found.get(way)) for way, options in asked.items()]
    text = [
        table(
            [
                '',
                'batch',
                'momentum',
                'rate',
                'rate / (batch · (1 − momentum))',
                'validation loss',
                'best mean IU',
                'seconds',
                'the paper: mean IU',
            ],
            rows,
        ),
        f'![by images seen]({file.name})',
        conclusion(found, images, background(study, net), study.noise()),
    ]
    if diverged:
        text.append(
            f'The loss of {" and ".join(diverged)} was no finite number before the end: the rate is too high.'
        )
    study.report(
        '\n\n'.join(text),
        {
            way: {'options': asked[way], **{key: array.tolist() for key, array in values.items()}}
            for way, values in found.items()
        }
        | {way: {'options': asked[way], 'diverged': True} for way in diverged},
    )


def learned(study, net, images, options):
    """ways.curve of `net` after so many images, or None if its loss came to be no number."""
    try:
        return ways.curve(
            ways.train(study, net, images // options['batch'], **options), options['batch']
        )
    except DivergedError:
        return None


def row(way, options, values):
    """A line of the table; `values` are None of a way that diverged."""
    batch, momentum, rate = options['batch'], options['momentum'], options['base_lr']
    ends = (
        (
            f'{values["val_loss"].min():.4g}',
            float(values['mean_iu'].max()),
            f'{values["seconds"][-1]:.0f}',
        )
        if (values)
        else ('diverged', None, None)
    )
    return (
        way,
        batch,
        f'{momentum:g}',
        f'{rate:.2g}',
        f'{reach(batch, momentum, rate):.2g}',
        *ends,
        PAPER[way.partition(',')[0]],
    )


def background(study, net):
    """The mean IU in percent of calling all background."""
    dataset = study.dataset(net)
    classes = len(next(iter(dataset.labels.values())))
    return (
        100
        * metrics(
            sum(
                confusion(truth, np.zeros_like(truth), classes)
                for truth in map(dataset.label, dataset.names)
            )
        )['mean_iu']
    )


def conclusion(found, images, nothing, noise):
    """What the paper says of heavy learning, and whether it is so after as many images.

    Undecided are differences of no more than `noise` points, and all of them if no way's mean IU is
    LEARNED points above `nothing`, that of calling all background.
    """
    heavy, *others = ((way, float(values['mean_iu'].max())) for way, values in found.items())
    begun = max(iu for _, iu in (heavy, *others)) > nothing + LEARNED
    return (
        f'The best validations within {images} images each; calling all background has a mean IU of {nothing:.1f}.'
        '\n\n'
        + claims(
            {
                f'Heavy learning beats {way} ({heavy[1] - iu:+.1f})': exceeds(heavy[1] - iu, noise)
                if begun
                else None
                for way, iu in others
            }
        )
    )
