"""FCN-16s: the scores of fc7 and pool4, fused and upsampled to the image (section 4.2, Figure 3).

`python nets/voc-fcn16s/net.py` writes its prototxts next to it.
"""

from fcn.nets.builder import Builder, NetSpec
from fcn.prototxts import write_net


def layers(n: NetSpec, net: Builder) -> None:
    """Add FCN-16s to NetSpec `n`. `net` (nets/builder.py) knows the backbone, here VGG-16, the
    number of classes and what is learned."""
    fc7 = net.backbone(n, n.data)  # conv1_1 … pool4 … pool5, and fc6 and fc7 as convolutions

    n.score_fr = net.score(fc7)  # stride 32
    n.upscore2 = net.upscore(n.score_fr, stride=2)

    n.score_pool4 = net.score(n.pool4)  # stride 16
    n.score_pool4c = net.crop(n.score_pool4, n.upscore2)
    n.fuse_pool4 = net.fuse(n.upscore2, n.score_pool4c)
    n.upscore16 = net.upscore(n.fuse_pool4, stride=16, last=True)

    n.score = net.crop(n.upscore16, n.data)


if __name__ == '__main__':
    write_net(__file__)
