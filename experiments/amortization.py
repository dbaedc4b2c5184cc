"""A whole image at once against patch by patch (section 3.1).

The paper: where receptive fields overlap, computing once what patches would compute anew makes the forward pass of
AlexNet over five times as fast for the 10×10 outputs of a 500×500 image, and its backward pass as much.
"""

from benchmarks import amortization
from benchmarks.clock import faster

from .report import together
from .study import StudyError, claims, table

NETS = {'ilsvrc-alexnet': 'AlexNet', 'ilsvrc-vgg16': 'VGG-16', 'ilsvrc-googlenet': 'GoogLeNet'}
QUICK = {'mini-vgg': 'the miniature VGG'}
TIMES = 5  # as fast, says the paper
# Seconds on a GPU: a patch, forward and backward, and the whole image.
PAPER = {'forward': (0.0012, 0.022), 'backward': (0.0024, 0.037)}


def run(study):
    if study.data:
        raise StudyError(
            f'{study.name}: takes noise, not images, so that --data {study.data} would change nothing; '
            'leave it out'
        )
    nets = QUICK if study.quick else NETS
    found = {name: amortization.grid_against_patches(name, backward=True) for name in nets}
    rows = [
        (
            words,
            f'{values.side}×{values.side}',
            what,
            f'{values.whole:.3f}',
            f'{values.patches:.2f}',
            values.ratio,
        )
        for name, words in nets.items()
        for what, values in found[name].items()
    ]
    rows += [
        (
            'AlexNet, the paper',
            '10×10',
            what,
            f'{whole:.3f}',
            f'{100 * patch:.2f}',
            100 * patch / whole,
        )
        for what, (patch, whole) in PAPER.items()
    ]
    text = '\n\n'.join(
        [
            table(['net', 'outputs', 'pass', 'at once, s', 'as patches, s', 'ratio'], rows),
            claims(said({words: found[name] for name, words in nets.items()})),
            f'Images of 500×500 of noise, weights drawn. Both ways have turns in each of {amortization.ROUNDS} rounds '
            'after a pass to warm up, and the median counts; a claim is undecided where rounds differ too much to say. '
            f"Patches go {amortization.BATCH} at once. The paper's times are a GPU's.",
        ]
    )
    study.report(
        text,
        {
            name: {
                what: values._asdict()
                | dict(whole=values.whole, patches=values.patches, ratio=values.ratio)
                for what, values in passes.items()
            }
            for name, passes in found.items()
        },
    )


def said(found):
    """{what the paper says: whether it is so, None if undecided}, of {net: {pass: Amortization}}."""
    return {
        f'{net}: whole images are over five times as fast, forward and backward': together(
            faster(values.wholes, values.by_patches, TIMES) for values in passes.values()
        )
        for net, passes in found.items()
    }
