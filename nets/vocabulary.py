"""The words every net is spelled in: convolutions with the paper's learning-rate
multipliers, pooling, upsampling, score layers, and crops aligned by coordinates.

A function here takes tops of Caffe's NetSpec and returns tops; the caller names
them, since published weights are matched by layer name.
"""

from caffe import coord_map
from caffe import layers as L
from caffe import params as P

# Concat joins channels and leaves coordinates alone. Caffe's list of such
# layers lacks it, and an inception module ends in one.
if 'Concat' not in coord_map.PASS_THROUGH_LAYERS:
    coord_map.PASS_THROUGH_LAYERS.append('Concat')


def learned(lr=1):
    """Multipliers of a learned layer. Weights decay; biases learn at twice the
    rate and do not decay (section 4.3)."""
    return [dict(lr_mult=lr, decay_mult=1), dict(lr_mult=2 * lr, decay_mult=0)]


LEARNED = learned()
FROZEN = [dict(lr_mult=0, decay_mult=0)] * 2
FIXED = [dict(lr_mult=0)]


class Stream:
    """A NetSpec seen by one stream of a net: its layers bear the name of the stream
    behind their own (section 5, NYUDv2: late fusion)."""

    def __init__(self, n, name):
        self.n, self.name = n, name

    def __setitem__(self, layer, top):
        self.n[layer + self.name] = top

    def __getitem__(self, layer):
        return self.n[layer + self.name]


def conv(bottom, num_output, kernel_size=3, stride=1, pad=0, group=1, param=LEARNED):
    """Convolution of N×C×H×W; `param=None` leaves Caffe's multipliers of 1 as they are."""
    options = dict(num_output=num_output, kernel_size=kernel_size, stride=stride, pad=pad)
    if group != 1:
        options['group'] = group
    if param is not None:
        options['param'] = param
    return L.Convolution(bottom, **options)


def conv_relu(bottom, num_output, kernel_size=3, **options):
    """Convolution and the in-place ReLU after it, as two tops."""
    top = conv(bottom, num_output, kernel_size, **options)
    return top, L.ReLU(top, in_place=True)


def max_pool(bottom, kernel_size=2, stride=2, pad=0):
    """Max pooling; Caffe rounds the output size up."""
    options = dict(pad=pad) if pad else {}
    return L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=kernel_size, stride=stride, **options)


def score(bottom, classes, lr=1):
    """1×1 convolution to one channel a class (section 4.1). It has no filler: it starts at zero."""
    return conv(bottom, classes, kernel_size=1, param=learned(lr))


def upscore(bottom, classes, factor, kernel_size, learn=False):
    """Upsampling by deconvolution (section 3.3) from the bilinear weights that
    `surgery.interp` fills in; they stay so unless it is to `learn`."""
    return L.Deconvolution(
        bottom, param=LEARNED[:1] if learn else FIXED,
        convolution_param=dict(num_output=classes, kernel_size=kernel_size, stride=factor,
                               bias_term=False))


def crop(bottom, reference):
    """`bottom` cut to the height and width of `reference`, aligned with it.

    The offset follows from the layers between the two (caffe.coord_map). Raises
    AssertionError if it is negative or not whole: then no crop can align them.
    """
    return coord_map.crop(bottom, reference)


def scale(bottom, value):
    """`bottom` times a fixed number."""
    return L.Scale(bottom, param=FIXED, filler=dict(type='constant', value=value))


def fuse(coarse, skip, operation='SUM'):
    """Sum of two score maps of equal shape (section 4.2), or their MAX (its footnote)."""
    return L.Eltwise(coarse, skip, operation=getattr(P.Eltwise, operation))


def mean(scores):
    """Mean of score maps of equal shape, one a stream."""
    return L.Eltwise(*scores, operation=P.Eltwise.SUM, coeff=[1 / len(scores)] * len(scores))


def softmax_loss(scores, label, normalize=False, weight=1):
    """Per-pixel softmax loss, summed over the image unless `normalize`, times `weight`; 255 is void."""
    options = dict(loss_weight=weight) if weight != 1 else {}
    return L.SoftmaxWithLoss(scores, label, loss_param=dict(normalize=normalize, ignore_label=255), **options)


def weighted_loss(scores, label, matrix, normalize=False, weight=1):
    """The same, each pixel's times the weight of its class (sections 3.4 and 4.3).

    The weights are the diagonal of the C×C BlobProto in the file `matrix`; with `normalize` the
    sum is divided by the pixels' number, not by their weights. Caffe has this layer for the CPU alone.
    """
    mode = P.Loss.VALID if normalize else P.Loss.BATCH_SIZE
    options = dict(loss_weight=weight) if weight != 1 else {}
    return L.InfogainLoss(scores, label, infogain_loss_param=dict(source=str(matrix)),
                          loss_param=dict(normalization=mode, ignore_label=255), **options)
