"""The GoogLeNet trunk (Szegedy et al. 2014), with the final loss only and, when fully
convolutional, without the last average pooling (section 4.1)."""

from caffe import layers as L
from caffe import params as P

from .vocabulary import FROZEN, LEARNED, conv_relu, max_pool

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


class GoogLeNet:
    """GoogLeNet. Its strided kernels are odd, so odd kernels upsample; an even
    one would land on half a pixel. The taps are the last outputs at each stride.
    `param` holds the learning-rate multipliers of all its convolutions."""

    taps = {32: 'pool5/drop_7x7_s1', 16: 'inception_4e/output', 8: 'inception_3b/output'}
    # 3×3 pooling by 2 rounds up, so a score upsampled to a tap is never smaller than it.
    crop_to_tap = True
    normalize = True
    # The mean over pixels that a normalised loss takes leaves a zero score layer
    # little to learn from: it learns ten times as fast as the rest.
    score_lr = 10
    input_size = 224

    def __init__(self, param=LEARNED):
        self.param = param

    @staticmethod
    def upsampling_kernel(factor):
        return 2 * factor - 1

    def features(self, n, bottom, pad=3):
        """conv1/7x7_s2 … inception_5b/output added to NetSpec `n`; returns the last."""
        def conv(name, bottom, *options, **more):
            folder, _, leaf = name.partition('/')
            n[name], n[f'{folder}/relu_{leaf}'] = conv_relu(bottom, *options, param=self.param, **more)
            return n[f'{folder}/relu_{leaf}']

        top = conv('conv1/7x7_s2', bottom, 64, 7, stride=2, pad=pad)
        n['pool1/3x3_s2'] = top = max_pool(top, 3)
        n['pool1/norm1'] = top = L.LRN(top, local_size=5, alpha=1e-4, beta=0.75)
        top = conv('conv2/3x3_reduce', top, 64, 1)
        top = conv('conv2/3x3', top, 192, 3, pad=1)
        n['conv2/norm2'] = top = L.LRN(top, local_size=5, alpha=1e-4, beta=0.75)
        n['pool2/3x3_s2'] = top = max_pool(top, 3)
        for name, (one, reduce3, three, reduce5, five, project) in INCEPTIONS.items():
            if name in ('4a', '5a'):
                pool = f'pool{int(name[0]) - 1}/3x3_s2'
                n[pool] = top = max_pool(top, 3)
            prefix = f'inception_{name}'
            branch1 = conv(f'{prefix}/1x1', top, one, 1)
            branch3 = conv(f'{prefix}/3x3', conv(f'{prefix}/3x3_reduce', top, reduce3, 1), three, 3, pad=1)
            branch5 = conv(f'{prefix}/5x5', conv(f'{prefix}/5x5_reduce', top, reduce5, 1), five, 5, pad=2)
            n[f'{prefix}/pool'] = max_pool(top, 3, stride=1, pad=1)
            branch_pool = conv(f'{prefix}/pool_proj', n[f'{prefix}/pool'], project, 1)
            n[f'{prefix}/output'] = top = L.Concat(branch1, branch3, branch5, branch_pool)
        return top

    def trunk(self, n, bottom):
        """The fully convolutional trunk, up to the dropout after inception_5b."""
        top = self.features(n, bottom, pad=100)
        # Not in place: a skip net must not drop what a tap reads.
        n['pool5/drop_7x7_s1'] = L.Dropout(top, dropout_ratio=0.4)

    def classifier(self, n, bottom, classes):
        """The ILSVRC classifier; returns its class scores, loss3/classifier."""
        top = self.features(n, bottom)
        n['pool5/7x7_s1'] = L.Pooling(top, pool=P.Pooling.AVE, kernel_size=7, stride=1)
        n['pool5/drop_7x7_s1'] = L.Dropout(n['pool5/7x7_s1'], dropout_ratio=0.4, in_place=True)
        n['loss3/classifier'] = L.InnerProduct(n['pool5/drop_7x7_s1'], num_output=classes, param=LEARNED)
        return n['loss3/classifier']


GOOGLENET = GoogLeNet()
GOOGLENET_FROZEN = GoogLeNet(FROZEN)
