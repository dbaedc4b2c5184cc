"""pool4 scored alone, without the layers above it (section 4.2).

`python nets/voc-fcn-pool4/net.py` writes its prototxts next to it.
"""

from fcn.nets.builder import Builder, NetSpec
from fcn.prototxts import write_net


def layers(n: NetSpec, net: Builder) -> None:
    """Add the score of pool4, upsampled to the image, to NetSpec `n`."""
    pool4 = net.backbone(n, n.data)  # conv1_1 … pool4
    n.score_pool4 = net.score(pool4)  # stride 16
    n.upscore16 = net.upscore(n.score_pool4, stride=16, last=True)
    n.score = net.crop(n.upscore16, n.data)


if __name__ == '__main__':
    write_net(__file__)
