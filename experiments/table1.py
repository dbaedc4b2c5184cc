"""Three classifiers made fully convolutional (section 4.1, Table 1).

What follows from the layers is computed from them: the receptive field and stride of the classifier's scores, how
many layers with parameters lie one after another, how many parameters there are. Time is that of a 500×500 image.
"""

from itertools import pairwise

import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from benchmarks.clock import faster, in_turns
from fcn.engine import net_of, release_activations
from fcn.nets import NETS, deploy_net, find
from fcn.nets.receptive_field import receptive_fields
from fcn.surgery import convolutionalize, start

from .report import together
from .study import claims, table

SIDE = 500
TRIALS = 20
REAL = {
    'voc-fcn-alexnet': 'FCN-AlexNet',
    'voc-fcn32s': 'FCN-VGG16',
    'voc-fcn-googlenet': 'FCN-GoogLeNet',
}
MINI = {'mini-fcn32s': 'the miniature'}
# Mean IU, ms on a K40c, parameter layers, millions of parameters, receptive field, stride.
PAPER = {
    'voc-fcn-alexnet': (39.8, 50, 8, 57, 355, 32),
    'voc-fcn32s': (56.0, 210, 16, 134, 404, 32),
    'voc-fcn-googlenet': (42.5, 59, 22, 6, 907, 32),
}


def score_field(name):
    """nets.field.ReceptiveField of the class scores of the classifier that net `name` comes from, cast to convolutions."""
    (parent,) = find(name).parents
    classifier = deploy_net(find(parent)).to_proto()
    whole = convolutionalize(net_of(classifier), classifier)
    return receptive_fields(whole)[whole.layer[-1].bottom[0]]


def depth(spec):
    """The most layers with parameters one after another in a NetSpec, fixed upsampling aside."""
    deepest = {}
    for layer in text_format.Parse(str(spec.to_proto()), caffe_pb2.NetParameter()).layer:
        below = max((deepest[bottom] for bottom in layer.bottom), default=0)
        for top in layer.top:
            deepest[top] = below + (layer.type in ('Convolution', 'InnerProduct'))
    return max(deepest.values())


def structure(name):
    """What follows from the layers of a net, as {what: number}."""
    spec = deploy_net(find(name))
    net = net_of(spec)
    parameters = sum(
        blob.count
        for layer, blobs in net.params.items()
        for blob in blobs
        if net.layer_dict[layer].type != 'Deconvolution'
    )
    field, strides = score_field(name), [found.stride for found in receptive_fields(spec).values()]
    return dict(
        layers=depth(spec),
        millions=parameters / 1e6,
        field=int(field.size),
        own_field=int(receptive_fields(spec)['score_fr'].size),
        stride=int(max(strides)),
    )


def forward(name):
    """The forward pass of a net with drawn weights on an image of noise."""
    net = net_of(deploy_net(find(name)))
    start(net, [], init_missing=True)
    release_activations(net)
    net.blobs['data'].reshape(1, 3, SIDE, SIDE)
    net.blobs['data'].data[...] = np.random.default_rng(0).normal(0, 50, net.blobs['data'].shape)
    return net.forward


def run_of(study, name):
    """(net, solvers.Run) of which the mean IU is: the net of Table 1's recipe if it has a run, else `name`'s; of the
    miniature, the run that is there or is made. None without a run or a set to score it on."""
    if find(name).data == 'mini':
        return (name, study.train(name)) if study.data is None else None
    for net in (f'{name}-cvpr', name) if study.data else ():
        if net in NETS and (run := study.found(net)):
            return net, run
    return None


def mean_iu(study, name):
    """{'mean_iu': in percent, 'run': the net whose run it is}, each None if there is no run."""
    net, run = run_of(study, name) or (None, None)
    return dict(
        mean_iu=100 * next(iter(study.score(net, run)[0].values()))['mean_iu'] if run else None,
        run=net,
    )


def said(found, seconds):
    """{what the paper says: whether it is so, None if undecided}, of {net: structure} and {net: seconds of trials}."""
    same = all(
        (
            found[name]['layers'],
            round(found[name]['millions']),
            found[name]['field'],
            found[name]['stride'],
        )
        == paper[2:]
        for name, paper in PAPER.items()
    )
    order = sorted(PAPER, key=lambda name: PAPER[name][1])
    return {
        "Layers, parameters, receptive fields and strides, computed from the nets, are the paper's": same,
        'Time goes up in the order AlexNet, GoogLeNet, VGG-16': together(
            faster(seconds[one], seconds[other]) for one, other in pairwise(order)
        ),
    }


def run(study):
    trials = 1 if study.quick else TRIALS
    nets = REAL if study.data else REAL | MINI
    seconds = in_turns({name: forward(name) for name in nets}, trials)
    found = {
        name: structure(name)
        | dict(
            ms=1000 * float(np.mean(seconds[name])),
            median_ms=1000 * float(np.median(seconds[name])),
        )
        | mean_iu(study, name)
        for name in nets
    }
    real = study.beside('voc') if study.data is None else None
    if real:  # What a run with --data has scored before.
        for name, values in real['raw']['found'].items():
            found[name].update(
                mean_iu=values['mean_iu'],
                run=values.get('run', name if values['mean_iu'] else None),
            )
    rows = []
    for name, words in nets.items():
        values = found[name]
        rows.append(
            (
                words,
                values['mean_iu'],
                values['run'] and f'`{values["run"]}`',
                f'{values["ms"]:.0f}',
                f'{values["median_ms"]:.0f}',
                values['layers'],
                f'{values["millions"]:.1f}',
                values['field'],
                values['own_field'],
                values['stride'],
            )
        )
        if name in PAPER:
            iu, ms, layers, millions, field, stride = PAPER[name]
            rows.append(
                (f'{words}, the paper', iu, None, ms, None, layers, millions, field, None, stride)
            )
    text = '\n\n'.join(
        [
            table(
                [
                    'net',
                    'mean IU',
                    'of the run',
                    'forward, ms: mean',
                    'median',
                    'parameter layers',
                    'millions of parameters',
                    'receptive field as a classifier',
                    'and as this FCN',
                    'max stride',
                ],
                rows,
            ),
            claims(said(found, seconds)),
            f'Times are of a {SIDE}×{SIDE} image, the mean and the median of {trials} after one to warm up, the nets in '
            "turns, weights drawn; the paper has a Tesla K40c's mean of 20. Their order is undecided where trials differ "
            "too much to say. FCN-GoogLeNet lacks the classifier's last average pooling, so that its "
            'scores see less than the table of the paper says.',
            "Table 1's nets learned from the 1112 images of VOC 2011 train and were scored on all of its val, by the "
            'recipe of the nets named `-cvpr`; `--data DIR --runs DIR` scores their runs, or where they have none those '
            'of the nets without. A dash is a net that has no run.'
            + (
                " The real nets' mean IU is of [table1-voc.md](table1-voc.md), which says how long they learned."
                if real
                else ''
            ),
        ]
    )
    study.report(text, dict(found=found, paper=PAPER))
