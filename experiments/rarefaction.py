"""Filter rarefaction against shift-and-stitch, and upsampling beside them (section 3.2).

A net's coarse output becomes dense if the image is shifted and run f² times and the outputs
are interlaced. The paper: removing the subsampling and rarefying the filters that follow gives the
same in one run; in practice, by processing subsampled versions. It then upsamples instead, which
is not the same. Here are all four, of nets that lose the strides of their last layers, then of more.
"""

import tempfile
import time
from math import prod
from typing import NamedTuple

import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from tqdm import tqdm

from benchmarks.clock import least
from data_layers import DATASETS, dataset_class
from engine import caffe, lean
from miniature.pictures import figure4
from nets import deploy_net, find
from nets.field import fields
from solvers import confusion, metrics, predict
from surgery import (
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

from .study import table

TOP = 'score_fr'
TOLERANCE = 1e-5  # of the largest score
BATCHES = 64  # more runs than these are timed once
MAPS = 40  # images labelled by each kind of map
SEED = 1


class Case(NamedTuple):
    """A net, the weights it gets (a caffemodel, or drawn if None), an image C×H×W, and how many of its last
    subsampling layers lose their strides: first 1, then 2, up to `most`."""

    net: str
    weights: object
    image: np.ndarray
    most: int


def run(study):
    name = study.net('fcn32s')
    trained = study.train(name)
    source = study.source(name, 'val')
    photos = dataset_class(source.dataset)(source.root, source.split)
    mini = study.trunk == 'mini'
    side = 192 if mini else 500
    cases = [Case(name, trained.weights(), on_canvas(photos.inputs['data'].blob(photos.image(photos.names[0])), side),
                  1 if study.quick else 5 if mini else 2)]
    if mini and not study.quick:  # Noise does, where weights are drawn.
        cases += [Case(net, None, noise(side), most) for net, side, most in (
            ('voc-fcn-alexnet', 300, 3), ('voc-fcn32s', 260, 2), ('voc-fcn-googlenet', 600, 1))]
    rows = [row for case in cases for row in measured(case)]
    removed = 3 if mini else 2
    maps, pictures = labelled(name, trained.weights(), photos, removed, 4 if study.quick else MAPS)
    figure4(study.picture('maps'), pictures)
    study.report(words(rows, maps, study.picture('maps').name), dict(rows=rows, maps=maps))


def on_canvas(blob, side):
    """The middle of an image C×H×W, in zeros if it is smaller than side×side."""
    result = np.zeros((len(blob), side, side), np.float32)
    (y, into_y), (x, into_x) = (((size - side) // 2 if size > side else 0, max(0, (side - size) // 2))
                                for size in blob.shape[1:])
    part = blob[:, y:y + side, x:x + side]
    result[:, into_y:into_y + part.shape[1], into_x:into_x + part.shape[2]] = part
    return result


def noise(side):
    return np.random.default_rng(SEED).normal(0, 50, (3, side, side)).astype(np.float32)


def coarse(name):
    """The NetParameter of a net up to its scores at stride 32."""
    return until(text_format.Parse(str(deploy_net(find(name)).to_proto()), caffe_pb2.NetParameter()), TOP)


def removals(spec, most):
    """The names of the last subsampling layer, of the last two, … of the last `most`."""
    names = list(subsampling(spec))
    return [names[-count:] for count in range(1, most + 1)]


def upsampled(spec, factor, classes):
    """`spec` with a deconvolution that interpolates its scores: cell i comes to lie at factor · i."""
    result = caffe_pb2.NetParameter()
    result.CopyFrom(spec)
    layer = result.layer.add(name='upsampled', type='Deconvolution', bottom=[TOP], top=['upsampled'])
    layer.convolution_param.MergeFrom(caffe_pb2.ConvolutionParameter(
        num_output=classes, group=classes, bias_term=False, kernel_size=[2 * factor - 1], stride=[factor],
        pad=[factor - 1]))
    return result


def loaded(spec, weights):
    """The lean caffe.Net of a NetParameter, with a caffemodel's weights or drawn ones, and bilinear upsampling."""
    with tempfile.NamedTemporaryFile('w', suffix='.prototxt') as file:
        file.write(text_format.MessageToString(spec))
        file.flush()
        net = caffe.Net(file.name, caffe.TEST)
    learned = [name for name in net.params if name != 'upsampled']
    if weights:
        transplant(net, weights)
    else:
        gaussian(net, learned, SEED)
        rng = np.random.default_rng(SEED)
        for name in learned:  # Without biases a border of zeros would look like what lies beyond it.
            net.params[name][1].data[...] = rng.normal(0, 5, net.params[name][1].data.shape)
    interp(net, [name for name in net.params if name == 'upsampled'])
    lean(net)
    return net


def forward(net, image):
    """The output of a caffe.Net for an image C×H×W: N×C×h×w."""
    blob = net.blobs['data']
    if blob.data.shape != (1, *image.shape):
        blob.reshape(1, *image.shape)
    blob.data[0] = image
    return next(iter(net.forward().values())).copy()


def timed(work, times):
    """The least seconds of `work` of `times` after one to warm up, or of the only one if 0, and what it returned."""
    if not times:
        began = time.perf_counter()
        result = work()
        return time.perf_counter() - began, result
    kept = []

    def keep():
        kept[:] = [work()]
    return least(keep, times), kept[0]


def measured(case):
    """A dictionary for each removal of a Case: seconds of each way, and how far they are from the shifted runs."""
    spec = coarse(case.net)
    strides, field = subsampling(spec), fields(spec)[TOP]
    for layers in tqdm(removals(spec, case.most), desc=case.net, unit='removal', disable=None):
        steps = [strides[name] for name in layers]
        factor = prod(height for height, _ in steps)
        net = loaded(spec, case.weights)
        once, scores = timed(lambda net=net: forward(net, case.image), 3)
        shape = case.image.shape[1:]
        shifted, stitched = timed(lambda net=net, factor=factor: shift_and_stitch(
            net, case.image, factor, int(field.stride) // factor), 0 if factor ** 2 > BATCHES else 1)
        row = dict(net=case.net, layers=layers, factor=factor, stride=int(field.stride) // factor,
                   image=list(shape), seconds=dict(once=once, shifted=shifted), cells={}, difference={})
        for way, batch in (('dilated', False), ('batch', True)):
            net = loaded(rarefy(spec, layers, batch), case.weights)
            row['seconds'][way], result = timed(lambda net=net: forward(net, case.image), 2)
            box = (slice(None), *inside(spec, TOP, shape, factor, batch))
            result = (interlace(result, steps) if batch else result)[0][box]
            row['cells'][way] = list(result.shape[1:])
            row['difference'][way] = float(abs(result - stitched[box]).max() / abs(stitched[box]).max())
        net = loaded(upsampled(spec, factor, scores.shape[1]), case.weights)
        row['seconds']['upsampled'], smooth = timed(lambda net=net: forward(net, case.image)[0], 2)
        box = np.s_[:, :min(smooth.shape[1], stitched.shape[1]), :min(smooth.shape[2], stitched.shape[2])]
        row['difference']['upsampled'] = float(rms(smooth[box] - stitched[box]) / stitched[box].std())
        row['bend'] = float(bend(smooth[box]) / bend(stitched[box]))
        yield row


def rms(values):
    return np.sqrt(np.square(values, dtype=np.float64).mean())


def bend(scores):
    """How uneven scores C×H×W are: the root mean square of their second differences, down and across."""
    return rms(np.concatenate([np.diff(scores, 2, axis).ravel() for axis in (1, 2)]))


def labelled(name, weights, photos, removed, count):
    """Labels of validation images from coarse, upsampled and rarefied scores, each pixel's from the nearest cell.

    Returns {kind: metrics}, and (image, {kind: labels}, truth) of three images, for figure4.
    """
    spec = coarse(name)
    layers = removals(spec, removed)[-1]
    factor, field = prod(subsampling(spec)[layer][0] for layer in layers), fields(spec)[TOP]
    classes = len(DATASETS[find(name).data].classes)
    fine = field._replace(stride=field.stride / factor)
    ways = {f'stride {field.stride:.0f}': (spec, field),
            f'upsampled ×{factor}': (upsampled(spec, factor, classes), fine),
            f'rarefied, stride {fine.stride:.0f}': (rarefy(spec, layers), fine)}
    names = photos.names[::max(1, len(photos.names) // count)][:count]
    sums, pictures = {}, []
    found = {}
    for way, (changed, seen) in ways.items():
        net = loaded(changed, weights)
        for photo in tqdm(names, desc=way, unit='image', disable=None):
            image, truth = photos.pair(photo)
            cells = predict(forward(net, photos.inputs['data'].blob(image)))[0]
            found[way, photo] = at_pixels(cells, seen, truth.shape)
            sums[way] = sums.get(way, 0) + confusion(truth, found[way, photo], classes)
    for photo in names[:3]:
        image, truth = photos.pair(photo)
        pictures.append((image, {way: found[way, photo] for way in ways}, truth))
    return {way: metrics(matrix) for way, matrix in sums.items()}, pictures


def at_pixels(cells, field, shape):
    """The value at every pixel of an image of `shape` of the cell whose field's centre is nearest; h×w to H×W."""
    centre = (field.low + field.high) / 2
    rows, columns = (np.clip(np.floor((np.arange(side) - centre) / field.stride + 0.5), 0, most - 1).astype(int)
                     for side, most in zip(shape, cells.shape, strict=True))
    return cells[np.ix_(rows, columns)]


def words(rows, maps, picture):
    """The report."""
    lines = [[f'`{row["net"]}`, {row["image"][0]}²', ', '.join(row['layers']), row['factor'],
              *(f'{row["seconds"][way]:.3f}' for way in ('once', 'shifted', 'dilated', 'batch', 'upsampled')),
              f'{row["seconds"]["shifted"] / min(row["seconds"]["dilated"], row["seconds"]["batch"]):.1f}',
              f'{row["difference"]["dilated"]:.0e}', f'{row["difference"]["batch"]:.0e}',
              100 * row['difference']['upsampled'], 100 * row['bend']] for row in rows]
    head = ['net, image', 'strides removed from', 'f', 'once, s', 'f² shifted, s', 'dilated, s',
            'subsampled versions, s', 'upsampled, s', 'shifted / better of the two', 'dilated − shifted',
            'versions − shifted', 'upsampled − shifted, %', 'its unevenness, %']
    worst = max(row['difference'][way] for row in rows for way in ('dilated', 'batch'))
    ratios = [row['seconds']['shifted'] / min(row['seconds']['dilated'], row['seconds']['batch']) for row in rows]
    holds = 'hold' if worst < TOLERANCE else 'do NOT hold'
    gains = 'in each row' if min(ratios) > 1 else f'in {sum(ratio > 1 for ratio in ratios)} of {len(rows)} rows'
    scores = [[way, *(100 * values[name] for name in ('pixel_accuracy', 'mean_iu'))] for way, values in maps.items()]
    return f"""{table(head, lines)}

`once` is the coarse net on the image; f² runs of it on shifted images, interlaced, are what the next two columns
must equal. *Dilated*: strides removed, convolutions and poolings that follow dilated. *Subsampled versions*: the
paper's aside, the net as it is on a batch of them. *Upsampled*: the coarse scores through a bilinear
deconvolution. Seconds are the least of several passes, of one for more than {BATCHES} runs.

- The paper's equalities {holds} within {TOLERANCE:.0e} of the largest score: the largest difference is {worst:.1e}.
  They are of cells that see only the image and the zeros that the first layer puts around it, {cells(rows)}.
  Nearer to the border, inner paddings and poolings that reach past the end depend on the shift.
- The better of the two ways is faster than shifting {gains}: {spread(ratios)} times as fast. Subsampled versions are
  faster than dilation in {sum(row['seconds']['batch'] < row['seconds']['dilated'] for row in rows)} of {len(rows)}.
- Upsampling takes {spread([row['seconds']['upsampled'] / row['seconds']['once'] for row in rows])} times as long as the
  coarse net, and is another function: smoother, and blind to what lies between its cells. Its root-mean-square
  distance from the shifted runs is in percent of their standard deviation, its unevenness (second differences)
  in percent of theirs.

Labels of validation images, each pixel's from the nearest cell. No net was trained for dense output:

{table(['scores', 'pixel acc.', 'mean IU'], scores)}

![labels from coarse, upsampled and rarefied scores]({picture})
"""


def spread(ratios):
    """The least and the greatest of some ratios."""
    return ' to '.join(sorted({f'{min(ratios):.2g}', f'{max(ratios):.2g}'}, key=float))


def cells(rows):
    """How many cells were compared, at the least and at the most."""
    counts = [height * width for row in rows for height, width in row['cells'].values()]
    return f'{min(counts)} to {max(counts)} of each channel'
