"""Weights of one net into another, by layer name (section 4.1)."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fcn.errors import WeightsError
from fcn.text import printable

from .caffemodel import read_weights
from .cast import cast, modern
from .initializers import expand_input_channels, gaussian, interp

# A layer of this ending sees colour and depth, and takes the weights of the one without, which sees colour.
WIDENED = '_bgrd'


@dataclass
class Report:
    """What became of every layer, by name."""

    copied: list = field(default_factory=list)
    cast: list = field(default_factory=list)
    widened: list = field(default_factory=list)  # given a channel more, the mean of the others
    left: list = field(default_factory=list)  # in the file, not in the net
    interpolated: list = field(default_factory=list)
    zero: list = field(default_factory=list)  # layers that score classes, which start at zero
    constant: list = field(default_factory=list)  # fixed scales, which Caffe fills
    drawn: list = field(default_factory=list)  # Gaussian, asked for by init_missing
    missing: list = field(default_factory=list)

    def __str__(self):
        lines = [
            f'{kind:>12}  {", ".join(names)}'
            for kind, names in vars(self).items()
            if names and kind != 'missing'
        ]
        if self.missing:
            lines.append(
                f'WARNING: no weights for {", ".join(self.missing)}; they are zero, and so is all '
                'that follows from them. Give the file that has them, or draw them with --init-missing'
            )
        return '\n'.join(map(printable, lines))


def transplant(net, weights, suffix=''):
    """Copy weights into the layers of caffe.Net `net` that bear their names plus `suffix`.

    `weights` is a caffemodel, or yields (name, list of arrays) as read_weights does. A fully connected
    layer is cast to the convolution of its name, and NAME_bgrd takes NAME's filters
    with their mean over colours for depth (section 5, NYUDv2). Returns a Report whose `missing`
    holds the layers that got nothing; raises WeightsError where a name is shared
    and the element counts are not.
    """
    report = Report(missing=list(net.params))
    is_file = isinstance(weights, (str, Path))
    of_file = f'{weights}: ' if is_file else ''
    for source, blobs in read_weights(weights) if is_file else weights:
        name = source + suffix
        if not all(map(finite, blobs)):
            raise WeightsError(
                f"{of_file}{source}'s weights are not all finite numbers, and neither would the scores "
                'be; training diverged, or the file is damaged: take an earlier one'
            )
        wide = name not in net.params and name + WIDENED in net.params
        if wide:
            if blobs[0].ndim != 4:
                raise WeightsError(
                    f"{of_file}{source}'s weights of shape {blobs[0].shape} are no filters; "
                    'it is of another net'
                )
            name, blobs = name + WIDENED, [expand_input_channels(blobs[0]), *blobs[1:]]
        if name not in net.params:
            report.left.append(source)
            continue
        if name not in report.missing:
            raise WeightsError(f'{of_file}holds two layers named {name}')
        target = net.params[name]
        if len(blobs) != len(target):
            raise WeightsError(
                f"{of_file}{name}'s {len(blobs)} arrays of weights do not fit the {len(target)} of the "
                'net; it is of another net'
            )
        same = True
        for blob, array in zip(target, blobs, strict=True):
            try:
                blob.data[...] = cast(array, blob.data.shape)
            except WeightsError as error:
                raise WeightsError(f"{of_file}{name}'s {error}; it is of another net") from error
            same &= modern(array.shape) == modern(blob.data.shape)
        (report.widened if wide else report.copied if same else report.cast).append(name)
        report.missing.remove(name)
    return report


def finite(array):
    """Whether all of a float32 array is finite, without a copy: a sum of doubles overflows for nothing less."""
    with np.errstate(invalid='ignore'):
        return bool(np.isfinite(array.sum(dtype=np.float64)))


def weights_and_stream(text):
    """FILE or FILE:STREAM of a command line as (path, stream), the stream '' if none is named."""
    path, _, stream = text.rpartition(':')
    return (text, '') if not path or Path(text).exists() else (path, stream)


def start(net, sources, init_missing=False, seed=1337):
    """Make `net`'s starting weights and return the Report.

    `sources` is a list of (weights, suffix). What they do not hold is filled as the
    paper says: deconvolutions bilinear, score layers zero. With `init_missing` any
    other layer left over is drawn from Gaussians seeded by `seed`.
    """
    total = Report()
    for weights, suffix in sources:
        report = transplant(net, weights, suffix)
        total.copied += report.copied
        total.cast += report.cast
        total.widened += report.widened
        total.left += report.left
    got = {*total.copied, *total.cast, *total.widened}
    for name in net.params:
        if name not in got:
            _kind(total, name, net.layer_dict[name].type).append(name)
    interp(net, total.interpolated)
    for name in total.zero:
        for blob in net.params[name]:
            blob.data[...] = np.float32(0)
    if init_missing:
        gaussian(net, total.missing, seed)
        total.drawn, total.missing = total.missing, []
    return total


def _kind(report, name, layer_type):
    if layer_type == 'Deconvolution':
        return report.interpolated
    if layer_type == 'Scale':
        return report.constant
    if name.startswith(('score', 'fc8')):
        return report.zero
    return report.missing
