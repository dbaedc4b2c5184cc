"""FCN-8s trained at once: fixed scales bring pool4 and pool3 to the size of the features above
them, so that one learning rate suits all (PAMI, section 4.3).

`python nets/voc-fcn8s-atonce/net.py` writes its prototxts next to it.
"""

from fcn.nets.builder import Builder, NetSpec
from fcn.prototxts import write_net


def layers(n: NetSpec, net: Builder) -> None:
    """Add FCN-8s with scaled skip layers to NetSpec `n`; nets/voc-fcn8s/net.py has none."""
    # conv1_1 … pool3 … pool4 … pool5, and fc6 and fc7 as convolutions
    fc7 = net.backbone(n, n.data)

    n.score_fr = net.score(fc7)  # stride 32
    n.upscore2 = net.upscore(n.score_fr, stride=2)

    n.scale_pool4 = net.scale(n.pool4, 0.01)  # stride 16
    n.score_pool4 = net.score(n.scale_pool4)
    n.score_pool4c = net.crop(n.score_pool4, n.upscore2)
    n.fuse_pool4 = net.fuse(n.upscore2, n.score_pool4c)
    n.upscore_pool4 = net.upscore(n.fuse_pool4, stride=2)

    n.scale_pool3 = net.scale(n.pool3, 0.0001)  # stride 8
    n.score_pool3 = net.score(n.scale_pool3)
    n.score_pool3c = net.crop(n.score_pool3, n.upscore_pool4)
    n.fuse_pool3 = net.fuse(n.upscore_pool4, n.score_pool3c)
    n.upscore8 = net.upscore(n.fuse_pool3, stride=8, last=True)

    n.score = net.crop(n.upscore8, n.data)


if __name__ == '__main__':
    write_net(__file__)
