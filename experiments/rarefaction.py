"""Filter rarefaction against shift-and-stitch, and upsampling (sections 3.2 and 4.2).

A net's coarse output becomes dense if the image is shifted and run f² times and the outputs are
interlaced. In the paper, removing the subsampling and rarefying the filters that follow gives the
same in one run; in practice, by processing subsampled versions. It upsamples and fuses layers
instead, and found that what shifting improves costs more. Here are all of these, of nets that lose
the strides of their last layers, then of more.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.clock import MIN_ROUNDS, in_turns, is_faster, middle_half
from fcn.data_layers import DATASETS
from fcn.metrics import METRICS
from fcn.nets import find
from fcn.nets.receptive_field import ReceptiveField, receptive_fields
from fcn.text import Cell, markdown_table
from fcn.visualize import grid

from .claims import Claims, all_hold
from .dense import (
    MIN_TURN,
    ROUNDS,
    TOP,
    Case,
    coarse,
    comparable_cells,
    forward,
    loaded,
    measure_case,
    noise,
    on_canvas,
    removals,
    whole,
)
from .maps import label_images, map_nets
from .pages import HEADS, Page
from .records import Figure
from .scoring import progress
from .study import Study

Row = Mapping[str, Any]
Maps = Mapping[str, Mapping[str, Any]]
Method = str | Callable[[Row], str]

TOLERANCE = 1e-5  # of the largest score
MAPS = 40  # images labelled by each kind of map
LEARNED, DENSE, FUSED = 'FCN-32s', 'rarefied', 'FCN-8s'
# Net: the side of its image, and how many strides it loses; of noise, as its weights are drawn.
DRAWN = {'voc-fcn-alexnet': (300, 3), 'voc-fcn32s': (260, 2), 'voc-fcn-googlenet': (600, 1)}
EXPLANATION = """
Scores of f² runs on shifted images, interlaced, against those of one run. *Dilated*: strides
removed, the convolutions and poolings that follow dilated. *Versions*: the paper's aside, the net
as it is on a batch of subsampled versions. *Upsampled*: the coarse scores through a bilinear
deconvolution.
"""
EQUALITY = """
Each equality is about so many cells of each channel: those that see only the image and the zeros
that the first layer puts around it. Nearer to the border, inner paddings and poolings that reach
past the end depend on the shift. A difference is the largest, as a share of the largest score.
"""


def measure(study: Study) -> dict[str, Any]:
    settings = study.settings
    name, mini, quick = settings.net('fcn32s'), settings.mini, settings.quick
    max_removed, rounds = (1, 1) if quick else (5 if mini else 2, ROUNDS)
    sides = {name: (192 if mini else real_side(name), max_removed)}
    sides |= DRAWN if mini and not quick else {}
    for net, (side, count) in sides.items():  # Refused before anything is trained.
        for layers in removals(coarse(net), count):
            comparable_cells(coarse(net), layers, (side, side))
    trained = study.runs.train(name)
    dataset = study.sets.dataset(name)
    photo = dataset.inputs['data'].blob(dataset.image(dataset.names[0]))
    cases = [
        Case(net, trained.weights(), on_canvas(photo, side), count)
        if net == name
        else Case(net, None, noise(side), count)
        for net, (side, count) in sides.items()
    ]
    rows = [
        row for case in progress(cases, settings.name, 'net') for row in measure_case(case, rounds)
    ]
    nets = map_nets(name, trained.weights(), 3 if mini else 2, LEARNED, DENSE)
    skips = settings.net('fcn8s')  # A real one learns for days: one that is there is taken.
    if fused := study.runs.train(skips) if mini else study.runs.finished(skips):
        nets[FUSED] = loaded(whole(skips), fused.weights()), ReceptiveField()
    data, count = find(name).data, 4 if quick else MAPS
    maps, pictures = label_images(nets, dataset, data, count)
    passes = {title: lambda net=net: forward(net, photo) for title, (net, _) in nets.items()}
    seconds = in_turns(passes, rounds, MIN_TURN)
    grid(study.picture('maps'), pictures, DATASETS[data])
    scored = {title: dict(**values, rounds=seconds[title]) for title, values in maps.items()}
    return dict(rows=rows, maps=scored, images=count)


def real_side(name: str) -> int:
    """Return the side of an image in which a real net has cells that see nothing beyond it, at
    least 500."""
    return max(500, int(receptive_fields(coarse(name))[TOP].size))


def check_rows(rows: Sequence[Row]) -> Claims:
    """Return what the paper says about dense scores, and whether it holds, of what `measure_case`
    yields."""
    methods = ('dilated', 'batch')
    worst = max(row['difference'][method] for row in rows for method in methods)
    return {
        f'Rarefied nets give what f² shifted runs give, within {TOLERANCE:.0e} of the largest '
        f'score (the largest difference is {worst:.1e})': worst < TOLERANCE,
        'The faster of the two methods is faster than shifting '
        f'({speedups(rows, faster_method, "shifted")} times as fast)': all_hold(
            is_faster(row['rounds'][faster_method(row)], row['rounds']['shifted']) for row in rows
        ),
        f'Upsampling is faster still ({speedups(rows, "upsampled", faster_method)} times as fast '
        'as the faster of the two)': all_hold(
            is_faster(row['rounds']['upsampled'], row['rounds'][faster_method(row)]) for row in rows
        ),
    }


def check_trade(maps: Maps, noise: float | None = 0) -> Claims:
    """Return whether dense scores have a worse ratio of cost to improvement than fusing layers.

    Both are compared with FCN-32s, in ms an image and points of mean IU. Retrained nets know the
    latter to `noise` points.
    """
    if FUSED not in maps:
        return {}
    title = next(title for title in maps if title.startswith(DENSE))
    base, *others = (maps[name] for name in (LEARNED, title, FUSED))
    gains = [100 * (values['mean_iu'] - base['mean_iu']) for values in others]
    costs = [1000 * (np.median(values['rounds']) - np.median(base['rounds'])) for values in others]
    # Within what rounds differ by; what is no slower costs nothing.
    spans = [
        np.maximum(0, middle_half(values['rounds']) - middle_half(base['rounds'])[::-1])
        for values in others
    ]
    worse = {
        bool(gains[0] * fused < (gains[1] + error) * dense)
        for dense in spans[0]
        for fused in spans[1]
        for error in (-(noise or 0), noise or 0)
    }
    known = len(worse) == 1 and len(base['rounds']) >= MIN_ROUNDS
    dense, fused = (
        f'{cost:+.1f} ms for {gain:+.1f} points' for cost, gain in zip(costs, gains, strict=True)
    )
    return {
        f'Dense scores ({title}: {dense}) have a worse ratio of cost to improvement than fusing '
        f'layers ({FUSED}: {fused})': worse.pop() if known else None
    }


def check_claims(page: Page) -> Claims:
    return {**check_rows(page.raw['rows']), **check_trade(page.raw['maps'], page.noise)}


def faster_method(row: Row) -> str:
    """Return the faster of the two rarefied nets."""
    return min(('dilated', 'batch'), key=lambda method: np.median(row['rounds'][method]))


def speedups(rows: Iterable[Row], one: Method, other: Method) -> str:
    """Return how many times as fast one method is as the other, from the minimum to the maximum."""

    def seconds(row: Row, method: Method) -> float:
        return np.median(row['rounds'][method(row) if callable(method) else method])

    return span(seconds(row, other) / seconds(row, one) for row in rows)


def span(values: Iterable[float]) -> str:
    """Return the minimum and the maximum of some numbers as text."""
    values = list(values)
    return ' to '.join(dict.fromkeys(f'{value:.2g}' for value in (min(values), max(values))))


def describe_upsampling(rows: Sequence[Row]) -> str:
    """Return how upsampled scores differ from those of shifted runs."""
    distances = [100 * row['difference']['upsampled'] for row in rows]
    bends = [100 * row['bend'] for row in rows]
    smoother = sum(value < 100 for value in bends)
    another = 'another' if min(distances) > 100 * TOLERANCE else 'not always another'
    return (
        f'Upsampling is {another} function: its root-mean-square distance from the shifted runs is '
        f'{span(distances)} % of their standard deviation. It is smoother in {smoother} of '
        f'{len(rows)} rows: its second differences, down and across, have {span(bends)} % of the '
        'root mean square of theirs.'
    )


def equality_table(rows: Sequence[Row]) -> str:
    head = [
        'net, image',
        'strides removed from',
        'f',
        'cells, dilated',
        'dilated − shifted',
        'cells, versions',
        'versions − shifted',
        'upsampled − shifted, % of σ',
        "upsampled's second differences, % of shifted's",
    ]
    lines = []
    for row in rows:
        cells: list[Cell] = []
        for method in ('dilated', 'batch'):
            cells.append('×'.join(map(str, row['cells'][method])))
            cells.append(f'{row["difference"][method]:.0e}')
        smooth = 100 * row['difference']['upsampled'], 100 * row['bend']
        lines.append([*_case(row), *cells, *smooth])
    return markdown_table(head, lines)


def time_table(rows: Sequence[Row]) -> str:
    head = ['net, image', 'strides removed from', 'f', 'once', 'f² shifted', 'dilated', 'versions']
    methods = ('once', 'shifted', 'dilated', 'batch', 'upsampled')
    lines: list[list[Cell]] = [
        [
            *_case(row),
            *(f'{np.median(row["rounds"][method]):.3f}' for method in methods),
            speedups([row], faster_method, 'shifted'),
        ]
        for row in rows
    ]
    return markdown_table([*head, 'upsampled', 'shifted / faster of the two'], lines)


def _case(row: Row) -> tuple[str, str, int]:
    return f'`{row["net"]}`, {row["image"][0]}²', ', '.join(row['layers']), row['factor']


def map_table(page: Page) -> str:
    learned, fused = (page.iterations(page.net(kind)) for kind in ('fcn32s', 'fcn8s'))
    lines: list[list[Cell]] = [
        [
            title,
            fused if title == FUSED else learned,
            *(100 * values[name] for name in METRICS),
            f'{1000 * np.median(values["rounds"]):.1f}',
        ]
        for title, values in page.raw['maps'].items()
    ]
    return markdown_table(['scores', 'iterations', *HEADS, 'ms an image'], lines)


def body(page: Page) -> str:
    rows = page.raw['rows']
    rounds = len(rows[0]['rounds']['once'])
    batches = [is_faster(row['rounds']['batch'], row['rounds']['dilated']) for row in rows]
    text = [
        EXPLANATION.strip(),
        equality_table(rows),
        EQUALITY.strip(),
        f'Seconds of one pass, of all methods in turns: the median of {rounds} '
        f'round{"" if rounds == 1 else "s"} after a pass to warm up; `once` is the coarse net.',
        time_table(rows),
        page.verdicts(check_claims),
        describe_upsampling(rows),
        f'Versions are faster than dilation in {batches.count(True)} of {len(rows)} rows and '
        f'slower in {batches.count(False)}. For the others, and for verdicts that are undecided, '
        'the rounds differ too much.',
        f'Labels of {page.raw["images"]} validation images, each pixel from the nearest cell. No '
        'net was trained for dense output:',
        map_table(page),
        f'![labels from these scores]({page.picture("maps")})',
    ]
    return '\n\n'.join(text)


def figures(page: Page) -> list[Figure]:
    how = f'one seed, scored on {page.raw["images"]} of the validation images'
    nets = {LEARNED: page.net('fcn32s'), FUSED: page.net('fcn8s')}
    return [
        Figure(net, 100 * page.raw['maps'][title]['mean_iu'], page.iterations(net), how)
        for title, net in nets.items()
        if title in page.raw['maps']
    ]
