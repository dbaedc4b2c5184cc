"""Augmentation (section 4.3): images mirrored at random, and moved by up to 32 pixels.

The paper tries both, moving by as much as the stride of its coarsest prediction, and sees no
noticeable improvement. Here a net learns without, with mirrors, and with both (data_layers.augment).
"""

from fcn.solvers.recipes import recipe_of

from . import ways
from .study import claims

PLAIN = 'plain'
JITTER = 32
WAYS = {
    PLAIN: {},
    'mirrored': dict(mirror=True),
    'mirrored and jittered': dict(mirror=True, jitter=JITTER),
}


def run(study):
    count = ways.iterations(study, 1600, 400)
    found, table = ways.compared(study, WAYS, count)
    others = [way for way in WAYS if way != PLAIN]
    improves = {way: ways.improves(found, way, PLAIN) for way in others}
    said = claims(
        {
            f'{way.capitalize()} images bring no noticeable improvement, of more than {ways.LEAST:g} point of '
            'mean IU': None if held is None else not held
            for way, held in improves.items()
        }
    )
    net = study.net('fcn32s')
    images = len(study.source(net, 'train').names())
    epochs = count * recipe_of(net).iter_size / images
    text = [
        table,
        ways.basis(study, count),
        said,
        '. '.join(ways.verdict(found, way, PLAIN) for way in others) + '.',
        f'Each net sees each of its {images} images {epochs:.1f} times. The fewer times, the less it could learn '
        'them by heart, which augmentation is against.',
    ]
    study.report('\n\n'.join(text), ways.raw(found))
