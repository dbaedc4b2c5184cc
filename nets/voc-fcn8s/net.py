"""FCN-8s: the scores of fc7, pool4 and pool3, fused from coarse to fine and upsampled to the image
(section 4.2, Figure 3).

`python nets/voc-fcn8s/net.py` writes its prototxts next to it.
"""

from fcn.nets.builder import Builder, NetSpec
from fcn.prototxts import write_net


def layers(n: NetSpec, net: Builder) -> None:
    """Add FCN-8s to NetSpec `n`. `net` (nets/builder.py) knows the backbone, here VGG-16, the
    number of classes and what is learned."""
    # conv1_1 … pool3 … pool4 … pool5, and fc6 and fc7 as convolutions
    fc7 = net.backbone(n, n.data)

    n.score_fr = net.score(fc7)  # stride 32
    n.upscore2 = net.upscore(n.score_fr, stride=2)

    n.score_pool4 = net.score(n.pool4)  # stride 16
    n.score_pool4c = net.crop(n.score_pool4, n.upscore2)
    n.fuse_pool4 = net.fuse(n.upscore2, n.score_pool4c)
    n.upscore_pool4 = net.upscore(n.fuse_pool4, stride=2)

    n.score_pool3 = net.score(n.pool3)  # stride 8
    n.score_pool3c = net.crop(n.score_pool3, n.upscore_pool4)
    n.fuse_pool3 = net.fuse(n.upscore_pool4, n.score_pool3c)
    n.upscore8 = net.upscore(n.fuse_pool3, stride=8, last=True)

    n.score = net.crop(n.upscore8, n.data)


if __name__ == '__main__':
    write_net(__file__)
