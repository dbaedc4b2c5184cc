"""FCN-16s of GoogLeNet: the scores of its last features and of inception_4e, fused.

`python nets/voc-fcn16s-googlenet/net.py` writes its prototxts next to it.

GoogLeNet pools 3×3 and rounds up, so an upsampled score is never smaller than the skip: it is the
one that is cropped.
"""

from fcn.nets.builder import Builder, NetSpec
from fcn.prototxts import write_net


def layers(n: NetSpec, net: Builder) -> None:
    """Add FCN-16s of GoogLeNet to NetSpec `n`; nets/voc-fcn16s/net.py is that of VGG-16."""
    features = net.backbone(n, n.data)  # conv1 … inception_5b

    n.score_fr = net.score(features)  # stride 32
    n.upscore2 = net.upscore(n.score_fr, stride=2)

    n.score_inception_4e = net.score(n['inception_4e/output'])  # stride 16
    n.upscore2c = net.crop(n.upscore2, n.score_inception_4e)
    n.fuse_inception_4e = net.fuse(n.upscore2c, n.score_inception_4e)
    n.upscore16 = net.upscore(n.fuse_inception_4e, stride=16, last=True)

    n.score = net.crop(n.upscore16, n.data)


if __name__ == '__main__':
    write_net(__file__)
