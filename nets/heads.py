"""The heads: how a trunk's features become a score for every input pixel (section 4.2).

Every head takes a NetSpec `n` that holds `n.data` and the trunk's layers, and adds
layers up to `n.score`, N×classes×H×W with the height and width of `n.data`. Of the
trunk it asks `taps`, the names of its last features by stride, `upsampling_kernel`,
`score_lr`, the rate of score layers relative to the rest, and, if it has taps to fuse,
`crop_to_tap`: whether a score upsampled to a tap is what must be cut.
"""

from caffe import layers as L

from . import vocabulary as v


def fcn32s(n, trunk, classes):
    """One score at stride 32, upsampled at once."""
    n.score_fr = v.score(n[trunk.taps[32]], classes, trunk.score_lr)
    n.upscore = v.upscore(n.score_fr, classes, 32, trunk.upsampling_kernel(32))
    n.score = v.crop(n.upscore, n.data)


def fcn16s(n, trunk, classes):
    """FCN-32s' score upsampled twice and summed with a score of the stride-16 tap."""
    _skips(n, trunk, classes, strides=(16,))


def fcn8s(n, trunk, classes):
    """FCN-16s' fused score upsampled twice and summed with a score of the stride-8 tap."""
    _skips(n, trunk, classes, strides=(16, 8))


def fcn8s_atonce(n, trunk, classes):
    """FCN-8s trained in one stage: fixed scales bring the taps to the size of the
    features above them, so that one learning rate suits all (PAMI, section 4.3)."""
    _skips(n, trunk, classes, strides=(16, 8), scales={16: 0.01, 8: 0.0001})


def _skips(n, trunk, classes, strides, scales=None):
    """Score, then for each stride upsample by two and fuse the tap there; then upsample by the rest."""
    n.score_fr = fused = v.score(n[trunk.taps[32]], classes, trunk.score_lr)
    up = 'upscore2'
    for stride in strides:
        tap = trunk.taps[stride]
        name = tap.partition('/')[0]  # inception_4e/output fuses as fuse_inception_4e
        n[up] = v.upscore(fused, classes, 2, trunk.upsampling_kernel(2))
        features = n[tap]
        if scales:
            features = n[f'scale_{name}'] = L.Scale(
                features, param=v.FIXED, filler=dict(type='constant', value=scales[stride]))
        n[f'score_{name}'] = skip = v.score(features, classes, trunk.score_lr)
        upscored = n[up]
        if trunk.crop_to_tap:
            n[f'{up}c'] = upscored = v.crop(upscored, skip)
        else:
            n[f'score_{name}c'] = skip = v.crop(skip, upscored)
        n[f'fuse_{name}'] = fused = v.fuse(upscored, skip)
        up = f'upscore_{name}'
    final = f'upscore{stride}'
    n[final] = v.upscore(fused, classes, stride, trunk.upsampling_kernel(stride))
    n.score = v.crop(n[final], n.data)
