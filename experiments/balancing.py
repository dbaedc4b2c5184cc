"""The loss weighted by class (sections 3.4 and 4.3).

About three quarters of PASCAL's pixels are background. The paper says that its nets could balance
classes by weighting or sampling the loss, and that they do not need to. Here a net learns with and
without weights by median frequency (solvers.balance).
"""

from typing import Any

import numpy as np

from . import variants
from .claims import Claims
from .pages import Page
from .records import Figure
from .study import Study

PLAIN, BALANCED = 'plain', 'balanced'


def measure(study: Study) -> dict[str, Any]:
    count = variants.planned_iterations(study.settings, 1600, 400)
    return variants.measure_variants(study, {PLAIN: {}, BALANCED: dict(balance=True)}, count)


def check_claims(page: Page) -> Claims:
    """Return whether the paper's claim holds: balancing brings nothing that is noticeable."""
    improves = variants.improves(page.raw['variants'], BALANCED, PLAIN)
    return {
        'The nets need no balancing: it does not raise mean IU by more than '
        f'{variants.NOTICEABLE:g} point': None if improves is None else not improves
    }


def body(page: Page) -> str:
    values = page.raw['variants']
    accuracy = {name: np.mean(values[name]['mean_accuracy']) for name in (PLAIN, BALANCED)}
    trade = float(accuracy[BALANCED] - accuracy[PLAIN])
    text = [
        variants.table(page),
        variants.origin(page),
        page.verdicts(check_claims),
        f'{variants.describe_gain(values, BALANCED, PLAIN)} Mean accuracy, which does not count '
        f'pixels that are wrongly given to a rare class, is {abs(trade):.1f} points '
        f'{"above" if trade > 0 else "below"}.',
    ]
    return '\n\n'.join(text)


def figures(page: Page) -> list[Figure]:
    return variants.figures(page, PLAIN)
