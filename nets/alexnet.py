"""The AlexNet backbone (Krizhevsky et al. 2012) as Caffe's reference net has it, pooling before
normalisation; and as torchvision has it, without normalisation and groups (Krizhevsky 2014)."""

from dataclasses import dataclass
from typing import Any

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top

from .layers import conv_relu, fully_connected, fully_convolutional, max_pool

DROPOUT = 0.5


@dataclass(frozen=True)
class AlexNet:
    """CaffeNet. Its pooling and convolution kernels are odd and keep centres on whole pixels, so
    odd kernels upsample. Its convolutions have no `param` blocks, as in the published net.

    `widths` are those of conv1 to conv5, of which three have so many `groups`; `lrn` says whether
    there is local response normalisation, and `pad` is conv1's in the classifier.
    """

    widths: tuple[int, ...] = (96, 256, 384, 384, 256)
    groups: int = 2
    lrn: bool = True
    pad: int = 0
    normalize_loss: bool = False
    score_lr: float = 1
    input_size: int = 227

    def upsampling_kernel(self, stride: int) -> int:
        """Return the side of the kernel that upsamples `stride` times."""
        return 2 * stride - 1

    def features(self, n: NetSpec, bottom: Top, pad: int = 0) -> Top:
        """Add conv1 … pool5 to `n` and return pool5."""
        one, two, three, four, five = self.widths
        grouped: dict[str, Any] = dict(group=self.groups, param=None)
        n.conv1, n.relu1 = conv_relu(bottom, one, 11, stride=4, pad=pad, param=None)
        n.pool1 = top = max_pool(n.relu1, 3)
        if self.lrn:
            n.norm1 = top = L.LRN(top, local_size=5, alpha=1e-4, beta=0.75)
        n.conv2, n.relu2 = conv_relu(top, two, 5, pad=2, **grouped)
        n.pool2 = top = max_pool(n.relu2, 3)
        if self.lrn:
            n.norm2 = top = L.LRN(top, local_size=5, alpha=1e-4, beta=0.75)
        n.conv3, n.relu3 = conv_relu(top, three, pad=1, param=None)
        n.conv4, n.relu4 = conv_relu(n.relu3, four, pad=1, **grouped)
        n.conv5, n.relu5 = conv_relu(n.relu4, five, pad=1, **grouped)
        n.pool5 = max_pool(n.relu5, 3)
        return n.pool5

    def convolutional(self, n: NetSpec, image: Top, dropout: bool = True) -> Top:
        """Add the fully convolutional backbone to `n` and return its last top, fc7."""
        pool5 = self.features(n, image, pad=100)
        return fully_convolutional(n, pool5, 4096, 6, DROPOUT if dropout else None, param=None)

    def classifier(self, n: NetSpec, image: Top, classes: int) -> Top:
        """Add the ILSVRC classifier to `n` and return its class scores, fc8."""
        pool5 = self.features(n, image, self.pad)
        return fully_connected(n, pool5, 4096, classes, DROPOUT, param=None)


ALEXNET = AlexNet()
ALEXNET_TORCH = AlexNet((64, 192, 384, 256, 256), groups=1, lrn=False, pad=2, input_size=224)
