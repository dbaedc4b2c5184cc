"""The VGG trunks (Simonyan & Zisserman 2014): five groups of 3×3 convolutions, each
ended by 2×2 pooling, then two fully connected layers, here convolutions."""

from typing import NamedTuple

from caffe import layers as L

from .vocabulary import FROZEN, LEARNED, conv_relu, max_pool


class VGG(NamedTuple):
    """What tells one VGG from another.

    `pad` is conv1_1's when fully convolutional: enough for a 1×1 image to reach
    fc6. `first` names conv1_1 where it sees more than colour. With `fc` 0 the trunk
    ends in its last pooling. `param` holds the learning-rate multipliers of all its layers.
    Kernels of even size upsample, since 2×2 pooling shifts by half pixels.
    """

    convs: tuple = (2, 2, 3, 3, 3)
    widths: tuple = (64, 128, 256, 512, 512)
    fc: int = 4096
    fc6_kernel: int = 7
    pad: int = 100
    input_size: int = 224
    dropout: float = 0.5
    first: str = 'conv1_1'
    param: list = LEARNED

    taps = {32: 'drop7', 16: 'pool4', 8: 'pool3'}
    crop_to_tap = False
    normalize = False
    score_lr = 1

    @staticmethod
    def upsampling_kernel(factor):
        return 2 * factor

    def features(self, n, bottom, pad=1):
        """conv1_1 … pool5 added to NetSpec `n`; returns pool5."""
        for group, (count, width) in enumerate(zip(self.convs, self.widths, strict=True), 1):
            for index in range(1, count + 1):
                name = f'{group}_{index}'
                conv = self.first if name == '1_1' else f'conv{name}'
                n[conv], n[f'relu{name}'] = conv_relu(bottom, width, pad=pad, param=self.param)
                bottom, pad = n[f'relu{name}'], 1
            n[f'pool{group}'] = bottom = max_pool(bottom)
        return bottom

    def trunk(self, n, bottom):
        """The fully convolutional trunk, up to drop7."""
        bottom = self.features(n, bottom, self.pad)
        if not self.fc:
            return
        for name, kernel_size in (('6', self.fc6_kernel), ('7', 1)):
            n[f'fc{name}'], n[f'relu{name}'] = conv_relu(bottom, self.fc, kernel_size, param=self.param)
            n[f'drop{name}'] = bottom = L.Dropout(n[f'relu{name}'], dropout_ratio=self.dropout, in_place=True)

    def classifier(self, n, bottom, classes):
        """The ILSVRC classifier; returns its class scores, fc8."""
        bottom = self.features(n, bottom)
        for name in '67':
            n[f'fc{name}'] = L.InnerProduct(bottom, num_output=self.fc, param=LEARNED)
            n[f'relu{name}'] = L.ReLU(n[f'fc{name}'], in_place=True)
            n[f'drop{name}'] = bottom = L.Dropout(n[f'relu{name}'], dropout_ratio=self.dropout, in_place=True)
        n['fc8'] = L.InnerProduct(bottom, num_output=classes, param=LEARNED)
        return n['fc8']


VGG16 = VGG()
VGG19 = VGG(convs=(2, 2, 4, 4, 4))
# As the paper's ablations have it: nothing but the score is learned, or the score is of a shallower layer.
VGG16_FROZEN = VGG(param=FROZEN)
VGG16_TO_POOL4 = VGG(VGG16.convs[:4], VGG16.widths[:4], fc=0)
VGG16_TO_POOL3 = VGG(VGG16.convs[:3], VGG16.widths[:3], fc=0)
# Colour and depth enter together (section 5, NYUDv2: early fusion).
VGG16_BGRD = VGG(first='conv1_1_bgrd')
# The same shape at a hundredth of the cost, for the miniature.
MINI = VGG(convs=(1, 1, 2, 2, 2), widths=(16, 32, 48, 64, 96), fc=128, fc6_kernel=4, pad=50, input_size=104,
           dropout=0.2)
# And cut or frozen as VGG-16 is for the ablations.
MINI_FROZEN = MINI._replace(param=FROZEN)
MINI_TO_POOL4 = MINI._replace(convs=MINI.convs[:4], widths=MINI.widths[:4], fc=0)
MINI_TO_POOL3 = MINI._replace(convs=MINI.convs[:3], widths=MINI.widths[:3], fc=0)
MINI_BGRD = MINI._replace(first='conv1_1_bgrd')
