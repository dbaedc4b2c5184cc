"""Three classifiers made fully convolutional (section 4.1, Table 1).

What follows from the layers is computed from them: the receptive field and stride of the classifier's scores, how
many layers with parameters lie one after another, how many parameters there are. Time is that of a 500×500 image.
"""

import time

import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from engine import caffe, lean
from nets import FOLDER, deploy_net, find
from nets.field import fields
from surgery import cast_net, read_spec, start

from .study import claims, table

SIDE = 500
NETS = {'voc-fcn-alexnet': 'FCN-AlexNet', 'voc-fcn32s': 'FCN-VGG16', 'voc-fcn-googlenet': 'FCN-GoogLeNet'}
MINI = {'mini-fcn32s': 'the miniature'}
# Mean IU, ms on a K40c, parameter layers, millions of parameters, receptive field, stride.
PAPER = {'voc-fcn-alexnet': (39.8, 50, 8, 57, 355, 32), 'voc-fcn32s': (56.0, 210, 16, 134, 404, 32),
         'voc-fcn-googlenet': (42.5, 59, 22, 6, 907, 32)}


def score_field(name):
    """nets.field.Field of the class scores of the classifier that net `name` comes from, cast to convolutions."""
    (parent,) = find(name).parents
    deploy = FOLDER / parent / 'deploy.prototxt'
    whole = cast_net(caffe.Net(str(deploy), caffe.TEST), read_spec(deploy))
    return fields(whole)[whole.layer[-1].bottom[0]]


def depth(spec):
    """The most layers with parameters one after another in a NetSpec, fixed upsampling aside."""
    deepest = {}
    for layer in text_format.Parse(str(spec.to_proto()), caffe_pb2.NetParameter()).layer:
        below = max((deepest[bottom] for bottom in layer.bottom), default=0)
        for top in layer.top:
            deepest[top] = below + (layer.type in ('Convolution', 'InnerProduct'))
    return max(deepest.values())


def measure(name, trials):
    """A row of the table but for the mean IU, as {what: number}; `ms` is the mean over so many forward passes."""
    spec = deploy_net(find(name))
    file = FOLDER / name / 'deploy.prototxt'
    net = caffe.Net(str(file), caffe.TEST)
    start(net, [], init_missing=True)
    parameters = sum(blob.count for layer, blobs in net.params.items() for blob in blobs
                     if net.layer_dict[layer].type != 'Deconvolution')
    lean(net)
    net.blobs['data'].reshape(1, 3, SIDE, SIDE)
    net.blobs['data'].data[...] = np.random.default_rng(0).normal(0, 50, net.blobs['data'].shape)
    seconds = []
    for _ in range(trials + 1):
        began = time.perf_counter()
        net.forward()
        seconds.append(time.perf_counter() - began)
    field, strides = score_field(name), [found.stride for found in fields(spec).values()]
    return dict(ms=1000 * float(np.mean(seconds[1:])), layers=depth(spec), millions=parameters / 1e6,
                field=int(field.size), own_field=int(fields(spec)['score_fr'].size), stride=int(max(strides)))


def mean_iu(study, name):
    """In percent, of a run that is there or, of the miniature, is made; None without a run or a set to score it on."""
    if find(name).data == 'mini':
        run = study.train(name) if study.data is None else None
    else:
        run = study.found(name) if study.data else None
    if run is None:
        return None
    return 100 * next(iter(study.score(name, run)[0].values()))['mean_iu']


def run(study):
    trials = 1 if study.quick else 20
    nets = NETS if study.data else NETS | MINI
    found = {name: measure(name, trials) | {'mean_iu': mean_iu(study, name)} for name in nets}
    real = study.beside('voc') if study.data is None else None
    if real:  # What a run with --data has scored before.
        for name, values in real['raw']['found'].items():
            found[name]['mean_iu'] = values['mean_iu']
    rows = []
    for name, words in nets.items():
        values = found[name]
        rows.append((words, values['mean_iu'], f'{values["ms"]:.0f}', values['layers'], f'{values["millions"]:.1f}',
                     values['field'], values['own_field'], values['stride']))
        if name in PAPER:
            iu, ms, layers, millions, field, stride = PAPER[name]
            rows.append((f'{words}, the paper', iu, ms, layers, millions, field, None, stride))
    same = all((found[name]['layers'], round(found[name]['millions']), found[name]['field'], found[name]['stride'])
               == paper[2:] for name, paper in PAPER.items())
    order = sorted(PAPER, key=lambda name: PAPER[name][1]) == sorted(PAPER, key=lambda name: found[name]['ms'])
    text = '\n\n'.join([
        table(['net', 'mean IU', 'forward, ms', 'parameter layers', 'millions of parameters',
               'receptive field as a classifier', 'and as this FCN', 'max stride'], rows),
        claims({"Layers, parameters, receptive fields and strides, computed from the nets, are the paper's": same,
                'Time goes up in the order AlexNet, GoogLeNet, VGG-16': order}),
        f'Times are of a {SIDE}×{SIDE} image, the mean of {trials} after one to warm up, weights drawn; the paper has '
        "a Tesla K40c's. FCN-GoogLeNet lacks the classifier's last average pooling, so that its scores see less than "
        "the table of the paper says. A dash in the mean IU is a net that has not been trained here; "
        '`--data DIR --runs DIR` scores the runs that are there.'
        + (" The real nets' mean IU is of [table1-voc.md](table1-voc.md), which says how long they learned."
           if real else '')])
    study.report(text, dict(found=found, paper=PAPER))
