"""The GoogLeNet backbone (Szegedy et al. 2014), with the final loss only and, when fully
convolutional, without the last average pooling (section 4.1). torchvision's differs in three
things."""

from dataclasses import dataclass, field
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe import params as P
from caffe.net_spec import Top

from .layers import FROZEN, LEARNED, Multipliers, conv_relu, max_pool

# Output channels: 1×1; 3×3 reduction and 3×3; 5×5 reduction and 5×5; pooling projection.
INCEPTIONS = {
    '3a': (64, 96, 128, 16, 32, 32),
    '3b': (128, 128, 192, 32, 96, 64),
    '4a': (192, 96, 208, 16, 48, 64),
    '4b': (160, 112, 224, 24, 64, 64),
    '4c': (128, 128, 256, 24, 64, 64),
    '4d': (112, 144, 288, 32, 64, 64),
    '4e': (256, 160, 320, 32, 128, 128),
    '5a': (256, 160, 320, 32, 128, 128),
    '5b': (384, 192, 384, 48, 128, 128),
}


@dataclass(frozen=True)
class GoogLeNet:
    """GoogLeNet. Its strided kernels are odd, so odd kernels upsample; an even one would land on
    half a pixel. `param` holds the learning-rate multipliers of all its convolutions.

    `lrn` says whether there is local response normalisation, `five` is the kernel of the layers
    called 5x5, and `pool4` that of the pooling before inception 5a, whose even kernel in
    torchvision's net shifts by 8 whole pixels.

    The mean over pixels that a normalised loss takes leaves a zero score layer little to learn
    from: it learns ten times as fast as the rest.
    """

    param: Multipliers = field(default_factory=lambda: LEARNED)
    lrn: bool = True
    five: int = 5
    pool4: int = 3
    normalize_loss: bool = True
    score_lr: float = 10
    input_size: int = 224

    def upsampling_kernel(self, stride: int) -> int:
        """Return the side of the kernel that upsamples `stride` times."""
        return 2 * stride - 1

    def features(self, n: NetSpec, bottom: Top, pad: int = 3) -> Top:
        """Add conv1/7x7_s2 … inception_5b/output to `n` and return the last."""

        def conv(name: str, bottom: Top, *options: int, **more: Any) -> Top:
            folder, _, leaf = name.partition('/')
            relu = f'{folder}/relu_{leaf}'
            n[name], n[relu] = conv_relu(bottom, *options, param=self.param, **more)
            return n[relu]

        top = conv('conv1/7x7_s2', bottom, 64, 7, stride=2, pad=pad)
        n['pool1/3x3_s2'] = top = max_pool(top, 3)
        if self.lrn:
            n['pool1/norm1'] = top = L.LRN(top, local_size=5, alpha=1e-4, beta=0.75)
        top = conv('conv2/3x3_reduce', top, 64, 1)
        top = conv('conv2/3x3', top, 192, 3, pad=1)
        if self.lrn:
            n['conv2/norm2'] = top = L.LRN(top, local_size=5, alpha=1e-4, beta=0.75)
        n['pool2/3x3_s2'] = top = max_pool(top, 3)
        for name, (one, reduce3, three, reduce5, five, project) in INCEPTIONS.items():
            if name in ('4a', '5a'):
                kernel = self.pool4 if name == '5a' else 3
                pool = f'pool{int(name[0]) - 1}/{kernel}x{kernel}_s2'
                n[pool] = top = max_pool(top, kernel)
            prefix = f'inception_{name}'
            branch1 = conv(f'{prefix}/1x1', top, one, 1)
            reduced3 = conv(f'{prefix}/3x3_reduce', top, reduce3, 1)
            branch3 = conv(f'{prefix}/3x3', reduced3, three, 3, pad=1)
            reduced5 = conv(f'{prefix}/5x5_reduce', top, reduce5, 1)
            branch5 = conv(f'{prefix}/5x5', reduced5, five, self.five, pad=self.five // 2)
            n[f'{prefix}/pool'] = max_pool(top, 3, stride=1, pad=1)
            branch_pool = conv(f'{prefix}/pool_proj', n[f'{prefix}/pool'], project, 1)
            n[f'{prefix}/output'] = top = L.Concat(branch1, branch3, branch5, branch_pool)
        return top

    def convolutional(self, n: NetSpec, image: Top, dropout: bool = True) -> Top:
        """Add the fully convolutional backbone to `n` and return its last top."""
        top = self.features(n, image, pad=100)
        if dropout:  # Not in place: a skip net must not drop what a skip layer reads.
            n['pool5/drop_7x7_s1'] = top = L.Dropout(top, dropout_ratio=0.4)
        return top

    def classifier(self, n: NetSpec, image: Top, classes: int) -> Top:
        """Add the ILSVRC classifier to `n` and return its class scores, loss3/classifier."""
        top = self.features(n, image)
        n['pool5/7x7_s1'] = L.Pooling(top, pool=P.Pooling.AVE, kernel_size=7, stride=1)
        n['pool5/drop_7x7_s1'] = L.Dropout(n['pool5/7x7_s1'], dropout_ratio=0.4, in_place=True)
        n['loss3/classifier'] = L.InnerProduct(
            n['pool5/drop_7x7_s1'], num_output=classes, param=LEARNED
        )
        return n['loss3/classifier']


GOOGLENET = GoogLeNet()
GOOGLENET_FROZEN = GoogLeNet(FROZEN)
GOOGLENET_TORCH = GoogLeNet(lrn=False, five=3, pool4=2)
