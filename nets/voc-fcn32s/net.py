"""FCN-32s: the score of fc7, upsampled to the image (section 4.1).

`python nets/voc-fcn32s/net.py` writes its prototxts next to it.
"""

from fcn.nets.builder import Builder, NetSpec
from fcn.prototxts import write_net


def layers(n: NetSpec, net: Builder) -> None:
    """Add FCN-32s to NetSpec `n`. `net` (nets/builder.py) knows the backbone, here VGG-16, the
    number of classes and what is learned."""
    fc7 = net.backbone(n, n.data)  # conv1_1 … pool5, and fc6 and fc7 as convolutions
    n.score_fr = net.score(fc7)  # stride 32
    n.upscore = net.upscore(n.score_fr, stride=32, last=True)
    n.score = net.crop(n.upscore, n.data)


if __name__ == '__main__':
    write_net(__file__)
