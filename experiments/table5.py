"""Table 5: SIFT Flow's two labellings by one net with two heads (section 5), against a net for each.

The paper trains an FCN-16s with a semantic and a geometric head and loss on one trunk. It finds that this net is as
good at both tasks as two nets trained apart, and learns and infers about as fast as either of them.
"""

import tempfile

import caffe
import numpy as np

from benchmarks.clock import least
from engine import lean
from nets import deploy_net, find, input_tops, train_net
from solvers import METRICS, load_net
from surgery import transplant

from .study import claims, table

KINDS = {'both': 'siftflow-fcn16s', 'semantic alone': 'siftflow-fcn16s-sem', 'geometric alone': 'siftflow-fcn16s-geo'}
PAPER = (85.2, 51.7, 39.5, 76.1, None, 94.3)  # of both, on the 200 test images, over the classes that occur there
# Each judged by what the paper reports of it.
LABELS = {'sem': ('semantic', 'mean_iu', 'mean IU'), 'geo': ('geometric', 'pixel_accuracy', 'pixel accuracy')}
ROUNDS, PASSES = 5, 10  # the least of so many rounds is taken, which the nets have in turn: other work slows all alike


def run(study):
    nets = {title: study.net(kind) for title, kind in KINDS.items()}
    runs = {title: study.train(name) for title, name in nets.items()}
    found = {title: study.score(name, runs[title])[0] for title, name in nets.items()}
    times = _seconds(study, nets, runs)
    rows = [(title, *_figures(found[title]), *(1000 * seconds for seconds in times[title])) for title in nets]
    rows.append(('both, in the paper', *PAPER, None, None))
    head = ['FCN-16s', 'pixel acc.', 'mean acc.', 'mean IU', 'f.w. IU', 'geometric mean IU', 'geometric pixel acc.',
            'ms an iteration', 'ms an image']
    study.report(f'{table(head, rows)}\n\n{claims(said(found, times))}',
                 {nets[title]: dict(metrics=found[title], seconds_an_iteration=times[title][0],
                                    seconds_an_image=times[title][1]) for title in nets})


def _figures(found):
    """The columns of {label: metrics} in percent, None for what a net does not learn."""
    semantic = [100 * found['sem'][metric] if 'sem' in found else None for metric in METRICS]
    return *semantic, *(100 * found['geo'][metric] if 'geo' in found else None
                        for metric in ('mean_iu', 'pixel_accuracy'))


def said(found, times):
    """{what the paper says: whether it is so}, of {title: {label: metrics}} and {title: seconds}, with the figures."""
    held = {}
    for label, (word, metric, words) in LABELS.items():
        gain = 100 * (found['both'][label][metric] - found[f'{word} alone'][label][metric])
        held[f'One net for both is as good at the {word} classes as one for them alone, within a point '
             f'({gain:+.1f} {words})'] = gain > -1
    for index, words in enumerate(('learns', 'infers')):
        both, *alone = (seconds[index] for seconds in times.values())
        held[f'It {words} about as fast as the slower of the two, within a fifth ({both / max(alone):.2f} of its time, '
             f'{both / sum(alone):.2f} of that of both)'] = both < 1.2 * max(alone)
    return held


def _seconds(study, nets, runs):
    """{title: (seconds of forward and backward, seconds of inference)} for one image of the validation split."""
    works = {title: _works(study, name, runs[title]) for title, name in nets.items()}
    best = dict.fromkeys(nets, (np.inf, np.inf))
    for _ in range(1 if study.quick else ROUNDS):
        for title, pair in works.items():
            best[title] = tuple(min(known, least(work, 1 if study.quick else PASSES))
                                for known, work in zip(best[title], pair, strict=True))
    return best


def _works(study, name, run):
    """Two functions: one learns from an image, as far as its gradients, and one infers the labels of another."""
    row, dataset = find(name), study.dataset(name)
    with tempfile.NamedTemporaryFile('w', suffix='.prototxt') as file:
        file.write(str(train_net(row, study.source(name, 'val', 1)).to_proto()))
        file.flush()
        learns = caffe.Net(file.name, caffe.TRAIN)
    transplant(learns, run.weights())
    lean(learns)
    infers = load_net(deploy_net(row), run.weights())
    for top, blob in input_tops(row).items():
        image = dataset.inputs[top].blob(dataset.image(dataset.names[0], top))
        infers.blobs[blob].reshape(1, *image.shape)
        infers.blobs[blob].data[0] = image

    def learn():
        learns.forward()
        learns.backward()

    return learn, infers.forward
