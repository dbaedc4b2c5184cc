"""FCN-8s of GoogLeNet: the scores of its last features, inception_4e and inception_3b, fused.

`python nets/voc-fcn8s-googlenet/net.py` writes its prototxts next to it.

GoogLeNet pools 3×3 and rounds up, so an upsampled score is never smaller than the skip: it is the
one that is cropped.
"""

from fcn.nets.builder import Builder, NetSpec
from fcn.prototxts import write_net


def layers(n: NetSpec, net: Builder) -> None:
    """Add FCN-8s of GoogLeNet to NetSpec `n`; nets/voc-fcn8s/net.py is that of VGG-16."""
    features = net.backbone(n, n.data)  # conv1 … inception_5b

    n.score_fr = net.score(features)  # stride 32
    n.upscore2 = net.upscore(n.score_fr, stride=2)

    n.score_inception_4e = net.score(n['inception_4e/output'])  # stride 16
    n.upscore2c = net.crop(n.upscore2, n.score_inception_4e)
    n.fuse_inception_4e = net.fuse(n.upscore2c, n.score_inception_4e)
    n.upscore_inception_4e = net.upscore(n.fuse_inception_4e, stride=2)

    n.score_inception_3b = net.score(n['inception_3b/output'])  # stride 8
    n.upscore_inception_4ec = net.crop(n.upscore_inception_4e, n.score_inception_3b)
    n.fuse_inception_3b = net.fuse(n.upscore_inception_4ec, n.score_inception_3b)
    n.upscore8 = net.upscore(n.fuse_inception_3b, stride=8, last=True)

    n.score = net.crop(n.upscore8, n.data)


if __name__ == '__main__':
    write_net(__file__)
