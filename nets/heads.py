"""The heads: how a trunk's features become a score for every input pixel (section 4.2).

Of the trunk a head asks `taps`, the names of its last features by stride,
`upsampling_kernel`, `score_lr`, the rate of score layers relative to the rest, and
`crop_to_tap`: whether a score upsampled to a tap is what must be cut.
"""

from typing import NamedTuple

from . import vocabulary as v


class Head(NamedTuple):
    """Scores the features at stride `start`, then for each of `strides` upsamples by two
    and fuses the score of the features there, then upsamples by the rest.

    `scales` multiply the features at a stride before they are scored. `learn` lets the
    upsampling before the last be learned, as in the CVPR paper. `operation` fuses.
    """

    strides: tuple = ()
    start: int = 32
    scales: dict = {}
    learn: bool = False
    operation: str = 'SUM'

    @property
    def stride(self):
        """Of the last score, before it is upsampled to the image."""
        return (self.start, *self.strides)[-1]

    def __call__(self, n, trunk, classes, streams, suffix=''):
        """Add the layers up to `score`, N×classes×H×W of the net's input, and return it.

        `streams` maps each stream's name to its input; a net of one stream names it ''.
        `suffix` tells the heads of a net with several labels apart.
        """
        stride = self.start
        fused, up = self._score(n, trunk, classes, streams, suffix, stride)[1], 'upscore2'
        for stride in self.strides:
            up += suffix
            n[up] = v.upscore(fused, classes, 2, trunk.upsampling_kernel(2), self.learn)
            name, skip = self._score(n, trunk, classes, streams, suffix, stride)
            upscored = n[up]
            if trunk.crop_to_tap:
                n[f'{up}c'] = upscored = v.crop(upscored, skip)
            else:
                n[f'{name}c'] = skip = v.crop(skip, upscored)
            tap = _short(trunk.taps[stride])
            n[f'fuse_{tap}{suffix}'] = fused = v.fuse(upscored, skip, self.operation)
            up = f'upscore_{tap}'
        last = f'upscore{"" if stride == 32 else stride}{suffix}'
        n[last] = v.upscore(fused, classes, stride, trunk.upsampling_kernel(stride))
        n[f'score{suffix}'] = v.crop(n[last], next(iter(streams.values())))
        return n[f'score{suffix}']

    def _score(self, n, trunk, classes, streams, suffix, stride):
        """The name and the top of the score of the features at `stride`, the mean of all streams'."""
        tap = trunk.taps[stride]
        name = f'score_{"fr" if stride == 32 else _short(tap)}{suffix}'
        for stream in streams:
            features = n[tap + stream]
            if stride in self.scales:
                features = n[f'scale_{_short(tap)}{stream}'] = v.scale(features, self.scales[stride])
            n[name + stream] = v.score(features, classes, trunk.score_lr)
        if len(streams) > 1:
            fused = f'score_fused{suffix}' if stride == 32 else f'{name}_fused'
            n[fused] = v.mean([n[name + stream] for stream in streams])
            return fused, n[fused]
        return name, n[name]


def _short(tap):
    """inception_4e/output is scored as score_inception_4e."""
    return tap.partition('/')[0]


fcn32s = Head()
fcn16s = Head((16,))
fcn8s = Head((16, 8))
# Trained in one stage: fixed scales bring the taps to the size of the features above
# them, so that one learning rate suits all (PAMI, section 4.3).
fcn8s_atonce = Head((16, 8), scales={16: 0.01, 8: 0.0001})
# The paper's comparisons (section 4.2).
pool4_alone = Head(start=16)
pool3_alone = Head(start=8)
fcn16s_max = Head((16,), operation='MAX')
fcn16s_learned = Head((16,), learn=True)
fcn8s_learned = Head((16, 8), learn=True)
