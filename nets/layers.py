"""The layers that every net is made of: convolutions with the paper's learning-rate multipliers,
pooling, upsampling, score layers, and crops aligned by coordinates.

A function here takes tops of Caffe's NetSpec and returns tops. The caller names them, since
published weights are matched by layer name.
"""

from pathlib import Path
from typing import Any

from caffe import NetSpec, coord_map
from caffe import layers as L
from caffe import params as P
from caffe.net_spec import Top

# Concat joins channels and leaves coordinates alone. Caffe's list of such
# layers lacks it, and an inception module ends in one.
if 'Concat' not in coord_map.PASS_THROUGH_LAYERS:
    coord_map.PASS_THROUGH_LAYERS.append('Concat')

Multipliers = list[dict[str, float]]


def learned(lr: float = 1) -> Multipliers:
    """Return the multipliers of a learned layer, whose weights learn at `lr` times the base rate.

    Weights decay; biases learn at twice the rate and do not decay (section 4.3).
    """
    return [dict(lr_mult=lr, decay_mult=1), dict(lr_mult=2 * lr, decay_mult=0)]


LEARNED = learned()
FROZEN: Multipliers = [dict(lr_mult=0, decay_mult=0)] * 2
FIXED: Multipliers = [dict(lr_mult=0)]


def conv(
    bottom: Top,
    num_output: int,
    kernel_size: int = 3,
    stride: int = 1,
    pad: int = 0,
    group: int = 1,
    param: Multipliers | None = LEARNED,
) -> Top:
    """Convolve N×C×H×W; with `param=None` Caffe's own multipliers of 1 hold."""
    options: dict[str, Any] = dict(
        num_output=num_output, kernel_size=kernel_size, stride=stride, pad=pad
    )
    if group != 1:
        options['group'] = group
    if param is not None:
        options['param'] = param
    return L.Convolution(bottom, **options)


def conv_relu(
    bottom: Top, num_output: int, kernel_size: int = 3, **options: Any
) -> tuple[Top, Top]:
    """Return a convolution and the in-place ReLU after it."""
    top = conv(bottom, num_output, kernel_size, **options)
    return top, L.ReLU(top, in_place=True)


def max_pool(bottom: Top, kernel_size: int = 2, stride: int = 2, pad: int = 0) -> Top:
    """Pool by maximum; Caffe rounds the output size up."""
    options = dict(pad=pad) if pad else {}
    return L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=kernel_size, stride=stride, **options)


def fully_convolutional(
    n: NetSpec,
    bottom: Top,
    width: int,
    kernel_size: int,
    dropout: float | None,
    param: Multipliers | None = LEARNED,
) -> Top:
    """Add fc6 and fc7 as convolutions to `n` (section 3.1, Figure 2) and return the last top."""
    for index, kernel in ((6, kernel_size), (7, 1)):
        n[f'fc{index}'], n[f'relu{index}'] = conv_relu(bottom, width, kernel, param=param)
        bottom = n[f'relu{index}']
        if dropout is not None:
            n[f'drop{index}'] = L.Dropout(bottom, dropout_ratio=dropout, in_place=True)
            bottom = n[f'drop{index}']
    return bottom


def fully_connected(
    n: NetSpec,
    bottom: Top,
    width: int,
    classes: int,
    dropout: float,
    param: Multipliers | None = LEARNED,
) -> Top:
    """Add fc6, fc7 and fc8 of an ILSVRC classifier to `n` and return fc8, N×classes."""
    options = {} if param is None else dict(param=param)
    for index in (6, 7):
        n[f'fc{index}'] = L.InnerProduct(bottom, num_output=width, **options)
        n[f'relu{index}'] = L.ReLU(n[f'fc{index}'], in_place=True)
        n[f'drop{index}'] = bottom = L.Dropout(
            n[f'relu{index}'], dropout_ratio=dropout, in_place=True
        )
    n['fc8'] = L.InnerProduct(bottom, num_output=classes, **options)
    return n['fc8']


def score(bottom: Top, classes: int, lr: float = 1) -> Top:
    """Score each class by a 1×1 convolution (section 4.1). It has no filler: it starts at zero."""
    return conv(bottom, classes, kernel_size=1, param=learned(lr))


def upscore(bottom: Top, classes: int, stride: int, kernel_size: int, learn: bool = False) -> Top:
    """Upsample scores `stride` times by a deconvolution (section 3.3).

    `surgery.interp` fills in bilinear weights. They stay so unless they are to `learn`.
    """
    return L.Deconvolution(
        bottom,
        param=LEARNED[:1] if learn else FIXED,
        convolution_param=dict(
            num_output=classes, kernel_size=kernel_size, stride=stride, bias_term=False
        ),
    )


def crop(bottom: Top, reference: Top) -> Top:
    """Cut `bottom` to the height and width of `reference`, aligned with it.

    The offset follows from the layers between the two (caffe.coord_map). Raises AssertionError if
    it is negative or not a whole number: then no crop can align them.
    """
    return coord_map.crop(bottom, reference)


def scale(bottom: Top, value: float) -> Top:
    """Multiply `bottom` by a fixed number."""
    return L.Scale(bottom, param=FIXED, filler=dict(type='constant', value=value))


def fuse(coarse: Top, skip: Top, operation: str = 'SUM') -> Top:
    """Add two score maps of equal shape (section 4.2), or take their MAX (its footnote)."""
    return L.Eltwise(coarse, skip, operation=getattr(P.Eltwise, operation))


def mean(*scores: Top) -> Top:
    """Average score maps of equal shape."""
    return L.Eltwise(*scores, operation=P.Eltwise.SUM, coeff=[1 / len(scores)] * len(scores))


def softmax_loss(scores: Top, label: Top, normalize: bool = False, weight: float = 1) -> Top:
    """Return the softmax loss of each pixel, summed over the image, times `weight`.

    With `normalize` it is the mean over pixels instead. Pixels labelled 255 (void) do not count.
    """
    options = dict(loss_weight=weight) if weight != 1 else {}
    return L.SoftmaxWithLoss(
        scores, label, loss_param=dict(normalize=normalize, ignore_label=255), **options
    )


def weighted_loss(
    scores: Top, label: Top, matrix: str | Path, normalize: bool = False, weight: float = 1
) -> Top:
    """Return the same loss with each pixel's times the weight of its class (sections 3.4 and 4.3).

    The weights are the diagonal of the C×C BlobProto in the file `matrix`. With `normalize` the sum
    is divided by the number of pixels, not by their weights. Caffe has this layer only for the CPU.
    """
    mode = P.Loss.VALID if normalize else P.Loss.BATCH_SIZE
    options = dict(loss_weight=weight) if weight != 1 else {}
    return L.InfogainLoss(
        scores,
        label,
        infogain_loss_param=dict(source=str(matrix)),
        loss_param=dict(normalization=mode, ignore_label=255),
        **options,
    )
