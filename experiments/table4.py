"""Table 4: what depth adds on NYUDv2 (section 5), by five inputs and three ways to join them.

The paper compares colour, colour and depth as channels of one image (early fusion), HHA alone, and colour and HHA as
two nets whose scores are averaged (late fusion), all at stride 32, and that at stride 16. Late fusion is best there.
Each net here starts from its parents, as in nets/table.py: both streams of the last two have been trained alone before.
"""

from fcn.data_layers import DATASETS
from fcn.data_layers.dataset import evenly_spread
from fcn.inference import load_net, segment
from fcn.metrics import METRICS
from fcn.nets import deploy_net, find
from fcn.visualize import grid

from .report import HEADS
from .study import claims, exceeds, table

# The CVPR paper's Table 4, on the 654 test images in 40 classes: the four metrics in percent.
PAPER = {
    'FCN-32s RGB': ('nyud-fcn32s-color', (60.0, 42.2, 29.2, 43.9)),
    'FCN-32s RGBD': ('nyud-fcn32s-color-d', (61.5, 42.4, 30.5, 45.5)),
    'FCN-32s HHA': ('nyud-fcn32s-hha', (57.1, 35.2, 24.2, 40.4)),
    'FCN-32s RGB-HHA': ('nyud-fcn32s-color-hha', (64.3, 44.9, 32.8, 48.0)),
    'FCN-16s RGB-HHA': ('nyud-fcn16s-color-hha', (65.4, 46.1, 34.0, 49.5)),
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
MINIATURE = """
The miniature's rooms are made for this question. A picture on the wall and a board before it look alike in colour, and
a picture is not seen in depth, so neither input can do alone. HHA is computed from the depth by `data_layers/hha.py`.
"""


def run(study):
    nets = {title: study.net(kind) for title, (kind, _) in PAPER.items()}
    runs = {title: study.train(name) for title, name in nets.items()}
    found = {title: study.score(name, runs[title])[0]['label'] for title, name in nets.items()}
    rows = [
        (title, *(100 * found[title][metric] for metric in METRICS), *figures)
        for title, (_, figures) in PAPER.items()
    ]
    grid(
        study.picture('rooms'),
        _pictures(study, nets, runs),
        DATASETS[find(nets['FCN-32s RGB']).data],
    )
    head = ['', *(f'{metric}, {whose}' for whose in ('ours', 'paper') for metric in HEADS)]
    noise = study.noise()
    text = [table(head, rows), claims(said(found, noise))]
    if noise is not None:
        text.append(
            f"Each net was trained once. Mean IU of the miniature's FCN-32s differs by {noise:.1f} points "
            'between the seeds of [balancing](balancing.md); what hangs on no more than that is undecided.'
        )
    text += [longer({net: runs[title].iteration for title, net in nets.items()})]
    text += [] if study.data else [MINIATURE.strip()]
    text += [f'![colour, HHA, labels by three of the nets, truth]({study.picture("rooms").name})']
    study.report(
        '\n\n'.join(filter(None, text)),
        {
            nets[title]: dict(metrics=values, paper=PAPER[title][1])
            for title, values in found.items()
        },
    )


def longer(iterations):
    """Which nets of {net: iterations} go on from others of them, and for how long, in words; '' if none is known to."""
    more = [
        f'`{net}` has {count} iterations more than {" and ".join(f"`{parent}`" for parent in find(net).parents)}'
        for net, count in iterations.items()
        if count and set(find(net).parents) <= set(iterations)
    ]
    return (
        (
            f'The nets that fuse late go on from nets that have learned: {", ".join(more)}. Part of their gains may be '
            'longer learning.'
        )
        if more
        else ''
    )


def said(found, noise=None):
    """{what the paper says: whether it is so}, of {title: metrics}, with the gains in mean IU, ours and the paper's;
    None for a gain or a loss of no more than `noise` points."""
    held = {}
    for claim, (better, worse) in CLAIMS.items():
        gain = 100 * (found[better]['mean_iu'] - found[worse]['mean_iu'])
        held[
            f'{claim} ({gain:+.1f} mean IU; the paper {PAPER[better][1][2] - PAPER[worse][1][2]:+.1f})'
        ] = exceeds(gain, noise)
    return held


def _pictures(study, nets, runs):
    """[({input: image}, {net: labels}, truth)] of some images that no net learned from, for grid."""
    dataset = study.dataset(nets['FCN-32s RGB'])
    shown = evenly_spread(dataset.names, SHOWN)
    labels = {}
    for title in ('FCN-32s RGB', 'FCN-32s HHA', 'FCN-16s RGB-HHA'):
        row = find(nets[title])
        net, (label,) = load_net(deploy_net(row), runs[title].weights()), row.classes
        labels[title] = [
            segment(net, row, {top: dataset.image(name, top) for top in row.input_blobs})[label]
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
