"""Augmentation (section 4.3): images mirrored at random, and moved by up to 32 pixels.

The paper tries both, moving by as much as the stride of its coarsest prediction, and sees no
noticeable improvement. Here a net learns without, with mirrors, and with both
(data_layers.augment).
"""

from typing import Any

from fcn.solvers.recipes import recipe_of

from . import variants
from .claims import Claims
from .pages import Page
from .records import Figure
from .study import Study

PLAIN = 'plain'
JITTER = 32  # pixels
OPTIONS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    'mirrored': dict(mirror=True),
    'mirrored and jittered': dict(mirror=True, jitter=JITTER),
}
OTHERS = [name for name in OPTIONS if name != PLAIN]


def measure(study: Study) -> dict[str, Any]:
    count = variants.planned_iterations(study.settings, 1600, 400)
    return variants.measure_variants(study, OPTIONS, count)


def check_claims(page: Page) -> Claims:
    """Return whether the paper's claim holds: augmentation brings nothing that is noticeable."""
    improves = {name: variants.improves(page.raw['variants'], name, PLAIN) for name in OTHERS}
    return {
        f'{name.capitalize()} images bring no noticeable improvement, of more than '
        f'{variants.NOTICEABLE:g} point of mean IU': None if held is None else not held
        for name, held in improves.items()
    }


def body(page: Page) -> str:
    raw = page.raw
    epochs = raw['iterations'] * recipe_of(page.net('fcn32s')).iter_size / raw['images']
    text = [
        variants.table(page),
        variants.origin(page),
        page.verdicts(check_claims),
        ' '.join(variants.describe_gain(raw['variants'], name, PLAIN) for name in OTHERS),
        f'Each net sees each of its {raw["images"]} images {epochs:.1f} times. The fewer times, '
        'the less it could learn them by heart, and the less augmentation could help.',
    ]
    return '\n\n'.join(text)


def figures(page: Page) -> list[Figure]:
    return variants.figures(page, PLAIN)
