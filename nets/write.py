"""From a row of the table to prototxts: the nets to train, to validate and to deploy."""

import json
from pathlib import Path

from caffe import NetSpec
from caffe import layers as L

from data_layers import DATASETS
from files import write_text

from .table import find
from .vocabulary import Stream, softmax_loss, weighted_loss

FOLDER = Path(__file__).resolve().parent


def train_net(row, source, sampling=None, matrices=None):
    """NetSpec of a row that learns from `source`, a data_layers.Source.

    `sampling` holds the options of data_layers.sampling, to learn from a share of the
    cells; `matrices` the file of each label's class weights, to balance the classes.
    """
    dataset, names = DATASETS[row.data], labels_of(row)
    tops = (*input_tops(row).values(), *names)
    chosen = {'tops': [*input_tops(row), *names]} if row.inputs or row.learns else {}
    n = NetSpec()
    blobs = L.Python(module='data_layers.layers', layer='SegDataLayer', param_str=source.param_str(**chosen),
                     ntop=len(tops))
    for top, blob in zip(tops, blobs, strict=True):
        n[top] = blob
    labels, weight = {label: n[label] for label in names}, 1
    scored = _scores(n, row)
    if sampling:
        labels = _sampled(n, labels, sampling | _grid(row, next(iter(scored.values()))))
        # Caffe takes the mean of a batch's gradients. A batch that grew by 1/p for as many
        # cells would weigh p times as much, if the loss sums them.
        weight = 1 if row.normalize else 1 / sampling['p']
    for label, scores in scored.items():
        # The first label's loss is plain `loss`, as published nets have it.
        name = 'loss' if label == next(iter(names)) else f'loss{_suffix(dataset, label)}'
        if matrices:
            n[name] = weighted_loss(scores, labels[label], matrices[label], row.normalize, weight)
        else:
            n[name] = softmax_loss(scores, labels[label], row.normalize, weight)
    return n


def _sampled(n, labels, sampling):
    """The labels, {name: top}, with cells ignored at random (section 3.4)."""
    names = [f'{label}_sampled' for label in labels]
    tops = L.Python(*labels.values(), module='data_layers.sampling', layer='SamplingLayer',
                    param_str=json.dumps(sampling), ntop=len(names))
    for name, top in zip(names, tops if len(names) > 1 else [tops], strict=True):
        n[name] = top
    return {label: n[name] for label, name in zip(labels, names, strict=True)}


def _grid(row, score):
    """Where the cells of a row's last score lie under the image, given the top that crops it when it is upsampled.

    A cell's bilinear kernel spans two strides and is highest in its middle, so a pixel's nearest cell
    is found half a stride further up.
    """
    stride, offset = row.head.stride, int(score.fn.params['crop_param']['offset'][0])
    return dict(stride=stride, shift=(offset - stride // 2) % stride)


def deploy_net(row):
    """NetSpec of a row that takes N×C×H×W inputs and ends in scores."""
    n = NetSpec()
    side = 500 if row.head else row.trunk.input_size
    for name, top in input_tops(row).items():
        channels = DATASETS[row.data].inputs[name].channels
        n[top] = L.Input(input_param=dict(shape=dict(dim=[1, channels, side, side])))
    scores = _scores(n, row)
    if not row.head:
        n.prob = L.Softmax(*scores.values())
    return n


def input_tops(row):
    """The blobs that the inputs of a row enter by: an input that is alone is `data`."""
    inputs = row.inputs or tuple(DATASETS[row.data].inputs)
    return {name: name if len(inputs) > 1 else 'data' for name in inputs}


def labels_of(row):
    """{label: its class names} of what a row scores."""
    labels = DATASETS[row.data].labels
    return {label: labels[label] for label in row.learns or labels}


def score_tops(row):
    """The blob that scores the classes of each label of a row."""
    dataset = DATASETS[row.data]
    return {label: f'score{_suffix(dataset, label)}' for label in labels_of(row)}


def _suffix(dataset, label):
    """What tells a label's layers apart on a data set of several; a net that learns one alone names them as both do."""
    return f'_{label}' if len(dataset.labels) > 1 else ''


def _scores(n, row):
    """Add trunk and heads; return the scores of each label."""
    labels = labels_of(row)
    tops = list(input_tops(row).values())
    if row.head is None:
        (label, classes), = labels.items()
        return {label: row.trunk.classifier(n, n.data, len(classes))}
    if row.fusion == 'early':
        n.data = L.Concat(*(n[top] for top in tops))
    streams = {stream: n[stream or 'data'] for stream in row.streams}
    for stream, image in streams.items():
        row.trunk.trunk(Stream(n, stream), image)
    return {label: row.head(n, row.trunk, len(classes), streams, _suffix(DATASETS[row.data], label))
            for label, classes in labels.items()}


def prototxts(name):
    """The files of net `name`, as {file name: text}.

    Those to learn and to validate are named by their data set's phases, train and val
    or trainval and test. A net that is fetched and never trained has only deploy.
    """
    row = find(name)
    dataset = DATASETS[row.data]
    specs = {'deploy': deploy_net(row)}
    if row.max_iter:
        specs |= {phase: train_net(row, source)
                  for phase, source in zip(dataset.phases, (dataset.train, dataset.val), strict=True)}
    return {f'{phase}.prototxt': f'name: "{name}"\n{spec.to_proto()}' for phase, spec in specs.items()}


def write_net(script):
    """Write the prototxts of the net whose folder holds `script` beside it, each at once or not at all."""
    folder = Path(script).resolve().parent
    for file, text in prototxts(folder.name).items():
        write_text(folder / file, text)
        print(folder / file)
