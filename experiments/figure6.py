"""Images, the labels of FCN-8s, and the truth (section 5, Figure 6).

The paper's rows are successes, the last a failure. So are these, chosen by number: of the held-out
images with more than one class, those at the ninth, seventh and fifth tenth by mean IU, and the
worst. The paper also shows the labels of SDS.
"""

from typing import Any

import numpy as np

from fcn.data_layers import DATASETS, VOID, evenly_spread
from fcn.metrics import confusion, metrics
from fcn.nets import find
from fcn.text import markdown_table
from fcn.visualize import grid

from .pages import Page
from .records import Figure
from .scoring import progress
from .study import Study

IMAGES = 60
PLACES = (0.9, 0.7, 0.5, 0.0)


def measure(study: Study) -> dict[str, Any]:
    """Draw the picture, and return the mean IU of its images in percent, the worst last."""
    net = study.settings.net('fcn8s')
    segment = study.scoring.segmenter(net, study.runs.train(net))
    dataset, config = study.sets.dataset(net), DATASETS[find(net).data]
    names = evenly_spread(dataset.names, 10 if study.settings.quick else IMAGES)
    rows, mean_iu = {}, {}
    for name in progress(names, study.settings.name):
        image, truth = dataset.pair(name)
        if len(np.unique(truth[truth != VOID])) > 1:
            labels = segment(image)
            mean_iu[name] = metrics(confusion(truth, labels, len(config.classes)))['mean_iu']
            rows[name] = image, {'FCN-8s': labels}, truth
    ranked = sorted(mean_iu, key=lambda name: mean_iu[name])
    shown = list(dict.fromkeys(ranked[int(place * (len(ranked) - 1))] for place in PLACES))
    percent = {name: 100 * mean_iu[name] for name in shown}
    sides = [f'mean IU {value:.1f}' for value in percent.values()]
    grid(study.picture('labels'), [rows[name] for name in shown], config, sides)
    return dict(
        percent=percent,
        images=len(mean_iu),
        worst_to_middle=mean_iu[ranked[0]] / mean_iu[ranked[len(ranked) // 2]],
    )


def body(page: Page) -> str:
    raw, count = page.raw, page.iterations(page.net('fcn8s'))
    after = f', after {count} iterations' if count else ''
    text = [
        f'![image, FCN-8s, truth]({page.picture("labels")})',
        markdown_table(
            ['image, from above', f'mean IU of the image{after}'], list(raw['percent'].items())
        ),
        f'Of {raw["images"]} held-out images with more than one class, these are at nine, seven '
        'and five tenths by mean IU. The last is the worst, as the paper ends with a failure. The '
        "paper's figure also has a column of SDS, which is not computed here.",
        f'The worst has {raw["worst_to_middle"]:.2f} times the mean IU of the middle one.',
    ]
    return '\n\n'.join(text)


def figures(page: Page) -> list[Figure]:
    """Return nothing: the mean IU of single images is no score of a net that another page gives."""
    return []
