"""pool3 scored alone, without the layers above it (section 4.2).

`python nets/voc-fcn-pool3/net.py` writes its prototxts next to it.
"""

from fcn.nets.builder import Builder, NetSpec
from fcn.prototxts import write_net


def layers(n: NetSpec, net: Builder) -> None:
    """Add the score of pool3, upsampled to the image, to NetSpec `n`."""
    pool3 = net.backbone(n, n.data)  # conv1_1 … pool3
    n.score_pool3 = net.score(pool3)  # stride 8
    n.upscore8 = net.upscore(n.score_pool3, stride=8, last=True)
    n.score = net.crop(n.upscore8, n.data)


if __name__ == '__main__':
    write_net(__file__)
