"""The skip architectures (section 4.2, Table 2, and what the text around it compares them with).

The paper: learning all layers beats learning the last alone; each skip adds to the mean IU, the second little; the
score of pool4 alone is poor, and a lower learning rate without a skip gains next to nothing. The figures of the nets
that end at pool4 and pool3 are PAMI's.
"""

from itertools import pairwise

from fcn.metrics import METRICS

from .report import HEADS, together
from .study import claims, exceeds, table

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
LENGTH = 'Each stage goes on from the one before, so that a part of its gain is longer learning.'
LOWER = (
    "The net that goes on at a lower rate is the paper's measure of that part, and a lower bound of it where "
    'FCN-32s still learns.'
)
MINIATURE = (
    "A likely cause of what single layers score here: the miniature's shapes are told by outlines some pixels "
    'wide, which pool3 and pool4 see, and are small against a stride of 32; photographs want deeper layers.'
)
PAPER = {
    'fcn32s-fixed': (83.0, 59.7, 45.4, 72.0),
    'fcn32s': (89.1, 73.3, 59.4, 81.4),
    'fcn16s': (90.0, 75.7, 62.4, 83.0),
    'fcn8s': (90.3, 75.9, 62.7, 83.2),
    'fcn-pool4': (78.7, 31.7, 22.4, 67.0),
    'fcn-pool3': (70.9, 13.7, 9.2, 57.6),
}


def percent(found):
    """The four metrics of the first label in percent."""
    first = next(iter(found.values()))
    return [100 * first[metric] for metric in METRICS]


def said(iu, noise=None):
    """{what the paper says: whether it is so}, of {kind: mean IU in percent}, as far as the nets are there; None
    for what hangs on a difference of no more than `noise` points."""
    stages = [kind for kind in STAGES if kind in iu]
    order = together(exceeds(iu[fine] - iu[coarse], noise) for coarse, fine in pairwise(stages))
    found = {
        f'The order of the stages by mean IU is {", ".join(STAGES[kind] for kind in stages)}': order
    }
    first = iu['fcn16s'] - iu['fcn32s']
    if 'fcn8s' in iu:
        second = iu['fcn8s'] - iu['fcn16s']
        found[f'The second skip adds less ({second:+.1f}) than the first ({first:+.1f})'] = exceeds(
            first - second, noise
        )
    if 'fcn-pool4' in iu:
        found['Scores of pool4 alone are poorer than those of FCN-32s'] = exceeds(
            iu['fcn32s'] - iu['fcn-pool4'], noise
        )
    if 'fcn-pool3' in iu:
        found['Those of pool3 alone are poorer still'] = exceeds(
            iu['fcn-pool4'] - iu['fcn-pool3'], noise
        )
    if 'fcn32s-lower-lr' in iu:
        gain = iu['fcn32s-lower-lr'] - iu['fcn32s']
        found[
            f'A lower rate without a skip gains less ({gain:+.1f}) than the skip ({first:+.1f})'
        ] = exceeds(first - gain, noise)
    return found


def run(study):
    values, seconds = {}, {}
    nets, runs = study.nets((*STAGES, *OTHERS)), {}
    for kind, net in nets.items():
        runs[kind] = study.train(net)
        found, seconds[kind] = study.score(net, runs[kind])
        values[kind] = percent(found)
    real = study.beside('googlenet') if study.trunk == 'mini' else None
    head = ['', *HEADS, *(f'the paper: {metric}' for metric in HEADS)]
    rows = [
        ({**STAGES, **OTHERS}[kind], *found, *PAPER.get(kind, [None] * 4))
        for kind, found in values.items()
    ]
    if real:  # Its own report names its iterations and their time.
        head.append('[real images, GoogLeNet](table2-googlenet.md): mean IU')
        rows = [
            (*row, real['raw']['percent'].get(kind, [None] * 4)[2])
            for kind, row in zip(values, rows, strict=True)
        ]
    noise = study.noise()
    text = [
        table(head, rows),
        claims(said({kind: found[2] for kind, found in values.items()}, noise)),
    ]
    if noise is not None:
        text.append(
            f'Each net was trained once. Mean IU of FCN-32s differs by {noise:.1f} points between the seeds of '
            '[balancing](balancing.md); what hangs on no more than that is undecided.'
        )
    text.append(f'{LENGTH} {LOWER}' if 'fcn32s-lower-lr' in values else LENGTH)
    if study.trunk == 'mini':
        text.append(MINIATURE)
    study.report('\n\n'.join(text), dict(percent=values, paper=PAPER, seconds_per_image=seconds))
