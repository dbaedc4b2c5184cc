"""Late fusion: one FCN-32s sees colour, another HHA, and the mean of their scores is upsampled
(section 5, NYUDv2).

`python nets/nyud-fcn32s-color-hha/net.py` writes its prototxts next to it.
"""

from fcn.nets.builder import Builder, Named, NetSpec
from fcn.prototxts import write_net


def layers(n: NetSpec, net: Builder) -> None:
    """Add both streams to NetSpec `n`; the layers of each end in its name."""
    color, hha = Named(n, 'color'), Named(n, 'hha')
    color.score_fr = net.score(net.backbone(color, n.color))
    hha.score_fr = net.score(net.backbone(hha, n.hha))

    n.score_fused = net.mean(color.score_fr, hha.score_fr)  # stride 32
    n.upscore = net.upscore(n.score_fused, stride=32, last=True)
    n.score = net.crop(n.upscore, n.color)


if __name__ == '__main__':
    write_net(__file__)
