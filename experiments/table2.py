"""The skip architectures (section 4.2, Table 2, and the text around it).

In the paper, learning all layers beats learning the last alone; each skip adds to the mean IU, the
second little; the score of pool4 alone is poor, and a lower learning rate without a skip gains next
to nothing. The figures of the nets that end at pool4 and pool3 are PAMI's.
"""

from itertools import pairwise
from typing import Any

from fcn.text import Cell, markdown_table

from .claims import Claims, Verdict, all_hold, exceeds
from .pages import HEADS, Page
from .paper import TABLE2
from .records import Figure
from .scoring import percent
from .study import Study

STAGES = {
    'fcn32s-fixed': 'FCN-32s-fixed',
    'fcn32s': 'FCN-32s',
    'fcn16s': 'FCN-16s',
    'fcn8s': 'FCN-8s',
}
OTHERS = {
    'fcn-pool4': 'pool4 alone',
    'fcn-pool3': 'pool3 alone',
    'fcn32s-lower-lr': 'FCN-32s, on at a lower rate',
}
LENGTH = (
    'Each stage goes on from the one before, so that a part of its gain is longer learning. '
    'Iterations are those of a stage itself.'
)
LOWER = (
    "The net that goes on at a lower rate is the paper's measure of that part, and a lower bound "
    'of it where FCN-32s still learns.'
)
MINIATURE = (
    "A likely cause of what single layers score here: the miniature's shapes are told by outlines "
    'some pixels wide, which pool3 and pool4 see, and are small against a stride of 32; '
    'photographs need deeper layers.'
)


def measure(study: Study) -> dict[str, Any]:
    """Return the four metrics of each net in percent, and the seconds an image took."""
    nets = study.settings.nets((*STAGES, *OTHERS))
    values, seconds = {}, {}
    for kind, net in nets.items():
        results, seconds[kind] = study.scoring.score(net, study.runs.train(net))
        values[kind] = percent(next(iter(results.values())))
    return dict(percent=values, seconds_per_image=seconds)


def check_iu(iu: dict[str, float], noise: float | None = None) -> Claims:
    """Return what the paper says, and whether it holds, of {kind: mean IU in percent}.

    Only nets that are there are compared. A verdict is None if it depends on a difference of no
    more than `noise` points.
    """
    stages = [kind for kind in STAGES if kind in iu]
    order = all_hold(exceeds(iu[fine] - iu[coarse], noise) for coarse, fine in pairwise(stages))
    names = ', '.join(STAGES[kind] for kind in stages)
    claims: dict[str, Verdict] = {f'The order of the stages by mean IU is {names}': order}
    first = iu['fcn16s'] - iu['fcn32s']
    if 'fcn8s' in iu:
        second = iu['fcn8s'] - iu['fcn16s']
        claim = f'The second skip adds less ({second:+.1f}) than the first ({first:+.1f})'
        claims[claim] = exceeds(first - second, noise)
    if 'fcn-pool4' in iu:
        difference = iu['fcn32s'] - iu['fcn-pool4']
        claims['Scores of pool4 alone are poorer than those of FCN-32s'] = exceeds(
            difference, noise
        )
    if 'fcn-pool3' in iu:
        difference = iu['fcn-pool4'] - iu['fcn-pool3']
        claims['Those of pool3 alone are poorer still'] = exceeds(difference, noise)
    if 'fcn32s-lower-lr' in iu:
        gain = iu['fcn32s-lower-lr'] - iu['fcn32s']
        claim = f'A lower rate without a skip gains less ({gain:+.1f}) than the skip ({first:+.1f})'
        claims[claim] = exceeds(first - gain, noise)
    return claims


def check_claims(page: Page) -> Claims:
    values = page.raw['percent']
    return check_iu({kind: figures[2] for kind, figures in values.items()}, page.noise)


def body(page: Page) -> str:
    values, real = page.raw['percent'], page.real
    head = ['', 'iterations', *HEADS, *(f'the paper: {metric}' for metric in HEADS)]
    head += [f'real images, GoogLeNet ({real.link}): mean IU', 'after iterations'] if real else []
    rows = []
    for kind, own in values.items():
        title, iterations = (STAGES | OTHERS)[kind], page.iterations(page.net(kind))
        row: list[Cell] = [title, iterations, *own, *TABLE2.get(kind, [None] * 4)]
        if real:
            scored = real.raw['percent'].get(kind)
            row += [scored[2], real.iterations(real.net(kind))] if scored else [None, None]
        rows.append(row)
    text = [
        markdown_table(head, rows),
        page.verdicts(check_claims),
        page.seeds(),
        f'{LENGTH} {LOWER}' if 'fcn32s-lower-lr' in values else LENGTH,
        MINIATURE if page.mini else '',
    ]
    return '\n\n'.join(filter(None, text))


def figures(page: Page) -> list[Figure]:
    how = f'one seed, scored on {page.record.scored_on} images'
    nets = {page.net(kind): values[2] for kind, values in page.raw['percent'].items()}
    return [Figure(net, iu, page.iterations(net), how) for net, iu in nets.items()]
