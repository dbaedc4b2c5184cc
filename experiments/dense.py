"""Dense scores of a net whose output is coarse (section 3.2): from shifted runs, by rarefied nets,
and upsampled.

What the experiment `rarefaction` measures: whether they are equal, and how long they take.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import caffe
import numpy as np
from caffe.proto.caffe_pb2 import NetParameter

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

Cells = tuple[slice, ...]

TOP = 'score_fr'
UPSAMPLED = 'upsampled'  # the layer that `upsampled` adds, and its top
ROUNDS, MIN_TURN = 3, 0.2  # rounds of which the median counts, and the seconds of a turn
SEED = 1
METHODS = ('shifted', 'dilated', 'batch', 'upsampled')


class Case(NamedTuple):
    """A net, the weights it gets (a caffemodel, or drawn if None), an image C×H×W, and how many of
    its last subsampling layers lose their strides: first 1, then 2, up to `max_removed`."""

    net: str
    weights: Path | None
    image: np.ndarray
    max_removed: int


def on_canvas(blob: np.ndarray, side: int) -> np.ndarray:
    """Return the middle of an image C×H×W, surrounded by zeros if it is smaller than side×side."""
    result = np.zeros((len(blob), side, side), np.float32)
    (y, into_y), (x, into_x) = (
        ((size - side) // 2 if size > side else 0, max(0, (side - size) // 2))
        for size in blob.shape[1:]
    )
    part = blob[:, y : y + side, x : x + side]
    result[:, into_y : into_y + part.shape[1], into_x : into_x + part.shape[2]] = part
    return result


def noise(side: int) -> np.ndarray:
    """Return an image of noise, 3×side×side, as if its mean were subtracted."""
    return np.random.default_rng(SEED).normal(0, 50, (3, side, side)).astype(np.float32)


def whole(name: str) -> NetParameter:
    """Return the net to deploy."""
    return deploy_net(find(name)).to_proto()


def coarse(name: str) -> NetParameter:
    """Return the net up to its scores at its largest stride."""
    return until(whole(name), TOP)


def removals(spec: NetParameter, max_removed: int) -> list[list[str]]:
    """Return the names of the last subsampling layer, of the last two, … of the last
    `max_removed`."""
    names = list(subsampling(spec))
    return [names[-count:] for count in range(1, max_removed + 1)]


def comparable_cells(
    spec: NetParameter, layers: Sequence[str], size: tuple[int, ...]
) -> dict[str, Cells]:
    """Return the slices over the cells in which each rarefied net must equal the shifted runs.

    Raises FCNError if there are none.
    """
    factor = prod(subsampling(spec)[layer][0] for layer in layers)
    return {
        method: inside(spec, TOP, size, factor, method == 'batch')
        for method in ('dilated', 'batch')
    }


def upsampled(spec: NetParameter, factor: int, classes: int) -> NetParameter:
    """Return `spec` with a deconvolution that interpolates its scores: cell i comes to lie at
    factor · i."""
    result = NetParameter()
    result.CopyFrom(spec)
    layer = result.layer.add(name=UPSAMPLED, type='Deconvolution', bottom=[TOP], top=[UPSAMPLED])
    param = layer.convolution_param
    param.num_output = param.group = classes
    param.bias_term = False
    param.kernel_size.append(2 * factor - 1)
    param.stride.append(factor)
    param.pad.append(factor - 1)
    return result


def loaded(spec: NetParameter, weights: Path | None, like: caffe.Net | None = None) -> caffe.Net:
    """Return a net with bilinear upsampling and the weights of a caffemodel, or drawn ones.

    Or it shares those of another net, `like`. It gives back the memory of its activations.
    """
    net = net_of(spec)
    learned = [name for name in net.params if name != UPSAMPLED]
    if like is not None:
        net.share_with(like)
    elif weights:
        transplant(net, str(weights))
    else:
        gaussian(net, learned, SEED)
        rng = np.random.default_rng(SEED)
        # Without biases a border of zeros would look like what lies beyond it.
        for name in learned:
            net.params[name][1].data[...] = rng.normal(0, 5, net.params[name][1].data.shape)
    interp(net, [name for name in net.params if name == UPSAMPLED])
    release_activations(net)
    return net


def forward(net: caffe.Net, image: np.ndarray) -> np.ndarray:
    """Return the output of a net for an image C×H×W: N×C×h×w."""
    blob = net.blobs['data']
    if blob.data.shape != (1, *image.shape):
        blob.reshape(1, *image.shape)
    blob.data[0] = image
    return next(iter(net.forward().values())).copy()


def methods(
    spec: NetParameter, coarse_net: caffe.Net, layers: Sequence[str], image: np.ndarray
) -> dict[str, Callable[[], np.ndarray]]:
    """Return the functions to scores C×H×W without the strides of `layers`, by nets that share
    weights."""
    strides, field = subsampling(spec), receptive_fields(spec)[TOP]
    steps = [strides[name] for name in layers]
    factor = prod(height for height, _ in steps)
    specs = {
        'shifted': spec,
        'dilated': rarefy(spec, layers),
        'batch': rarefy(spec, layers, batch=True),
        'upsampled': upsampled(spec, factor, coarse_net.blobs[TOP].shape[1]),
    }
    nets = {method: loaded(changed, None, coarse_net) for method, changed in specs.items()}
    stride = int(field.stride) // factor
    return {
        'shifted': lambda: shift_and_stitch(nets['shifted'], image, factor, stride),
        'dilated': lambda: forward(nets['dilated'], image)[0],
        'batch': lambda: interlace(forward(nets['batch'], image), steps)[0],
        'upsampled': lambda: forward(nets['upsampled'], image)[0],
    }


def measure_case(case: Case, rounds: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each removal of a Case: seconds of each method, and how far they are from the
    shifted runs.

    The coarse net and all methods of all removals have their turns in each round.
    """
    spec = coarse(case.net)
    net, removed = loaded(spec, case.weights), removals(spec, case.max_removed)
    results: dict[tuple[int, str], np.ndarray] = {}

    def keep(key: tuple[int, str], compute: Callable[[], np.ndarray]) -> None:
        results[key] = compute()

    tasks: dict[Any, Callable[[], Any]] = {'once': lambda: forward(net, case.image)}
    for index, layers in enumerate(removed):
        for method, compute in methods(spec, net, layers, case.image).items():
            tasks[index, method] = partial(keep, (index, method), compute)
    seconds = in_turns(tasks, rounds, MIN_TURN)
    for index, layers in enumerate(removed):
        taken = {method: seconds[index, method] for method in METHODS}
        scores = {method: results[index, method] for method in METHODS}
        row = compare(spec, layers, scores, case.image.shape[1:])
        yield dict(net=case.net, rounds={'once': seconds['once']} | taken, **row)


def compare(
    spec: NetParameter,
    layers: Sequence[str],
    scores: Mapping[str, np.ndarray],
    size: tuple[int, ...],
) -> dict[str, Any]:
    """Return how far the scores of each method are from the shifted runs', for an image of
    `size`."""
    stitched, smooth = scores['shifted'], scores['upsampled']
    factor = prod(subsampling(spec)[layer][0] for layer in layers)
    cells, difference = {}, {}
    for method, place in comparable_cells(spec, layers, size).items():
        box = (slice(None), *place)
        cells[method] = list(stitched[box].shape[1:])
        gap = abs(scores[method][box] - stitched[box]).max()
        difference[method] = float(gap / abs(stitched[box]).max())
    rows, columns = (min(pair) for pair in zip(smooth.shape[1:], stitched.shape[1:], strict=True))
    box = (slice(None), slice(rows), slice(columns))
    difference['upsampled'] = float(rms(smooth[box] - stitched[box]) / stitched[box].std())
    return dict(
        layers=list(layers),
        factor=factor,
        stride=int(receptive_fields(spec)[TOP].stride) // factor,
        image=list(size),
        cells=cells,
        difference=difference,
        bend=float(bend(smooth[box]) / bend(stitched[box])),
    )


def rms(values: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.square(values, dtype=np.float64).mean()))


def bend(scores: np.ndarray) -> float:
    """Return how uneven scores C×H×W are: the root mean square of their second differences, down
    and across."""
    return rms(np.concatenate([np.diff(scores, 2, axis).ravel() for axis in (1, 2)]))
