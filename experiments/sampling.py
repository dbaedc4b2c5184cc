"""Figure 5 (sections 3.4 and 4.3): the loss sampled, as patchwise training does, against whole images.

The paper has the loss ignore each cell of the final layer with probability 1 − p, and lets
the batch grow by 1/p, so that each step learns from as many cells. It finds that this
converges no faster by iterations, and slower by time, since more images are computed. Here a
net starts from the classifier three times, with p = 1, 0.5 and 0.25 (data_layers.sampling).
"""

import numpy as np

from fcn.data_layers import VOID
from fcn.data_layers.dataset import evenly_spread
from fcn.nets import find, last_stride
from fcn.solvers.recipes import recipe_of

from . import ways
from .study import claims, table

SHARES = (1.0, 0.5, 0.25)
BATCH = 4  # whole images a step, at as many times the rate of one
ALIKE = 0.1  # of the loss: curves no further apart are called equal
COUNTED = 100  # images


def run(study):
    net = study.net('fcn32s')
    count = ways.iterations(study, 250, 100)
    rate = BATCH / recipe_of(net).iter_size * find(net).base_lr
    images, pixels, found = (
        {share: round(BATCH / share) for share in SHARES},
        labelled(study, net),
        {},
    )
    for share in SHARES:
        trained = ways.train(
            study, net, count, batch=BATCH, base_lr=rate, sampling=share if share < 1 else None
        )
        found[share] = ways.curve(trained, images[share])
        found[share]['loss'] /= 1 if find(net).normalize_loss else pixels
        found[share]['images'] = found[share]['iteration'] * images[share]
    names = {share: 'whole images' if share == 1 else f'{share:.0%} sampled' for share in SHARES}
    file = study.picture('figure5')
    ways.lines(
        file,
        [
            (
                across,
                'training loss of a pixel',
                {names[share]: (values[key], values['loss']) for share, values in found.items()},
            )
            for across, key in (('iterations', 'iteration'), ('images processed', 'images'))
        ],
    )
    ends = {share: end(values) for share, values in found.items()}
    rows = [
        (names[share], images[share], f'{loss:.3f}', f'{seconds:.3f}', float(iu))
        for share, (loss, seconds, iu) in ends.items()
    ]
    text = [
        table(
            ['', 'images a step', 'loss of a pixel, last quarter', 'seconds a step', 'mean IU'],
            rows,
        ),
        f'![the loss by iterations and by images processed]({file.name})',
        conclusion(ends),
        f'A cell is one of the scores at stride {last_stride(find(net))}: the pixels nearest to it are learned '
        'from, or not, together. What a sampled loss keeps is divided by p, so that all three estimate that of '
        'whole images; curves are means of 20 iterations. Mean IU is of the images that validate while training. '
        f'A step of whole images is of {BATCH} here and of 20 in the paper.',
    ]
    raw = {
        str(share): {key: value.tolist() for key, value in values.items()}
        for share, values in found.items()
    }
    study.report('\n\n'.join(text), raw)


def labelled(study, net):
    """Pixels of an image to learn from that have a class, in the mean."""
    source = study.source(net, 'train')
    dataset = source.open()
    return float(
        np.mean(
            [(dataset.label(name) != VOID).sum() for name in evenly_spread(dataset.names, COUNTED)]
        )
    )


def end(values):
    """The mean loss over the last quarter, seconds for an iteration, and the last validation's mean IU."""
    loss, last = values['loss'], max(1, len(values['loss']) // 4)
    return (
        float(loss[-last:].mean()),
        float(values['seconds'][-1] / values['iteration'][-1]),
        values['mean_iu'][-1],
    )


def conclusion(ends):
    """What the paper says of Figure 5, and whether it is so here."""
    whole, sampled = ends[1.0], [ends[share] for share in SHARES[1:]]
    losses, times = ([values[index] / whole[index] for values in sampled] for index in (0, 1))
    said = claims(
        {
            f'Sampling changes convergence by iterations little (here: the last loss by less than {ALIKE:.0%})': all(
                abs(ratio - 1) <= ALIKE for ratio in losses
            ),
            'It takes more time, for the more images of a step': all(ratio > 1 for ratio in times),
        }
    )
    return (
        f'{said}\n\nWith p = 0.5 and 0.25 the loss of the last quarter is {losses[0]:.2f} and {losses[1]:.2f} '
        f'times that of whole images, and a step takes {times[0]:.1f} and {times[1]:.1f} times as long.'
    )
