"""A whole image at once against patch by patch (section 3.1).

In the paper, computing overlapping receptive fields once makes the forward pass of AlexNet over
five times as fast for the 10×10 outputs of a 500×500 image, and its backward pass as well.
"""

from typing import Any

from benchmarks.amortization import (
    BATCH,
    NETS,
    ROUNDS,
    SIDE,
    Amortization,
    grid_against_patches,
)
from benchmarks.clock import is_faster
from fcn.errors import FCNError
from fcn.text import markdown_table

from .claims import Claims, all_hold
from .pages import Page
from .paper import AMORTIZATION
from .records import Figure
from .study import Study

TITLES = {
    'ilsvrc-alexnet': 'AlexNet',
    'ilsvrc-vgg16': 'VGG-16',
    'ilsvrc-googlenet': 'GoogLeNet',
    'mini-vgg': 'the miniature VGG',
}
FACTOR = 5  # times as fast, says the paper


def measure(study: Study) -> dict[str, Any]:
    settings = study.settings
    if settings.data:
        raise FCNError(
            f'{settings.name}: --data {settings.data} would change nothing, as it computes on '
            'noise; leave it out'
        )
    nets = ('mini-vgg',) if settings.quick else NETS
    return {
        name: {
            what: values._asdict()
            | dict(whole=values.whole, patches=values.patches, ratio=values.ratio)
            for what, values in grid_against_patches(name, backward=True).items()
        }
        for name in nets
    }


def check_claims(page: Page) -> Claims:
    """Return whether the paper's claim holds for each net, forward and backward."""
    return {
        f'{TITLES[net]}: whole images are over five times as fast, forward and backward': all_hold(
            is_faster(values['wholes'], values['by_patches'], FACTOR) for values in passes.values()
        )
        for net, passes in page.raw.items()
    }


def body(page: Page) -> str:
    rows = []
    for net, passes in page.raw.items():
        for what, values in passes.items():
            result = Amortization(values['side'], values['wholes'], values['by_patches'])
            cells = f'{result.whole:.3f}', f'{result.patches:.2f}', result.ratio
            rows.append((TITLES[net], f'{result.side}×{result.side}', what, *cells))
    for what, (patch, whole) in AMORTIZATION.items():
        cells = f'{whole:.3f}', f'{100 * patch:.2f}', 100 * patch / whole
        rows.append(('AlexNet, the paper', '10×10', what, *cells))
    head = ['net', 'outputs', 'pass', 'at once, s', 'as patches, s', 'ratio']
    text = [
        markdown_table(head, rows),
        page.verdicts(check_claims),
        f'Images of {SIDE}×{SIDE} of noise, weights drawn. Seconds are of one pass: the median of '
        f'{ROUNDS} rounds after a pass to warm up, both ways in turns. A claim is undecided where '
        f"rounds differ too much to say. Patches go {BATCH} at once. The paper has a GPU's.",
    ]
    return '\n\n'.join(text)


def figures(page: Page) -> list[Figure]:
    return []
