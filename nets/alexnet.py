"""The AlexNet trunk (Krizhevsky et al. 2012) as Caffe's reference net has it:
pooling before normalisation."""

from caffe import layers as L

from .vocabulary import conv_relu, max_pool


class AlexNet:
    """CaffeNet. Its odd pooling and convolution kernels keep centres on whole
    pixels, so odd kernels upsample."""

    taps = {32: 'drop7'}
    crop_to_tap = False
    normalize = False
    score_lr = 1
    input_size = 227

    @staticmethod
    def upsampling_kernel(factor):
        return 2 * factor - 1

    def features(self, n, bottom, pad=0):
        """conv1 … pool5 added to NetSpec `n`; returns pool5."""
        n['conv1'], n['relu1'] = conv_relu(bottom, 96, 11, stride=4, pad=pad, param=None)
        n['pool1'] = max_pool(n['relu1'], 3)
        n['norm1'] = L.LRN(n['pool1'], local_size=5, alpha=1e-4, beta=0.75)
        n['conv2'], n['relu2'] = conv_relu(n['norm1'], 256, 5, pad=2, group=2, param=None)
        n['pool2'] = max_pool(n['relu2'], 3)
        n['norm2'] = L.LRN(n['pool2'], local_size=5, alpha=1e-4, beta=0.75)
        n['conv3'], n['relu3'] = conv_relu(n['norm2'], 384, pad=1, param=None)
        n['conv4'], n['relu4'] = conv_relu(n['relu3'], 384, pad=1, group=2, param=None)
        n['conv5'], n['relu5'] = conv_relu(n['relu4'], 256, pad=1, group=2, param=None)
        n['pool5'] = max_pool(n['relu5'], 3)
        return n['pool5']

    def trunk(self, n, bottom):
        """The fully convolutional trunk, up to drop7."""
        bottom = self.features(n, bottom, pad=100)
        for name, kernel_size in (('6', 6), ('7', 1)):
            n[f'fc{name}'], n[f'relu{name}'] = conv_relu(bottom, 4096, kernel_size, param=None)
            n[f'drop{name}'] = bottom = L.Dropout(n[f'relu{name}'], dropout_ratio=0.5, in_place=True)

    def classifier(self, n, bottom, classes):
        """The ILSVRC classifier; returns its class scores, fc8."""
        bottom = self.features(n, bottom)
        for name in '67':
            n[f'fc{name}'] = L.InnerProduct(bottom, num_output=4096)
            n[f'relu{name}'] = L.ReLU(n[f'fc{name}'], in_place=True)
            n[f'drop{name}'] = bottom = L.Dropout(n[f'relu{name}'], dropout_ratio=0.5, in_place=True)
        n['fc8'] = L.InnerProduct(bottom, num_output=classes)
        return n['fc8']


ALEXNET = AlexNet()
