"""The skip architectures (section 4.2, Table 2, and what the text around it compares them with).

The paper: learning all layers beats learning the last alone; each skip adds to the mean IU, the second little; the
score of pool4 alone is poor, and a lower learning rate without a skip gains next to nothing. (The truncated nets to
pool4 and pool3 have no figures in the CVPR paper's table.)
"""

from itertools import pairwise

from solvers import METRICS

from .report import HEADS
from .study import claims, table

STAGES = {'fcn32s-fixed': 'FCN-32s-fixed', 'fcn32s': 'FCN-32s', 'fcn16s': 'FCN-16s', 'fcn8s': 'FCN-8s'}
OTHERS = {'fcn-pool4': 'pool4 alone', 'fcn-pool3': 'pool3 alone', 'fcn32s-lower-lr': 'FCN-32s, on at a lower rate'}
PAPER = {'fcn32s-fixed': (83.0, 59.7, 45.4, 72.0), 'fcn32s': (89.1, 73.3, 59.4, 81.4),
         'fcn16s': (90.0, 75.7, 62.4, 83.0), 'fcn8s': (90.3, 75.9, 62.7, 83.2)}


def percent(found):
    """The four metrics of the first label in percent."""
    first = next(iter(found.values()))
    return [100 * first[metric] for metric in METRICS]


def said(iu):
    """{what the paper says: whether it is so}, of {kind: mean IU in percent}, as far as the nets are there."""
    stages = [kind for kind in STAGES if kind in iu]
    order = all(iu[coarse] < iu[fine] for coarse, fine in pairwise(stages))
    found = {f'The order of the stages by mean IU is {", ".join(STAGES[kind] for kind in stages)}': order}
    if 'fcn8s' in iu:
        found['The second skip adds less than the first'] = iu['fcn8s'] - iu['fcn16s'] < iu['fcn16s'] - iu['fcn32s']
    if 'fcn-pool4' in iu:
        found['Scores of pool4 alone are poorer than those of FCN-32s'] = iu['fcn-pool4'] < iu['fcn32s']
    if 'fcn32s-lower-lr' in iu:
        gain = iu['fcn32s-lower-lr'] - iu['fcn32s']
        found[f'A lower rate without a skip gains less ({gain:+.1f}) than the skip ({iu["fcn16s"] - iu["fcn32s"]:+.1f})'
              ] = gain < iu['fcn16s'] - iu['fcn32s']
    return found


def run(study):
    values, seconds = {}, {}
    for kind, net in study.nets((*STAGES, *OTHERS)).items():
        found, seconds[kind] = study.score(net, study.train(net))
        values[kind] = percent(found)
    real = study.beside('googlenet') if study.trunk == 'mini' else None
    head = ['', *HEADS, *(f'the paper: {metric}' for metric in HEADS)]
    rows = [({**STAGES, **OTHERS}[kind], *found, *PAPER.get(kind, [None] * 4)) for kind, found in values.items()]
    if real:  # Its own report names its iterations and their time.
        head.append('[real images, GoogLeNet](table2-googlenet.md): mean IU')
        rows = [(*row, real['raw']['percent'].get(kind, [None] * 4)[2]) for kind, row in zip(values, rows, strict=True)]
    text = [table(head, rows), claims(said({kind: found[2] for kind, found in values.items()}))]
    study.report('\n\n'.join(text), dict(percent=values, paper=PAPER, seconds_per_image=seconds))
