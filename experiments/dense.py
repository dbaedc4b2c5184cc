"""Dense scores of a net whose output is coarse (section 3.2): from shifted runs, by rarefied nets, and upsampled.

What the experiment `rarefaction` measures: whether they are equal, and how long they take.
"""

from math import prod
from typing import NamedTuple

import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from benchmarks.clock import in_turns
from fcn.engine import net_of, release_activations
from fcn.nets import deploy_net, find
from fcn.nets.receptive_field import receptive_fields
from fcn.surgery import (
    gaussian,
    inside,
    interlace,
    interp,
    rarefy,
    shift_and_stitch,
    subsampling,
    transplant,
    until,
)

TOP = 'score_fr'
ROUNDS, TURN = 3, 0.2  # rounds of which times are the median, and the least seconds of a turn
SEED = 1
WAYS = ('shifted', 'dilated', 'batch', 'upsampled')


class Case(NamedTuple):
    """A net, the weights it gets (a caffemodel, or drawn if None), an image C×H×W, and how many of its last
    subsampling layers lose their strides: first 1, then 2, up to `most`."""

    net: str
    weights: object
    image: np.ndarray
    most: int


def on_canvas(blob, side):
    """The middle of an image C×H×W, in zeros if it is smaller than side×side."""
    result = np.zeros((len(blob), side, side), np.float32)
    (y, into_y), (x, into_x) = (
        ((size - side) // 2 if size > side else 0, max(0, (side - size) // 2))
        for size in blob.shape[1:]
    )
    part = blob[:, y : y + side, x : x + side]
    result[:, into_y : into_y + part.shape[1], into_x : into_x + part.shape[2]] = part
    return result


def noise(side):
    """An image of noise, 3×side×side, as if its mean were subtracted."""
    return np.random.default_rng(SEED).normal(0, 50, (3, side, side)).astype(np.float32)


def whole(name):
    """The NetParameter of a net to use."""
    return text_format.Parse(str(deploy_net(find(name)).to_proto()), caffe_pb2.NetParameter())


def coarse(name):
    """The same up to its scores at its largest stride."""
    return until(whole(name), TOP)


def removals(spec, most):
    """The names of the last subsampling layer, of the last two, … of the last `most`."""
    names = list(subsampling(spec))
    return [names[-count:] for count in range(1, most + 1)]


def compared(spec, layers, size):
    """{way: slices over the cells in which it must equal the shifted runs}; FCNError if there are none."""
    factor = prod(subsampling(spec)[layer][0] for layer in layers)
    return {way: inside(spec, TOP, size, factor, way == 'batch') for way in ('dilated', 'batch')}


def upsampled(spec, factor, classes):
    """`spec` with a deconvolution that interpolates its scores: cell i comes to lie at factor · i."""
    result = caffe_pb2.NetParameter()
    result.CopyFrom(spec)
    layer = result.layer.add(
        name='upsampled', type='Deconvolution', bottom=[TOP], top=['upsampled']
    )
    layer.convolution_param.MergeFrom(
        caffe_pb2.ConvolutionParameter(
            num_output=classes,
            group=classes,
            bias_term=False,
            kernel_size=[2 * factor - 1],
            stride=[factor],
            pad=[factor - 1],
        )
    )
    return result


def loaded(spec, weights, like=None):
    """The lean caffe.Net of a NetParameter, with bilinear upsampling and the weights of a caffemodel, or drawn ones if
    that is None; or it shares those of another caffe.Net."""
    net = net_of(spec)
    learned = [name for name in net.params if name != 'upsampled']
    if like is not None:
        net.share_with(like)
    elif weights:
        transplant(net, weights)
    else:
        gaussian(net, learned, SEED)
        rng = np.random.default_rng(SEED)
        for (
            name
        ) in learned:  # Without biases a border of zeros would look like what lies beyond it.
            net.params[name][1].data[...] = rng.normal(0, 5, net.params[name][1].data.shape)
    interp(net, [name for name in net.params if name == 'upsampled'])
    release_activations(net)
    return net


def forward(net, image):
    """The output of a caffe.Net for an image C×H×W: N×C×h×w."""
    blob = net.blobs['data']
    if blob.data.shape != (1, *image.shape):
        blob.reshape(1, *image.shape)
    blob.data[0] = image
    return next(iter(net.forward().values())).copy()


def ways(spec, coarse_net, layers, image):
    """{way: function of nothing} to scores C×H×W without the strides of `layers`, by nets that share weights."""
    strides, field = subsampling(spec), receptive_fields(spec)[TOP]
    steps = [strides[name] for name in layers]
    factor = prod(height for height, _ in steps)
    nets = {
        way: loaded(changed, None, coarse_net)
        for way, changed in {
            'shifted': spec,
            'dilated': rarefy(spec, layers),
            'batch': rarefy(spec, layers, batch=True),
            'upsampled': upsampled(spec, factor, coarse_net.blobs[TOP].shape[1]),
        }.items()
    }
    return {
        'shifted': lambda: shift_and_stitch(
            nets['shifted'], image, factor, int(field.stride) // factor
        ),
        'dilated': lambda: forward(nets['dilated'], image)[0],
        'batch': lambda: interlace(forward(nets['batch'], image), steps)[0],
        'upsampled': lambda: forward(nets['upsampled'], image)[0],
    }


def measured(case, rounds):
    """A dictionary for each removal of a Case: seconds of each way, and how far they are from the shifted runs.

    The coarse net and all ways of all removals have their turns in each round.
    """
    spec, size = coarse(case.net), case.image.shape[1:]
    net, removed, kept = loaded(spec, case.weights), removals(spec, case.most), {}
    works = {'once': lambda: forward(net, case.image)}
    for index, layers in enumerate(removed):
        works |= {
            (index, way): lambda key=(index, way), work=work: kept.update({key: work()})
            for way, work in ways(spec, net, layers, case.image).items()
        }
    seconds = in_turns(works, rounds, TURN)
    for index, layers in enumerate(removed):
        stitched, smooth = kept[index, 'shifted'], kept[index, 'upsampled']
        factor = prod(subsampling(spec)[layer][0] for layer in layers)
        taken = {'once': seconds['once']} | {way: seconds[index, way] for way in WAYS}
        row = dict(
            net=case.net,
            layers=layers,
            factor=factor,
            stride=int(receptive_fields(spec)[TOP].stride) // factor,
            image=list(size),
            rounds=taken,
            cells={},
            difference={},
        )
        for way, cells in compared(spec, layers, size).items():
            box = (slice(None), *cells)
            row['cells'][way] = list(stitched[box].shape[1:])
            row['difference'][way] = float(
                abs(kept[index, way][box] - stitched[box]).max() / abs(stitched[box]).max()
            )
        box = np.s_[
            :, : min(smooth.shape[1], stitched.shape[1]), : min(smooth.shape[2], stitched.shape[2])
        ]
        row['difference']['upsampled'] = float(
            rms(smooth[box] - stitched[box]) / stitched[box].std()
        )
        row['bend'] = float(bend(smooth[box]) / bend(stitched[box]))
        yield row


def rms(values):
    return np.sqrt(np.square(values, dtype=np.float64).mean())


def bend(scores):
    """How uneven scores C×H×W are: the root mean square of their second differences, down and across."""
    return rms(np.concatenate([np.diff(scores, 2, axis).ravel() for axis in (1, 2)]))
