"""Augmentation (section 4.3): images mirrored at random, and moved by up to 32 pixels.

The paper tries both, moving by as much as the stride of its coarsest prediction, and sees no
noticeable improvement. Here a net learns without, with mirrors, and with both (data_layers.augment).
"""

from . import ways
from .study import claims

PLAIN = 'plain'
JITTER = 32
WAYS = {PLAIN: {}, 'mirrored': dict(mirror=True), 'mirrored and jittered': dict(mirror=True, jitter=JITTER)}


def run(study):
    count = ways.iterations(study, 1600, 400)
    found, table = ways.compared(study, WAYS, count)
    others = [way for way in WAYS if way != PLAIN]
    gains = {way: ways.gain(found, way, PLAIN) for way in others}
    said = claims({f'{way.capitalize()} images bring no noticeable improvement of mean IU': not (noticed and gain > 0)
                   for way, (gain, noticed) in gains.items()})
    text = [table, ways.basis(study, count), said, '. '.join(ways.verdict(found, way, PLAIN) for way in others) + '.']
    study.report('\n\n'.join(text), ways.raw(found))
