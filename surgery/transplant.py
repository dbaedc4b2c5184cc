"""Weights of one net copied into another, by layer name (section 4.1)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import caffe
import numpy as np

from fcn.errors import WeightsError
from fcn.text import printable

from .caffemodel import Layer, read_weights
from .cast import cast, modern
from .initializers import expand_input_channels, gaussian, interp
from .scores import scoring_layers

# A layer of this ending sees colour and depth. It takes the weights of the layer without the
# ending, which sees colour only.
EXPANDED = '_bgrd'

# Deconvolutions of the authors' first release, and their names since. The last of them is named by
# its stride today. Other names changed only in their hyphens: score-fr is score_fr.
OLD_NAMES = {
    'score2': ('upscore2',),
    'score4': ('upscore_pool4',),
    'upsample': ('upscore', 'upscore16', 'upscore8'),
}

Weights = str | Path | Iterable[Layer]


@dataclass
class Report:
    """What became of each layer, by name. Each layer of the net is in one of the lists but
    `unused`, which holds layers of the file."""

    copied: list[str] = field(default_factory=list)
    anew: list[str] = field(default_factory=list)  # in the file for other classes
    cast: list[str] = field(default_factory=list)  # from fully connected to convolution
    expanded: list[str] = field(default_factory=list)  # by an input channel, the others' mean
    unused: list[str] = field(default_factory=list)  # in the file, not in the net
    interpolated: list[str] = field(default_factory=list)
    zero: list[str] = field(default_factory=list)  # layers that score classes
    constant: list[str] = field(default_factory=list)  # fixed scales, which Caffe fills
    drawn: list[str] = field(default_factory=list)  # from Gaussians, as init_missing asks
    missing: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)  # old name in the file: name in the net

    def __str__(self) -> str:
        lines = {
            'copied': self.copied,
            'copied under a new name': [f'{old} as {new}' for old, new in self.renamed.items()],
            'cast to convolutions': self.cast,
            'given one more input channel': self.expanded,
            'in the file, not in the net': self.unused,
            'in the file for another number of classes, so begun anew': self.anew,
            'filled with bilinear interpolation': self.interpolated,
            'set to zero': self.zero,
            'constant': self.constant,
            'drawn from Gaussians': self.drawn,
        }
        text = [f'{what}: {", ".join(names)}' for what, names in lines.items() if names]
        if self.missing:
            text.append(
                f'WARNING: no weights for {", ".join(self.missing)}; they are zero, and so is all '
                'that follows from them. Give the file that has them, or draw them with '
                '--init-missing'
            )
        return '\n'.join(map(printable, text))

    def add(self, other: Report) -> None:
        """Add what another report says of its file."""
        for name in ('copied', 'anew', 'cast', 'expanded', 'unused'):
            getattr(self, name).extend(getattr(other, name))
        self.renamed |= other.renamed


def transplant(
    net: caffe.Net, weights: Weights, suffix: str = '', by_classes: Collection[str] = ()
) -> Report:
    """Copy weights into the layers of `net` that have their names plus `suffix`.

    `weights` is a caffemodel, or yields (name, list of arrays) as read_weights does. A fully
    connected layer is cast to the convolution of its name. NAME_bgrd takes the filters of NAME, and
    their mean over colours for depth (section 5, NYUDv2). A name from the authors' first release,
    such as score-fr, goes to the name that the layer has had since. Layers of `by_classes` get
    nothing if the file has them for another number of classes. Returns a Report whose `missing`
    holds the layers that got nothing. Raises WeightsError where a name is shared and the numbers of
    elements differ.
    """
    report = Report(missing=list(net.params))
    if isinstance(weights, str | Path):
        prefix, layers = f'{weights}: ', read_weights(weights)
    else:
        prefix, layers = '', iter(weights)
    for source, blobs in layers:
        if not all(map(finite, blobs)):
            raise WeightsError(
                f"{prefix}{source}'s weights are not all finite numbers, and neither would the "
                'scores be; training diverged, or the file is damaged: take an earlier one'
            )
        target = _target(net, source, suffix, blobs)
        if target is None:
            report.unused.append(source)
            continue
        if target not in report.missing:
            raise WeightsError(f'{prefix}holds two layers named {target}; give another file')
        if target in by_classes and _is_of_other_classes(net, target, blobs):
            report.anew.append(target)
            continue
        is_expanded = target == source + suffix + EXPANDED
        try:
            same_shape = _copy(net, target, _expanded(blobs) if is_expanded else blobs)
        except WeightsError as error:
            raise WeightsError(
                f"{prefix}{target}'s {error}; the file belongs to another net"
            ) from error
        done = report.expanded if is_expanded else report.copied if same_shape else report.cast
        done.append(target)
        report.missing.remove(target)
        if not is_expanded and target != source + suffix:
            report.renamed[source] = target
    return report


def _target(net: caffe.Net, source: str, suffix: str, blobs: list[np.ndarray]) -> str | None:
    """Return the layer of `net` that takes the weights of the layer `source`, or None."""
    name = source + suffix
    for candidate in (name, name + EXPANDED, source.replace('-', '_') + suffix):
        if candidate in net.params:
            return candidate
    shapes = [blob.shape for blob in blobs]
    for new_name in OLD_NAMES.get(source, ()):
        # The shape tells the upsampling of this stride from that of the net it starts from.
        blobs_of_net = net.params.get(new_name + suffix, [])
        if shapes == [tuple(blob.shape) for blob in blobs_of_net]:
            return new_name + suffix
    return None


def _is_of_other_classes(net: caffe.Net, name: str, blobs: list[np.ndarray]) -> bool:
    """Return whether a layer's arrays fit it but for the number of classes."""
    shapes = [tuple(blob.shape) for blob in net.params[name]]
    given = [array.shape for array in blobs]
    if given == shapes or [len(shape) for shape in given] != [len(shape) for shape in shapes]:
        return False
    # Deconvolutions are outputs × inputs × kernel, both of them classes (or one, with groups).
    first = 2 if net.layer_dict[name].type == 'Deconvolution' else 1
    return all(one[first:] == other[first:] for one, other in zip(given, shapes, strict=True))


def _expanded(blobs: list[np.ndarray]) -> list[np.ndarray]:
    """Return the weights and biases of a convolution with one more input channel."""
    filters, *biases = blobs
    if filters.ndim != 4:
        raise WeightsError(f'weights of shape {filters.shape} are no filters')
    return [expand_input_channels(filters), *biases]


def _copy(net: caffe.Net, name: str, blobs: list[np.ndarray]) -> bool:
    """Copy arrays into a layer of `net` and return whether they had its shapes, or were cast."""
    target = net.params[name]
    if len(blobs) != len(target):
        raise WeightsError(
            f'{len(blobs)} arrays of weights do not fit the {len(target)} of the net'
        )
    same_shape = True
    for blob, array in zip(target, blobs, strict=True):
        blob.data[...] = cast(array, blob.data.shape)
        same_shape &= modern(array.shape) == modern(blob.data.shape)
    return same_shape


def finite(array: np.ndarray) -> bool:
    """Return whether all elements of a float32 array are finite, without a copy of it.

    Their sum in doubles overflows for nothing less than an infinity.
    """
    with np.errstate(invalid='ignore'):
        return bool(np.isfinite(array.sum(dtype=np.float64)))


def weights_and_stream(text: str) -> tuple[str, str]:
    """Return FILE or FILE:STREAM of a command line as (path, stream); the stream may be ''."""
    path, _, stream = text.rpartition(':')
    return (text, '') if not path or Path(text).exists() else (path, stream)


def start(
    net: caffe.Net,
    sources: Iterable[tuple[Weights, str]],
    init_missing: bool = False,
    seed: int = 1337,
) -> Report:
    """Make the starting weights of `net` and return the Report.

    `sources` yields (weights, suffix) pairs, as `transplant` takes them. Layers that they do not
    hold, or hold for another number of classes, are filled as the paper says: deconvolutions
    bilinear (section 3.3), score layers zero (section 4.1). With `init_missing` any other layer is
    drawn from Gaussians seeded by `seed`.
    """
    total = Report()
    scoring = scoring_layers(net)
    upsampling = {name for name in net.params if net.layer_dict[name].type == 'Deconvolution'}
    for weights, suffix in sources:
        total.add(transplant(net, weights, suffix, scoring | upsampling))
    filled = {*total.copied, *total.cast, *total.expanded}
    for name in net.params:
        if name in filled:
            continue
        kind = net.layer_dict[name].type
        if kind == 'Deconvolution':
            total.interpolated.append(name)
        elif kind == 'Scale':
            total.constant.append(name)
        elif name in scoring:
            total.zero.append(name)
        else:
            total.missing.append(name)
    interp(net, total.interpolated)
    for name in total.zero:
        for blob in net.params[name]:
            blob.data[...] = np.float32(0)
    if init_missing:
        gaussian(net, total.missing, seed)
        total.drawn, total.missing = total.missing, []
    return total
