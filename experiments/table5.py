"""Table 5: SIFT Flow's two labellings by one net with two heads (section 5), against a net for each.

The paper trains an FCN-16s with a semantic and a geometric head and loss on one trunk. It finds that this net is as
good at both tasks as two nets trained apart, and learns and infers about as fast as either of them.
"""

import numpy as np

from benchmarks.clock import faster, in_turns
from fcn.engine import caffe, net_of, release_activations
from fcn.inference import load_net
from fcn.metrics import METRICS
from fcn.nets import deploy_net, find, train_net
from fcn.surgery import transplant

from .report import HEADS, exceeds
from .study import claims, table

KINDS = {
    'both': 'siftflow-fcn16s',
    'semantic alone': 'siftflow-fcn16s-sem',
    'geometric alone': 'siftflow-fcn16s-geo',
}
PAPER = (
    85.2,
    51.7,
    39.5,
    76.1,
    None,
    94.3,
)  # of both, on the 200 test images, over the classes that occur there
# Each judged by what the paper reports of it.
LABELS = {
    'sem': ('semantic', 'mean_iu', 'mean IU'),
    'geo': ('geometric', 'pixel_accuracy', 'pixel accuracy'),
}
ROUNDS, TURN = (
    5,
    0.3,
)  # rounds of which the median is taken, and the seconds of each net's turn in each


def run(study):
    nets = {title: study.net(kind) for title, kind in KINDS.items()}
    runs = {title: study.train(name) for title, name in nets.items()}
    found = {title: study.score(name, runs[title])[0] for title, name in nets.items()}
    rounds = _rounds(study, nets, runs)
    times = {
        title: [float(np.median(seconds)) for seconds in pair] for title, pair in rounds.items()
    }
    rows = [
        (title, *_figures(found[title]), *(1000 * seconds for seconds in times[title]))
        for title in nets
    ]
    rows.append(('both, in the paper', *PAPER, None, None))
    head = [
        'FCN-16s',
        *HEADS,
        'geometric mean IU',
        'geometric pixel acc.',
        'ms an iteration',
        'ms an image',
    ]
    noise, count = study.noise(), len(rounds['both'][0])
    text = [
        table(head, rows),
        claims(said(found, rounds, noise)),
        f'One seed{f"; seeds differ by {noise:.1f} points of mean IU" if noise else ""}. Times are the median of '
        f'{count} round{"s" * (count > 1)} after a pass to warm up, the nets in turns.',
    ]
    study.report(
        '\n\n'.join(text),
        {
            nets[title]: dict(
                metrics=found[title],
                seconds_an_iteration=times[title][0],
                seconds_an_image=times[title][1],
            )
            for title in nets
        },
    )


def _figures(found):
    """The columns of {label: metrics} in percent, None for what a net does not learn."""
    semantic = [100 * found['sem'][metric] if 'sem' in found else None for metric in METRICS]
    return *semantic, *(
        100 * found['geo'][metric] if 'geo' in found else None
        for metric in ('mean_iu', 'pixel_accuracy')
    )


def said(found, rounds, noise=0):
    """{what the paper says: whether it is so, None if undecided}, with the figures.

    Of {title: {label: metrics}} and {title: (seconds of learning in each round, seconds of inference)}. `noise` is what
    seeds differ by, in points of mean IU.
    """
    held = {}
    for label, (word, metric, words) in LABELS.items():
        gain = 100 * (found['both'][label][metric] - found[f'{word} alone'][label][metric])
        held[
            f'One net for both is as good at the {word} classes as one for them alone, within a point '
            f'({gain:+.1f} {words})'
        ] = exceeds(gain + 1, noise if metric == 'mean_iu' else 0)
    for index, words in enumerate(('learns', 'infers')):
        both, *alone = (seconds[index] for seconds in rounds.values())
        time, *apart = map(np.median, (both, *alone))
        held[
            f'It {words} about as fast as the slower of the two, within a fifth ({time / max(apart):.2f} of its time, '
            f'{time / sum(apart):.2f} of that of both)'
        ] = faster(both, max(alone, key=np.median), 1 / 1.2)
    return held


def _rounds(study, nets, runs):
    """{title: (seconds of forward and backward in each round, seconds of inference)} for an image of validation."""
    works = {
        (title, index): work
        for title, name in nets.items()
        for index, work in enumerate(_works(study, name, runs[title]))
    }
    seconds = in_turns(works, 1 if study.quick else ROUNDS, TURN)
    return {title: (seconds[title, 0], seconds[title, 1]) for title in nets}


def _works(study, name, run):
    """Two functions: one learns from an image, as far as its gradients, and one infers the labels of another."""
    row, dataset = find(name), study.dataset(name)
    learns = net_of(train_net(row, study.source(name, 'val', 1)), caffe.TRAIN)
    transplant(learns, run.weights())
    release_activations(learns)
    infers = load_net(deploy_net(row), run.weights())
    for top, blob in row.input_blobs.items():
        image = dataset.inputs[top].blob(dataset.image(dataset.names[0], top))
        infers.blobs[blob].reshape(1, *image.shape)
        infers.blobs[blob].data[0] = image

    def learn():
        learns.forward()
        learns.backward()

    return learn, infers.forward
