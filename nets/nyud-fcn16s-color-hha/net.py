"""Late fusion at stride 16: the mean scores of colour and HHA at fc7 and at pool4, fused. It is the
paper's best net on NYUDv2 (section 5, Table 4).

`python nets/nyud-fcn16s-color-hha/net.py` writes its prototxts next to it.
"""

from fcn.nets.builder import Builder, Named, NetSpec
from fcn.prototxts import write_net


def layers(n: NetSpec, net: Builder) -> None:
    """Add both streams to NetSpec `n`; the layers of each end in its name."""
    color, hha = Named(n, 'color'), Named(n, 'hha')
    color.score_fr = net.score(net.backbone(color, n.color))
    hha.score_fr = net.score(net.backbone(hha, n.hha))

    n.score_fused = net.mean(color.score_fr, hha.score_fr)  # stride 32
    n.upscore2 = net.upscore(n.score_fused, stride=2)

    color.score_pool4 = net.score(color.pool4)  # stride 16
    hha.score_pool4 = net.score(hha.pool4)
    n.score_pool4_fused = net.mean(color.score_pool4, hha.score_pool4)
    n.score_pool4_fusedc = net.crop(n.score_pool4_fused, n.upscore2)
    n.fuse_pool4 = net.fuse(n.upscore2, n.score_pool4_fusedc)
    n.upscore16 = net.upscore(n.fuse_pool4, stride=16, last=True)

    n.score = net.crop(n.upscore16, n.color)


if __name__ == '__main__':
    write_net(__file__)
