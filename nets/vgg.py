"""The VGG backbones (Simonyan & Zisserman 2014): five groups of 3×3 convolutions, each ended by
2×2 pooling, then two fully connected layers, here convolutions."""

from dataclasses import dataclass, field, replace

from caffe import NetSpec
from caffe.net_spec import Top

from .layers import (
    FROZEN,
    LEARNED,
    Multipliers,
    conv_relu,
    fully_connected,
    fully_convolutional,
    max_pool,
)


@dataclass(frozen=True)
class VGG:
    """What tells one VGG from another.

    `pad` is conv1_1's when fully convolutional: enough for a 1×1 image to reach fc6. `first` names
    conv1_1 where it sees more than colour. With `fc` 0 the backbone ends in its last pooling.
    `param` holds the learning-rate multipliers of all its layers. Kernels of even size upsample,
    since 2×2 pooling shifts by half pixels.
    """

    convs: tuple[int, ...] = (2, 2, 3, 3, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    fc: int = 4096
    fc6_kernel: int = 7
    pad: int = 100
    input_size: int = 224
    dropout: float = 0.5
    first: str = 'conv1_1'
    param: Multipliers = field(default_factory=lambda: LEARNED)
    normalize_loss: bool = False
    score_lr: float = 1

    def upsampling_kernel(self, stride: int) -> int:
        """Return the side of the kernel that upsamples `stride` times."""
        return 2 * stride

    def features(self, n: NetSpec, bottom: Top, pad: int = 1) -> Top:
        """Add conv1_1 … pool5 to `n` and return pool5."""
        for group, (count, width) in enumerate(zip(self.convs, self.widths, strict=True), 1):
            for index in range(1, count + 1):
                name = f'{group}_{index}'
                conv = self.first if name == '1_1' else f'conv{name}'
                n[conv], n[f'relu{name}'] = conv_relu(bottom, width, pad=pad, param=self.param)
                bottom, pad = n[f'relu{name}'], 1
            n[f'pool{group}'] = bottom = max_pool(bottom)
        return bottom

    def convolutional(self, n: NetSpec, image: Top, dropout: bool = True) -> Top:
        """Add the fully convolutional backbone to `n` and return its last top, fc7."""
        top = self.features(n, image, self.pad)
        if not self.fc:
            return top
        ratio = self.dropout if dropout else None
        return fully_convolutional(n, top, self.fc, self.fc6_kernel, ratio, self.param)

    def classifier(self, n: NetSpec, image: Top, classes: int) -> Top:
        """Add the ILSVRC classifier to `n` and return its class scores, fc8."""
        return fully_connected(n, self.features(n, image), self.fc, classes, self.dropout)


def cut_after(backbone: VGG, groups: int) -> VGG:
    """Return the backbone that ends in the pooling after so many groups of convolutions."""
    return replace(backbone, convs=backbone.convs[:groups], widths=backbone.widths[:groups], fc=0)


VGG16 = VGG()
VGG19 = VGG(convs=(2, 2, 4, 4, 4))
# For the paper's ablations: only the score is learned, or a shallower layer is scored.
VGG16_FROZEN = replace(VGG16, param=FROZEN)
VGG16_TO_POOL4 = cut_after(VGG16, 4)
VGG16_TO_POOL3 = cut_after(VGG16, 3)
# Colour and depth enter together (section 5, NYUDv2: early fusion).
VGG16_BGRD = replace(VGG16, first='conv1_1_bgrd')
