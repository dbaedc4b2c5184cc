"""Figure 5 (sections 3.4 and 4.3): the loss sampled, as patchwise training does, against whole
images.

The paper has the loss ignore each cell of the final layer with probability 1 − p, and lets the
batch grow by 1/p, so that each step learns from as many cells. It finds that this converges no
faster by iterations, and slower by time, since more images are computed. Here a net starts from the
classifier three times, with p = 1, 0.5 and 0.25 (data_layers.sampling).
"""

from typing import Any

import numpy as np

from fcn.data_layers import VOID, evenly_spread
from fcn.nets import find, last_stride
from fcn.solvers.recipes import recipe_of
from fcn.text import markdown_table

from . import variants
from .claims import Claims
from .curves import Curve, curve, draw_curves
from .pages import Page
from .records import Figure
from .study import Study

SHARES = (1.0, 0.5, 0.25)
BATCH = 4  # whole images a step, at as many times the rate of one
ALIKE = 0.1  # of the loss: curves no further apart are called equal
COUNTED = 100  # images


def title(share: float) -> str:
    return 'whole images' if share == 1 else f'{share:.0%} sampled'


def measure(study: Study) -> dict[str, Any]:
    """Return {share: curve}, with the number of `images` seen and the loss of a pixel."""
    net = study.settings.net('fcn32s')
    count = variants.planned_iterations(study.settings, 250, 100)
    base_lr = find(net).base_lr
    assert base_lr
    rate = BATCH / recipe_of(net).iter_size * base_lr
    pixels = 1.0 if find(net).normalize_loss else labelled_pixels(study, net)
    curves: dict[float, Curve] = {}
    for share in SHARES:
        images = round(BATCH / share)
        sampling = share if share < 1 else None
        run = variants.train(study, net, count, batch=BATCH, base_lr=rate, sampling=sampling)
        values = curve(run, images)
        values['loss'] = [loss / pixels for loss in values['loss']]
        values['images'] = [iteration * images for iteration in values['iteration']]
        curves[share] = values
    draw_curves(
        study.picture('figure5'),
        [
            (
                label,
                'training loss of a pixel',
                {title(share): (values[key], values['loss']) for share, values in curves.items()},
            )
            for label, key in (('iterations', 'iteration'), ('images processed', 'images'))
        ],
    )
    return {str(share): values for share, values in curves.items()}


def labelled_pixels(study: Study, net: str) -> float:
    """Return how many pixels of an image to learn from have a class, in the mean."""
    dataset = study.sets.source(net, 'train').open()
    names = evenly_spread(dataset.names, COUNTED)
    return float(np.mean([(dataset.label(name) != VOID).sum() for name in names]))


def end(values: Curve) -> tuple[float, float, float]:
    """Return the mean loss over the last quarter, the seconds of an iteration, and the mean IU of
    the last validation."""
    loss = values['loss']
    last = max(1, len(loss) // 4)
    return (
        float(np.mean(loss[-last:])),
        values['seconds'][-1] / values['iteration'][-1],
        values['mean_iu'][-1],
    )


def ratios(raw: dict[str, Curve]) -> tuple[list[float], list[float]]:
    """Return the last loss and the time of a step of the sampled runs, relative to the first's."""
    (loss, seconds, _), *sampled = (end(raw[str(share)]) for share in SHARES)
    return [values[0] / loss for values in sampled], [values[1] / seconds for values in sampled]


def check_claims(page: Page) -> Claims:
    """Return what the paper says about Figure 5, and whether it holds here."""
    losses, times = ratios(page.raw)
    return {
        'Sampling changes convergence by iterations little (here: the last loss by less than '
        f'{ALIKE:.0%})': all(abs(ratio - 1) <= ALIKE for ratio in losses),
        'It takes more time, for the more images of a step': all(ratio > 1 for ratio in times),
    }


def body(page: Page) -> str:
    rows = []
    for share in SHARES:
        values = page.raw[str(share)]
        loss, seconds, mean_iu = end(values)
        count, images = values['iteration'][-1], values['images'][-1]
        texts = f'{loss:.3f}', f'{seconds:.3f}'
        rows.append((title(share), count, images // count, *texts, float(mean_iu)))
    head = ['', 'iterations', 'images a step', 'loss of a pixel, last quarter']
    losses, times = ratios(page.raw)
    text = [
        markdown_table([*head, 'seconds a step', 'mean IU'], rows),
        f'![the loss by iterations and by images processed]({page.picture("figure5")})',
        page.verdicts(check_claims),
        f'With p = 0.5 and 0.25 the loss of the last quarter is {losses[0]:.2f} and '
        f'{losses[1]:.2f} times that of whole images, and a step takes {times[0]:.1f} and '
        f'{times[1]:.1f} times as long.',
        f'A cell is one of the scores at stride {last_stride(find(page.net("fcn32s")))}: the '
        'pixels nearest to it are learned from, or not, together. What a sampled loss keeps is '
        'divided by p, so that all three estimate the loss of whole images; curves are means of 20 '
        'iterations. Mean IU is of the images that validate while training. A step of whole images '
        f'has {BATCH} here and 20 in the paper.',
    ]
    return '\n\n'.join(text)


def figures(page: Page) -> list[Figure]:
    values = page.raw[str(SHARES[0])]
    how = f'{BATCH} images a step, scored on the images that validate while training'
    count = int(values['iteration'][-1])
    return [Figure(page.net('fcn32s'), values['mean_iu'][-1], count, how)]
