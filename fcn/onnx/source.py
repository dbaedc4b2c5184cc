"""What is exported: a net of the table or of a prototxt, with its weights, and what it sees."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from caffe.proto.caffe_pb2 import NetParameter

from fcn.data_layers.inputs import Input
from fcn.engine import caffe
from fcn.errors import FCNError, WeightsError
from fcn.inference import feed, load_net
from fcn.memory import free_memory
from fcn.memory_estimate import MemoryEstimate
from fcn.nets import NetConfig, deploy_net, find
from fcn.own import config_of
from fcn.runs import resolve, weights_of_net
from fcn.solvers import BEST, Choice, weights_for
from fcn.surgery import load as load_in_child
from fcn.surgery import read_spec, transplant
from fcn.text import few

# Images that the graph is checked with: odd sizes, which Caffe's rounding shows in.
SIZES = (97, 131), (61, 45)
# For a net of a prototxt, what is added to the size that it was written for, to try another. A net
# that halves and doubles again may take only sizes that can be halved.
STEPS = (37, 14), (64, 128)


@dataclass
class Source:
    """A net to export.

    `name` is the net's, `weights` its caffemodel, and `config` its row of the table, None for a net
    of a prototxt. `sizes` are the heights and widths to check it with; it takes inputs of any size
    if `pinned` is empty, else only what it was written for: `pinned` says why.
    """

    name: str
    weights: Path
    net: 'caffe.Net' = field(repr=False)
    spec: NetParameter = field(repr=False)
    config: NetConfig | None
    sizes: tuple[tuple[int, int], ...]
    pinned: str = ''

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each input blob, as the prototxt has it."""
        return {blob: tuple(self.net.blobs[blob].shape) for blob in self.net.inputs}

    @property
    def kinds(self) -> dict[str, Input]:
        """What each input blob is made of; {} where that is not known."""
        if self.config is None:
            return {}
        inputs = self.config.dataset.inputs
        return {blob: inputs[name] for name, blob in self.config.input_blobs.items()}

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The names of the classes that each output blob scores; {} where they are not known."""
        if self.config is None:
            return {}
        if self.config.is_classifier:
            ((_, names),) = self.config.classes.items()
            return dict.fromkeys(self.net.outputs, names)
        blobs = self.config.score_blobs
        return {blobs[label]: names for label, names in self.config.classes.items()}

    def colours(self, blob: str) -> np.ndarray | None:
        """Return the colours of an output's classes, K×3 uint8 RGB, or None."""
        if self.config is None or self.config.is_classifier:
            return None
        (label,) = (label for label, b in self.config.score_blobs.items() if b == blob)
        return self.config.dataset.colours_of(label)

    def digest(self) -> str:
        """Return the SHA-256 of the caffemodel."""
        with self.weights.open('rb') as file:
            return hashlib.file_digest(file, 'sha256').hexdigest()

    def choose_size(self, size: tuple[int, int] | None) -> None:
        """Take images of one size, to check it and to export it; None leaves it as it is.

        Raises FCNError if the net cannot take it.
        """
        if size is None:
            return
        height, width = size
        if self.pinned and size not in self.sizes:
            only = ' and '.join(f'{h}×{w}' for h, w in set(self.sizes))
            raise FCNError(f'{self.name}: takes {only} alone, since {self.pinned}; leave size out')
        if self.config is None:
            load_in_child(resized(self.spec, height, width), self.name)
        elif not MemoryEstimate(self.net, 'cpu').fits(height, width, free_memory()):
            raise FCNError(
                f'{self.name}: there is not enough memory for an image of {height}×{width}, with '
                'which the file would be checked; give a smaller size'
            )
        self.sizes = size, size

    def run(self, blobs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what Caffe computes of input blobs, by output blob."""
        for name, blob in blobs.items():
            if blob.ndim == 4 and len(blob) == 1:
                feed(self.net, name, blob[0])
            else:
                self.net.blobs[name].reshape(*blob.shape)
                self.net.blobs[name].data[...] = blob
        self.net.forward()
        return {
            blob: self.net.blobs[blob].data.copy()
            for blob in self.net.outputs
            if blob not in self.net.inputs
        }


def find_source(
    net: str | Path | None,
    weights: str | Path | None = None,
    snapshot: Choice | None = None,
    runs: str | Path = 'runs',
) -> Source:
    """Return the net that a name, a run folder or a deploy prototxt means, with its weights.

    Raises FCNError that says what is missing, and WeightsError for weights of another net.
    """
    if net is not None and Path(net).suffix == '.prototxt':
        return _of_prototxt(Path(net), weights, snapshot)
    if net is not None and not Path(net).is_dir() and find(str(net)).is_classifier:
        name, caffemodel = str(net), weights_for(str(net), runs, weights, snapshot)
    elif net is not None and weights is None and Path(net).is_dir():
        name, run = resolve(net)
        assert run is not None
        caffemodel = run.weights(BEST if snapshot is None else snapshot)
    else:
        name, caffemodel = weights_of_net(net, weights, runs, snapshot)
    config = config_of(name, caffemodel)
    spec = deploy_net(config).to_proto()
    loaded = load_net(deploy_net(config), str(caffemodel))
    if not config.is_classifier:
        return Source(name, caffemodel, loaded, spec, config, SIZES)
    (side,) = set(loaded.blobs['data'].shape[2:])
    pinned = 'a classifier ends in fully connected layers'
    return Source(name, caffemodel, loaded, spec, config, ((side, side),) * 2, pinned)


def _of_prototxt(path: Path, weights: str | Path | None, snapshot: Choice | None) -> Source:
    if weights is None:
        raise FCNError(f'{path}: has no weights; give its caffemodel with --weights')
    if snapshot is not None:
        raise FCNError(f'{path}: is no run to choose a snapshot of; leave out --snapshot')
    weights, spec = Path(weights), read_spec(path)
    net = load_in_child(spec, path)
    report = transplant(net, weights)
    if report.missing:
        raise WeightsError(
            f'{weights}: has no weights for {few(report.missing)}; it is of another net than {path}'
        )
    if not net.inputs:
        raise WeightsError(f'{path}: has no input; give a deploy prototxt')
    sizes, pinned = _sizes(spec, net, path)
    return Source(path.stem, weights, net, spec, None, sizes, pinned)


def _sizes(
    spec: NetParameter, net: 'caffe.Net', path: Path
) -> tuple[tuple[tuple[int, int], ...], str]:
    """Return the sizes to check a net with, and why it takes only that of its prototxt, or ''.

    The net is built for other sizes: they are refused, or change the shape of weights, or not.
    """
    shapes = [tuple(net.blobs[name].shape) for name in net.inputs]
    images = {shape[2:] for shape in shapes if len(shape) == 4}
    if len(images) != 1:
        return ((0, 0),) * 2, 'its inputs are not images of one size'
    ((height, width),) = images
    own = height, width
    for down, right in STEPS:
        size = height + down, width + right
        if down % 2:
            size = size[0] | 1, size[1] | 1  # odd, which Caffe's rounding shows in
        try:
            other = load_in_child(resized(spec, *size), path)
        except WeightsError as error:
            reason = f'it cannot be built for {size[0]}×{size[1]} ({error})'
            continue
        if layer := _pinned_by(net, other):
            return (own, own), f"layer '{layer}' has weights for one size"
        return (size, own), ''
    return (own, own), reason


def _pinned_by(net: 'caffe.Net', other: 'caffe.Net') -> str:
    """Return the first layer whose weights have other shapes in another net, or ''."""
    for name, blobs in net.params.items():
        shapes = [tuple(blob.shape) for blob in blobs]
        if shapes != [tuple(blob.shape) for blob in other.params[name]]:
            return name
    return ''


def resized(spec: NetParameter, height: int, width: int) -> NetParameter:
    """Return a net like `spec` for images of another size."""
    result = NetParameter()
    result.CopyFrom(spec)
    for shape in _input_shapes(result):
        if len(shape.dim) == 4:
            shape.dim[2:] = [height, width]
    for index in range(0, len(result.input_dim), 4):
        result.input_dim[index + 2], result.input_dim[index + 3] = height, width
    return result


def _input_shapes(spec: NetParameter) -> Iterator:
    yield from spec.input_shape
    for layer in spec.layer:
        if layer.type == 'Input':
            yield from layer.input_param.shape
