"""Table 4: what depth adds on NYUDv2 (section 5), by five inputs and three ways to join them.

The paper compares colour, colour and depth as channels of one image (early fusion), HHA alone, and
colour and HHA as two nets whose scores are averaged (late fusion), all at stride 32, and the last
at stride 16 too. Late fusion is best there. Each net here starts from its parents, as in
nets/table.py: both streams of the last two have been trained alone before.
"""

from collections.abc import Mapping
from typing import Any

from fcn.data_layers import DATASETS, evenly_spread
from fcn.inference import load_net, segment
from fcn.nets import deploy_net, find
from fcn.solvers import Run
from fcn.text import markdown_table
from fcn.visualize import grid

from .claims import Claims, exceeds
from .pages import HEADS, Page
from .paper import TABLE4
from .records import Figure
from .runs import Published
from .scoring import percent
from .study import Study

KINDS = {
    'FCN-32s RGB': 'nyud-fcn32s-color',
    'FCN-32s RGBD': 'nyud-fcn32s-color-d',
    'FCN-32s HHA': 'nyud-fcn32s-hha',
    'FCN-32s RGB-HHA': 'nyud-fcn32s-color-hha',
    'FCN-16s RGB-HHA': 'nyud-fcn16s-color-hha',
}
# What the paper's table says, as pairs of which the first has the higher mean IU.
CLAIMS = {
    'Depth as a fourth channel helps colour': ('FCN-32s RGBD', 'FCN-32s RGB'),
    'Colour alone beats HHA alone': ('FCN-32s RGB', 'FCN-32s HHA'),
    'Late fusion beats colour alone': ('FCN-32s RGB-HHA', 'FCN-32s RGB'),
    'Late fusion beats HHA alone': ('FCN-32s RGB-HHA', 'FCN-32s HHA'),
    'Late fusion beats early fusion': ('FCN-32s RGB-HHA', 'FCN-32s RGBD'),
    'Stride 16 beats stride 32': ('FCN-16s RGB-HHA', 'FCN-32s RGB-HHA'),
}
SHOWN = 4
DRAWN = ('FCN-32s RGB', 'FCN-32s HHA', 'FCN-16s RGB-HHA')
MINIATURE = (
    "The miniature's rooms are made for this question. A picture on the wall and a board in front "
    'of it look alike in colour, and a picture is not seen in depth, so neither input can do '
    'alone. HHA is computed from the depth by `data_layers/hha.py`.'
)


def measure(study: Study) -> dict[str, Any]:
    """Draw the picture, and return the metrics of each net."""
    nets = {title: study.settings.net(kind) for title, kind in KINDS.items()}
    runs = {title: study.runs.train(name) for title, name in nets.items()}
    results = {
        title: study.scoring.score(name, runs[title])[0]['label'] for title, name in nets.items()
    }
    config = DATASETS[find(nets['FCN-32s RGB']).data]
    grid(study.picture('rooms'), draw_rows(study, nets, runs), config)
    return {
        nets[title]: dict(metrics=values, paper=TABLE4[KINDS[title]])
        for title, values in results.items()
    }


def draw_rows(
    study: Study, nets: Mapping[str, str], runs: Mapping[str, Run | Published]
) -> list[Any]:
    """Return ({input: image}, {net: labels}, truth) of some images that no net learned from."""
    dataset = study.sets.dataset(nets['FCN-32s RGB'])
    shown = evenly_spread(dataset.names, SHOWN)
    labels = {}
    for title in DRAWN:
        config = find(nets[title])
        net, (label,) = load_net(deploy_net(config), str(runs[title].weights())), config.classes
        labels[title] = [
            segment(net, config, {top: dataset.image(name, top) for top in config.input_blobs})[
                label
            ]
            for name in shown
        ]
    return [
        (
            {'colour': dataset.image(name, 'color'), 'HHA': dataset.image(name, 'hha')},
            {title: found[index] for title, found in labels.items()},
            dataset.label(name),
        )
        for index, name in enumerate(shown)
    ]


def by_title(page: Page) -> dict[str, dict[str, float]]:
    """Return {title: metrics} of a page."""
    return {title: page.raw[page.net(kind)]['metrics'] for title, kind in KINDS.items()}


def longer(iterations: Mapping[str, int | None]) -> str:
    """Return which nets of {net: iterations} go on from others of them, and for how long; '' if
    that is known of none."""
    more = [
        f'`{net}` has {count} iterations more than '
        f'{" and ".join(f"`{parent}`" for parent in find(net).parents)}'
        for net, count in iterations.items()
        if count and set(find(net).parents) <= set(iterations)
    ]
    if not more:
        return ''
    return (
        f'The nets that fuse late go on from nets that have learned: {", ".join(more)}. Part of '
        'their gains may be longer learning.'
    )


def check_metrics(results: Mapping[str, Mapping[str, float]], noise: float | None = None) -> Claims:
    """Return what the paper says, with the gains in mean IU, and whether it holds, of {title:
    metrics}; None for a gain or a loss of no more than `noise` points."""
    claims = {}
    for claim, (better, worse) in CLAIMS.items():
        gain = 100 * (results[better]['mean_iu'] - results[worse]['mean_iu'])
        paper = TABLE4[KINDS[better]][2] - TABLE4[KINDS[worse]][2]
        claims[f'{claim} ({gain:+.1f} mean IU; the paper {paper:+.1f})'] = exceeds(gain, noise)
    return claims


def body(page: Page) -> str:
    nets = {title: page.net(kind) for title, kind in KINDS.items()}
    rows = [
        (title, page.iterations(nets[title]), *percent(values), *TABLE4[KINDS[title]])
        for title, values in by_title(page).items()
    ]
    heads = (f'{metric}, {whose}' for whose in ('ours', 'paper') for metric in HEADS)
    text = [
        markdown_table(['', 'iterations', *heads], rows),
        page.verdicts(lambda page: check_metrics(by_title(page), page.noise)),
        page.seeds(),
        longer({net: page.iterations(net) for net in nets.values()}),
        MINIATURE if page.mini else '',
        f'![colour, HHA, labels by three of the nets, truth]({page.picture("rooms")})',
    ]
    return '\n\n'.join(filter(None, text))


def figures(page: Page) -> list[Figure]:
    how = f'one seed, scored on {page.record.scored_on} images'
    return [
        Figure(net, 100 * values['metrics']['mean_iu'], page.iterations(net), how)
        for net, values in page.raw.items()
    ]
