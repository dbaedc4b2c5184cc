"""The loss weighted by class (sections 3.4 and 4.3).

About three quarters of PASCAL's pixels are background. The paper says that its nets could
balance classes by weighting or sampling the loss, and that they do not need to. Here a net
learns with and without weights by median frequency (solvers.balance).
"""

from fcn.metrics import METRICS

from . import ways
from .study import claims

PLAIN, BALANCED = 'plain', 'balanced'


def run(study):
    count = ways.iterations(study, 1600, 400)
    found, table = ways.compared(study, {PLAIN: {}, BALANCED: dict(balance=True)}, count)
    accuracy = METRICS.index('mean_accuracy')
    trade = float(found[BALANCED][:, accuracy].mean() - found[PLAIN][:, accuracy].mean())
    improves = ways.improves(found, BALANCED, PLAIN)
    said = claims(
        {
            f'The nets need no balancing: it does not raise mean IU by more than {ways.LEAST:g} point': None
            if improves is None
            else not improves
        }
    )
    text = [
        table,
        ways.basis(study, count),
        said,
        f'{ways.verdict(found, BALANCED, PLAIN)}. Mean accuracy, which does not count what is wrongly given to a '
        f'rare class, is {abs(trade):.1f} points {"above" if trade > 0 else "below"}.',
    ]
    study.report('\n\n'.join(text), ways.raw(found))
