"""torchvision's and Hugging Face's classifiers as Caffe's: the same numbers in Caffe's layers.

What differs is made up for. PyTorch's nets see RGB from 0 to 1, normalised; Caffe's see BGR from 0
to 255 minus a mean: the first convolution takes that over. Batch normalisation, fixed as it is once
a net is trained, goes into the convolution before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fcn.data_layers.ilsvrc import MEAN
from fcn.engine import net_of
from fcn.errors import WeightsError
from fcn.nets import deploy_net, find
from fcn.nets.googlenet import INCEPTIONS
from fcn.nets.vgg import VGG16, VGG19
from fcn.text import few

from .caffemodel import write_weights
from .torch_files import read_torch
from .transplant import finite

PREFIXES = 'module.', '_orig_mod.', 'model.'  # of wrappers that nets are saved in
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation of RGB from 0 to 1
# torchvision's GoogLeNet was trained in TensorFlow on images from −1 to 1, and turns what was
# normalised into that at its beginning (transform_input).
MINUS_ONE_TO_ONE = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Layout:
    """The names of one classifier's tensors.

    `net` is the net of the table, `about` says what the layout is. `layers` holds for each layer of
    Caffe the name of its convolution or linear layer, and of the batch normalisation after it or
    ''; the first sees the image. `normalisation` is the mean and the deviation of RGB from 0 to 1
    that the net was trained with, and `epsilon` that of its batch normalisation. `ceil` says
    whether its poolings round up.
    """

    net: str
    about: str
    layers: Mapping[str, tuple[str, str]]
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    epsilon: float = 1e-5
    ceil: bool = False

    @property
    def tensors(self) -> set[str]:
        """The names of the tensors that the layout needs."""
        return {
            f'{name}.{kind}'
            for names in self.layers.values()
            for name, kinds in zip(
                names, (('weight',), ('weight', 'bias', 'running_mean', 'running_var')), strict=True
            )
            for kind in kinds
            if name
        }


def _vgg(
    convs: Sequence[int], batch_norm: bool, linear: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """Return the layers of a VGG: `features` are numbered, with ReLU and pooling among them."""
    layers, number = {}, 0
    for group, count in enumerate(convs, 1):
        for index in range(1, count + 1):
            norm = f'features.{number + 1}' if batch_norm else ''
            layers[f'conv{group}_{index}'] = (f'features.{number}', norm)
            number += 3 if batch_norm else 2
        number += 1
    return layers | {f'fc{6 + i}': (name, '') for i, name in enumerate(linear)}


def _googlenet() -> dict[str, tuple[str, str]]:
    names = {
        'conv1/7x7_s2': 'conv1',
        'conv2/3x3_reduce': 'conv2',
        'conv2/3x3': 'conv3',
    }
    branches = {
        '1x1': 'branch1',
        '3x3_reduce': 'branch2.0',
        '3x3': 'branch2.1',
        '5x5_reduce': 'branch3.0',
        '5x5': 'branch3.1',
        'pool_proj': 'branch4.1',
    }
    for module in INCEPTIONS:
        names |= {f'inception_{module}/{k}': f'inception{module}.{v}' for k, v in branches.items()}
    layers = {layer: (f'{name}.conv', f'{name}.bn') for layer, name in names.items()}
    return layers | {'loss3/classifier': ('fc', '')}


def _layouts() -> Iterable[Layout]:
    torchvision = [f'classifier.{number}' for number in (0, 3, 6)]
    timm = ['pre_logits.fc1', 'pre_logits.fc2', 'head.fc']
    # With batch normalisation first: its tensors have the names of others without it.
    for batch_norm in (True, False):
        for title, net, backbone in (('VGG-16', 'vgg16', VGG16), ('VGG-19', 'vgg19', VGG19)):
            for place, linear in (('torchvision', torchvision), ('Hugging Face (timm)', timm)):
                about = f'{title}{" with batch normalisation" * batch_norm} of {place}'
                layers = _vgg(backbone.convs, batch_norm, linear)
                yield Layout(f'ilsvrc-{net}', about, layers)
    numbers = {'conv1': 0, 'conv2': 3, 'conv3': 6, 'conv4': 8, 'conv5': 10}
    layers = {layer: (f'features.{number}', '') for layer, number in numbers.items()}
    layers |= {f'fc{6 + i}': (f'classifier.{n}', '') for i, n in enumerate((1, 4, 6))}
    yield Layout('ilsvrc-alexnet-torch', 'AlexNet of torchvision', layers)
    yield Layout(
        'ilsvrc-googlenet-torch',
        'GoogLeNet of torchvision',
        _googlenet(),
        MINUS_ONE_TO_ONE,
        epsilon=1e-3,
        ceil=True,
    )


LAYOUTS = tuple(_layouts())


@dataclass
class Import:
    """What was made of a file: the layout that it has, and what became of its tensors."""

    layout: Layout
    mean: tuple[float, ...]
    folded: list[str] = field(default_factory=list)  # layers that took a batch normalisation over
    left_out: list[str] = field(default_factory=list)  # layers for other classes
    unused: list[str] = field(default_factory=list)  # tensors of no layer

    def __str__(self) -> str:
        layout = self.layout
        first = next(iter(layout.layers))
        mean, deviation = layout.normalisation
        lines = [
            f'{layout.about}: weights of {layout.net}',
            f'channels: {first} takes BGR in the place of RGB',
            f'means: {first} takes images from 0 to 255 minus ({_numbers(self.mean)}), BGR, in the '
            f'place of RGB from 0 to 1 minus ({_numbers(mean)}), divided by '
            f'({_numbers(deviation)})',
        ]
        own = own_mean(layout)
        if difference := max(abs(a - b) for a, b in zip(self.mean, own, strict=True)):
            lines.append(
                f'borders: the padding is the mean, and was ({_numbers(own)}): it differs by up to '
                f'{difference:.3g} of 255'
            )
        side = find(layout.net).backbone.input_size
        lines.append(
            'poolings: round up, as in Caffe'
            if layout.ceil
            else f'poolings: rounded down, and round up in Caffe: equal for images of {side}×{side}'
        )
        if self.folded:
            lines.append(f'batch normalisation: taken over by {len(self.folded)} convolutions')
        if self.left_out:
            lines.append(f'for another number of classes, so left out: {few(self.left_out)}')
        if self.unused:
            lines.append(f'in the file, not in the net: {few(self.unused)}')
        return '\n'.join(lines)


def own_mean(layout: Layout) -> tuple[float, ...]:
    """Return the mean that a net was trained with, as Caffe has it: BGR from 0 to 255."""
    return tuple(255 * value for value in reversed(layout.normalisation[0]))


def _numbers(values: Iterable[float]) -> str:
    return ', '.join(f'{value:.6g}' for value in values)


def import_torch(path: str | Path, out: str | Path, mean: Sequence[float] = MEAN) -> Import:
    """Write the weights in a file of PyTorch as a caffemodel, and return what was done.

    `mean` is the mean that is subtracted from images in Caffe: BGR, 0 to 255. Raises WeightsError
    for a file that is damaged, or of a net that is not known here.
    """
    tensors = _without_prefix(read_torch(path))
    layout = _layout_of(tensors, path)
    shapes = {
        name: ([tuple(blob.shape) for blob in blobs], kind)
        for name, blobs, kind in _layers_of(layout.net)
    }
    result = Import(layout, tuple(mean))
    layers = []
    for layer, (name, norm) in layout.layers.items():
        weights, biases = _folded(tensors, name, norm, layout.epsilon)
        if norm:
            result.folded.append(layer)
        if layer == next(iter(layout.layers)):
            weights, biases = for_caffes_images(weights, biases, layout.normalisation, mean)
        (shape, *_), kind = shapes[layer]
        if layer == [*layout.layers][-1] and len(weights) != shape[0]:
            result.left_out.append(layer)
            continue
        blobs = [array.astype(np.float32) for array in (weights, biases)]
        if blobs[0].size != np.prod(shape) or len(weights) != shape[0]:
            raise WeightsError(
                f'{path}: {name}.weight is {weights.shape}, and {layer} of {layout.net} {shape}; '
                'it is of another net'
            )
        if not all(map(finite, blobs)):
            raise WeightsError(f'{path}: {name} has weights that are not finite; fetch it again')
        layers.append((layer, kind, [blobs[0].reshape(shape), blobs[1]]))
    known = layout.tensors | {f'{name}.bias' for name, _ in layout.layers.values()}
    result.unused = [
        name for name in tensors if name not in known and not name.endswith('num_batches_tracked')
    ]
    write_weights(out, layers)
    return result


def _without_prefix(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return tensors without the name of a wrapper that all of them have."""
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _layout_of(tensors: Mapping[str, np.ndarray], path: str | Path) -> Layout:
    """Return the layout of tensors: that whose names and numbers of axes they have."""
    for layout in LAYOUTS:
        first, *_ = layout.layers.values()
        if layout.tensors <= set(tensors) and tensors[f'{first[0]}.weight'].ndim == 4:
            return layout
    known = few([layout.about for layout in LAYOUTS if 'batch' not in layout.about])
    raise WeightsError(
        f'{path}: the tensors {few(tensors)} are of no net that is known here; give weights of '
        f'{known}'
    )


def _layers_of(net: str) -> list[tuple[str, Sequence, str]]:
    """Return (name, blobs, type) of the layers of a net that have weights."""
    built = net_of(deploy_net(find(net)))
    return [(name, blobs, built.layer_dict[name].type) for name, blobs in built.params.items()]


def _folded(
    tensors: Mapping[str, np.ndarray], name: str, norm: str, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights and biases of a layer, with the batch normalisation after it."""
    weights = tensors[f'{name}.weight']
    biases = tensors.get(f'{name}.bias', np.zeros(len(weights)))
    if not norm:
        return weights, biases
    scale, shift, mean, variance = (
        tensors[f'{norm}.{kind}'].astype(np.float64)
        for kind in ('weight', 'bias', 'running_mean', 'running_var')
    )
    factor = scale / np.sqrt(variance + epsilon)
    return weights * factor.reshape(-1, *[1] * (weights.ndim - 1)), (biases - mean) * factor + shift


def for_caffes_images(
    weights: np.ndarray,
    biases: np.ndarray,
    normalisation: tuple[Sequence[float], Sequence[float]],
    mean: Sequence[float],
) -> tuple[np.ndarray, np.ndarray]:
    """Return a first convolution for images as Caffe's nets see them.

    `weights`, out×3×H×W, are for (rgb / 255 − m) / d, of the `normalisation` (m, d); those returned
    are for bgr − `mean`. Both are the same but in the padding, which is 0 for either.
    """
    m, d = (255 * np.array(values, np.float64) for values in normalisation)
    weights = weights / d[:, np.newaxis, np.newaxis]
    shift = np.array(mean[::-1], np.float64) - m
    biases = biases + np.tensordot(weights.sum((2, 3)), shift, 1)
    return weights[:, ::-1], biases
