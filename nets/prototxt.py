"""From a net's config to NetSpecs: the nets to train, to validate and to deploy."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top
from caffe.proto.caffe_pb2 import NetParameter

from fcn.data_layers import Source

from .builder import Builder, NamedHead, add_head
from .config import NetConfig
from .layers import softmax_loss, weighted_loss

Sampling = dict[str, Any]


def train_net(
    config: NetConfig,
    source: Source,
    sampling: Sampling | None = None,
    matrices: Mapping[str, Path] | None = None,
) -> NetSpec:
    """Return the NetSpec of a net that learns from `source`, and whose losses also score it.

    `sampling` holds the options of data_layers.sampling, to learn from a share of the cells;
    `matrices` the file of each label's class weights, to balance the classes.
    """
    names = list(config.classes)
    tops = (*config.input_blobs.values(), *names)
    chosen = {'tops': [*config.input_blobs, *names]} if config.inputs or config.labels else {}
    n = NetSpec()
    blobs = L.Python(
        module='fcn.data_layers.layers',
        layer='SegDataLayer',
        param_str=source.param_str(**chosen),
        ntop=len(tops),
    )
    for top, blob in zip(tops, blobs, strict=True):
        n[top] = blob

    def add_losses(label: str, scores: Top) -> None:
        # The first label's loss is plain `loss`, as published nets have it.
        name = 'loss' if label == names[0] else f'loss{config.suffix(label)}'
        # Caffe takes the mean of a batch's gradients. A batch that grew by 1/p for as many cells
        # would weigh p times as much, if the loss sums them.
        weight = 1 / sampling['p'] if sampling and not config.normalize_loss else 1
        truth = n[f'{label}_sampled' if sampling else label]
        if matrices:
            matrix = str(matrices[label])
            n[name] = weighted_loss(scores, truth, matrix, config.normalize_loss, weight)
        else:
            n[name] = softmax_loss(scores, truth, config.normalize_loss, weight)

    scored = {}
    for label, scores in _heads(n, config, deploy=False):
        scored[label] = scores
        if not sampling:  # Each head's loss follows it, as in the published nets.
            add_losses(label, scores)
    if sampling:
        _add_sampling(n, names, sampling | _grid(scored[names[0]]))
        for label, scores in scored.items():
            add_losses(label, scores)
    return n


def train_net_with_inputs(config: NetConfig, side: int) -> NetParameter:
    """Return the net of `train_net` with inputs to fill in place of its data layer.

    Images are 1×C×side×side and labels 1×1×side×side, or 1×1 for a classifier.
    """
    spec = train_net(config, Source('', '', '')).to_proto()
    data, inputs = spec.layer[0], config.dataset.inputs
    data.type = 'Input'
    data.ClearField('python_param')
    for name in config.input_blobs:
        data.input_param.shape.add(dim=[1, inputs[name].channels, side, side])
    for _ in config.classes:
        data.input_param.shape.add(dim=[1, 1] if config.is_classifier else [1, 1, side, side])
    return spec


def deploy_net(config: NetConfig) -> NetSpec:
    """Return the NetSpec of a net that takes N×C×H×W inputs and ends in scores."""
    n = NetSpec()
    side = config.backbone.input_size if config.is_classifier else 500
    for name, blob in config.input_blobs.items():
        channels = config.dataset.inputs[name].channels
        n[blob] = L.Input(input_param=dict(shape=dict(dim=[1, channels, side, side])))
    for _, scores in _heads(n, config, deploy=True):
        if config.is_classifier:
            n.prob = L.Softmax(scores)
    return n


def _heads(n: NetSpec, config: NetConfig, deploy: bool) -> Iterator[tuple[str, Top]]:
    """Add the backbone and the head of each label; yield (label, scores)."""
    if config.is_classifier:
        ((label, classes),) = config.classes.items()
        yield label, config.backbone.classifier(n, n.data, len(classes))
        return
    if config.fusion == 'early':
        n.data = L.Concat(*(n[blob] for blob in config.input_blobs.values()))
    builder = Builder(config, 0, deploy)
    for label, classes in config.classes.items():
        suffix = config.suffix(label)
        add_head(config, NamedHead(n, suffix) if suffix else n, builder.for_classes(len(classes)))
        yield label, n[f'score{suffix}']


def _add_sampling(n: NetSpec, labels: list[str], sampling: Sampling) -> None:
    """Add the labels with cells ignored at random (section 3.4)."""
    names = [f'{label}_sampled' for label in labels]
    tops = L.Python(
        *(n[label] for label in labels),
        module='fcn.data_layers.sampling',
        layer='SamplingLayer',
        param_str=json.dumps(sampling),
        ntop=len(names),
    )
    for name, top in zip(names, tops if len(names) > 1 else [tops], strict=True):
        n[name] = top


def last_stride(config: NetConfig) -> int:
    """Return the stride of a net's last score, before it is upsampled to the image."""
    (score, *_) = config.score_blobs.values()
    return _stride(deploy_net(config).tops[score])


def _stride(scores: Top) -> int:
    return scores.fn.inputs[0].fn.params['convolution_param']['stride']


def _grid(scores: Top) -> dict[str, int]:
    """Return where the cells of the last score lie under the image, given the top that crops it
    when it is upsampled.

    A cell's bilinear kernel spans two strides and is highest in its middle, so a pixel's nearest
    cell is found half a stride further up.
    """
    stride, offset = _stride(scores), int(scores.fn.params['crop_param']['offset'][0])
    return dict(stride=stride, shift=(offset - stride // 2) % stride)
