"""The AlexNet backbone (Krizhevsky et al. 2012) as Caffe's reference net has it: pooling before
normalisation."""

from dataclasses import dataclass

from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top

from .layers import conv_relu, fully_connected, fully_convolutional, max_pool

DROPOUT = 0.5


@dataclass(frozen=True)
class AlexNet:
    """CaffeNet. Its pooling and convolution kernels are odd and keep centres on whole pixels, so
    odd kernels upsample. Its convolutions have no `param` blocks, as in the published net."""

    normalize_loss: bool = False
    score_lr: float = 1
    input_size: int = 227

    def upsampling_kernel(self, stride: int) -> int:
        """Return the side of the kernel that upsamples `stride` times."""
        return 2 * stride - 1

    def features(self, n: NetSpec, bottom: Top, pad: int = 0) -> Top:
        """Add conv1 … pool5 to `n` and return pool5."""
        n.conv1, n.relu1 = conv_relu(bottom, 96, 11, stride=4, pad=pad, param=None)
        n.pool1 = max_pool(n.relu1, 3)
        n.norm1 = L.LRN(n.pool1, local_size=5, alpha=1e-4, beta=0.75)
        n.conv2, n.relu2 = conv_relu(n.norm1, 256, 5, pad=2, group=2, param=None)
        n.pool2 = max_pool(n.relu2, 3)
        n.norm2 = L.LRN(n.pool2, local_size=5, alpha=1e-4, beta=0.75)
        n.conv3, n.relu3 = conv_relu(n.norm2, 384, pad=1, param=None)
        n.conv4, n.relu4 = conv_relu(n.relu3, 384, pad=1, group=2, param=None)
        n.conv5, n.relu5 = conv_relu(n.relu4, 256, pad=1, group=2, param=None)
        n.pool5 = max_pool(n.relu5, 3)
        return n.pool5

    def convolutional(self, n: NetSpec, image: Top, dropout: bool = True) -> Top:
        """Add the fully convolutional backbone to `n` and return its last top, fc7."""
        pool5 = self.features(n, image, pad=100)
        return fully_convolutional(n, pool5, 4096, 6, DROPOUT if dropout else None, param=None)

    def classifier(self, n: NetSpec, image: Top, classes: int) -> Top:
        """Add the ILSVRC classifier to `n` and return its class scores, fc8."""
        return fully_connected(n, self.features(n, image), 4096, classes, DROPOUT, param=None)


ALEXNET = AlexNet()
