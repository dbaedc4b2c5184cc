"""Images, what FCN-8s makes of them, and the truth (section 5, Figure 6).

The paper's rows are successes, the last a failure. So are these, chosen by number: of the held-out images with
more than one class, those at the ninth, seventh and fifth tenth by mean IU, and the worst. The paper also shows what
SDS makes of them.
"""

import numpy as np
from tqdm import tqdm

from fcn.data_layers import DATASETS, VOID
from fcn.data_layers.dataset import evenly_spread
from fcn.metrics import confusion, metrics
from fcn.nets import find
from fcn.visualize import grid

from .study import table

IMAGES = 60
PLACES = (0.9, 0.7, 0.5, 0.0)


def run(study):
    net = study.net('fcn8s')
    label = study.segmenter(net, study.train(net))
    dataset, kind, found = study.dataset(net), DATASETS[find(net).data], {}
    for name in tqdm(
        evenly_spread(dataset.names, 10 if study.quick else IMAGES),
        desc=study.name,
        unit='image',
        dynamic_ncols=True,
        disable=None,
    ):
        image, truth = dataset.pair(name)
        if len(np.unique(truth[truth != VOID])) > 1:
            ours = label(image)
            iu = metrics(confusion(truth, ours, len(kind.classes)))['mean_iu']
            found[name] = iu, (image, {'FCN-8s': ours}, truth)
    ranked = sorted(found, key=lambda name: found[name][0])
    shown = list(dict.fromkeys(ranked[int(place * (len(ranked) - 1))] for place in PLACES))
    picture = study.picture('labels')
    values = {name: 100 * found[name][0] for name in shown}
    grid(
        picture,
        [found[name][1] for name in shown],
        kind,
        [f'mean IU {value:.1f}' for value in values.values()],
    )
    text = '\n\n'.join(
        [
            f'![image, FCN-8s, truth]({picture.name})',
            table(['image, from above', 'mean IU of the image'], values.items()),
            f'Of {len(found)} held-out images with more than one class, those at nine, seven and five tenths by mean IU, '
            "and last the worst, as the paper ends with a failure. The paper's figure also has SDS's column, which is not "
            'computed here.',
            f'The worst has {found[ranked[0]][0] / found[ranked[len(ranked) // 2]][0]:.2f} times the mean IU of the middle '
            'one.',
        ]
    )
    study.report(text, dict(percent=values, images=len(found)))
