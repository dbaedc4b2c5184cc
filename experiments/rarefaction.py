"""Filter rarefaction against shift-and-stitch, and upsampling beside them (sections 3.2 and 4.2).

A net's coarse output becomes dense if the image is shifted and run f² times and the outputs
are interlaced. The paper: removing the subsampling and rarefying the filters that follow gives the
same in one run; in practice, by processing subsampled versions. It upsamples and fuses layers instead,
and found that what shifting improves costs more. Here are all of these, of nets that lose the strides of
their last layers, then of more.
"""

from math import prod

import numpy as np
from tqdm import tqdm

from benchmarks.clock import FEWEST, faster, in_turns, middle
from fcn.data_layers import DATASETS
from fcn.inference import predict
from fcn.metrics import METRICS, confusion, metrics
from fcn.nets import find
from fcn.nets.receptive_field import ReceptiveField, receptive_fields
from fcn.surgery import rarefy, subsampling
from fcn.visualize import grid

from .dense import (
    ROUNDS,
    TOP,
    TURN,
    Case,
    coarse,
    compared,
    forward,
    loaded,
    measured,
    noise,
    on_canvas,
    removals,
    upsampled,
    whole,
)
from .report import HEADS, together
from .study import claims, table

TOLERANCE = 1e-5  # of the largest score
MAPS = 40  # images labelled by each kind of map
LEARNED, DENSE, FUSED = 'FCN-32s', 'rarefied', 'FCN-8s'
# Net: the side of its image, and how many strides it loses; of noise, as its weights are drawn.
DRAWN = {'voc-fcn-alexnet': (300, 3), 'voc-fcn32s': (260, 2), 'voc-fcn-googlenet': (600, 1)}


def run(study):
    name, mini = study.net('fcn32s'), study.trunk == 'mini'
    most, rounds = (1, 1) if study.quick else (5 if mini else 2, ROUNDS)
    sides = {name: (192 if mini else real_side(name), most)} | (
        DRAWN if mini and not study.quick else {}
    )
    for net, (side, count) in sides.items():  # Refused before anything is trained.
        for layers in removals(coarse(net), count):
            compared(coarse(net), layers, (side, side))
    trained = study.train(name)
    photos = study.dataset(name)
    photo = photos.inputs['data'].blob(photos.image(photos.names[0]))
    cases = [
        Case(net, trained.weights(), on_canvas(photo, side), count)
        if net == name
        else Case(net, None, noise(side), count)
        for net, (side, count) in sides.items()
    ]
    rows = [
        row
        for case in tqdm(cases, desc=study.name, unit='net', disable=None)
        for row in measured(case, rounds)
    ]
    skips = study.net('fcn8s')  # A real one learns for days: one that is there is taken.
    fused = study.train(skips) if mini else study.found(skips)
    nets = kinds(name, trained.weights(), 3 if mini else 2)
    if fused:
        nets[FUSED] = loaded(whole(skips), fused.weights()), ReceptiveField()
    maps, pictures = labelled(nets, photos, find(name).data, 4 if study.quick else MAPS)
    seconds = in_turns(
        {way: lambda net=net: forward(net, photo) for way, (net, _) in nets.items()}, rounds, TURN
    )
    for way, values in maps.items():
        values['rounds'] = seconds[way]
    grid(study.picture('maps'), pictures, DATASETS[find(name).data])
    study.report(
        words(rows, maps, study.picture('maps').name, study.noise()), dict(rows=rows, maps=maps)
    )


def real_side(name):
    """The side of an image in which a real net has cells that see nothing beyond it, 500 at the least."""
    return max(500, int(receptive_fields(coarse(name))[TOP].size))


def kinds(name, weights, removed):
    """{title: (caffe.Net, ReceptiveField of its scores)} of net `name`: as it learned, its coarse scores, those upsampled, and
    rarefied without the last `removed` strides."""
    spec, classes = coarse(name), len(DATASETS[find(name).data].classes)
    layers, field = removals(spec, removed)[-1], receptive_fields(spec)[TOP]
    factor = prod(subsampling(spec)[layer][0] for layer in layers)
    fine = field._replace(stride=field.stride / factor)
    nets = {
        LEARNED: (whole(name), ReceptiveField()),
        f'coarse, stride {field.stride:.0f}': (spec, field),
        f'coarse, upsampled ×{factor}': (upsampled(spec, factor, classes), fine),
        f'{DENSE}, stride {fine.stride:.0f}': (rarefy(spec, layers), fine),
    }
    return {title: (loaded(changed, weights), seen) for title, (changed, seen) in nets.items()}


def labelled(nets, photos, data, count):
    """Labels of validation images by `nets`, {title: (caffe.Net, ReceptiveField)}, each pixel's from the nearest cell.

    Returns {title: metrics}, and (image, {title: labels}, truth) of three images, for pictures.grid.
    """
    names = photos.names[:: max(1, len(photos.names) // count)][:count]
    sums, pictures, classes = {}, [], len(DATASETS[data].classes)
    for index, photo in enumerate(tqdm(names, desc='maps', unit='image', disable=None)):
        image, truth = photos.pair(photo)
        blob, found = photos.inputs['data'].blob(image), {}
        for title, (net, field) in nets.items():
            found[title] = at_pixels(predict(forward(net, blob))[0], field, truth.shape)
            sums[title] = sums.get(title, 0) + confusion(truth, found[title], classes)
        if index < 3:
            pictures.append((image, found, truth))
    return {title: metrics(matrix) for title, matrix in sums.items()}, pictures


def at_pixels(cells, field, shape):
    """The value at every pixel of an image of `shape` of the cell whose field's centre is nearest; h×w to H×W."""
    centre = (field.low + field.high) / 2
    rows, columns = (
        np.clip(np.floor((np.arange(side) - centre) / field.stride + 0.5), 0, most - 1).astype(int)
        for side, most in zip(shape, cells.shape, strict=True)
    )
    return cells[np.ix_(rows, columns)]


def said(rows, maps, noise=0):
    """{what the paper says: whether it is so, None if undecided}, of what `measured` and `labelled` give."""
    worst = max(row['difference'][way] for row in rows for way in ('dilated', 'batch'))
    found = {
        f'Rarefied nets give what f² shifted runs give, within {TOLERANCE:.0e} of the largest score (the largest '
        f'difference is {worst:.1e})': worst < TOLERANCE,
        f'The better of the two ways is faster than shifting ({spread(rows, better, "shifted")} times as fast)': together(
            faster(row['rounds'][better(row)], row['rounds']['shifted']) for row in rows
        ),
        f'Upsampling is faster still ({spread(rows, "upsampled", better)} times as fast as the better of the two)': together(
            faster(row['rounds']['upsampled'], row['rounds'][better(row)]) for row in rows
        ),
    }
    return found | (trade(maps, noise) if FUSED in maps else {})


def trade(maps, noise=0):
    """{words: verdict} on dense scores' ratio of cost to improvement, in ms an image and points of mean IU above
    FCN-32s: that it is worse than that of fusing layers, which retrained nets know to `noise` points."""
    title = next(title for title in maps if title.startswith(DENSE))
    base, *others = (maps[name] for name in (LEARNED, title, FUSED))
    gains = [100 * (values['mean_iu'] - base['mean_iu']) for values in others]
    costs = [1000 * (np.median(values['rounds']) - np.median(base['rounds'])) for values in others]
    # Within what rounds differ by; what is no slower costs nothing.
    spans = [
        np.maximum(0, middle(values['rounds']) - middle(base['rounds'])[::-1]) for values in others
    ]
    worse = {
        bool(gains[0] * fused < (gains[1] + error) * dense)
        for dense in spans[0]
        for fused in spans[1]
        for error in (-(noise or 0), noise or 0)
    }
    known = len(worse) == 1 and len(base['rounds']) >= FEWEST
    figures = [
        f'{cost:+.1f} ms for {gain:+.1f} points' for cost, gain in zip(costs, gains, strict=True)
    ]
    return {
        f'Dense scores ({title}: {figures[0]}) have a worse ratio of cost to improvement than fusing layers '
        f'({FUSED}: {figures[1]})': worse.pop() if known else None
    }


def better(row):
    """The faster of the two rarefied nets."""
    return min('dilated', 'batch', key=lambda way: np.median(row['rounds'][way]))


def spread(rows, one, other):
    """How many times as fast `one` is as `other`, at the least and at the most; each a way, or a function to one."""

    def seconds(row, way):
        return np.median(row['rounds'][way(row) if callable(way) else way])

    return span(seconds(row, other) / seconds(row, one) for row in rows)


def span(values):
    """The least and the greatest of some numbers, in words."""
    values = list(values)
    return ' to '.join(dict.fromkeys(f'{value:.2g}' for value in (min(values), max(values))))


def function(rows):
    """How upsampled scores differ from those of shifted runs, in words."""
    far, bends = (
        [100 * value for value in values]
        for values in (
            [row['difference']['upsampled'] for row in rows],
            [row['bend'] for row in rows],
        )
    )
    smoother = sum(value < 100 for value in bends)
    return (
        f'Upsampling is {"another" if min(far) > 100 * TOLERANCE else "not always another"} function: its '
        f'root-mean-square distance from the shifted runs is {span(far)} % of their standard '
        f'deviation. It is smoother in {smoother} of {len(rows)} rows: its second differences, down and across, '
        f'have {span(bends)} % of the root mean square of theirs.'
    )


def words(rows, maps, picture, noise=0):
    """The report."""
    heads = [
        [f'`{row["net"]}`, {row["image"][0]}²', ', '.join(row['layers']), row['factor']]
        for row in rows
    ]
    equal = [
        [
            *head,
            *(
                cell
                for way in ('dilated', 'batch')
                for cell in ('×'.join(map(str, row['cells'][way])), f'{row["difference"][way]:.0e}')
            ),
            100 * row['difference']['upsampled'],
            100 * row['bend'],
        ]
        for head, row in zip(heads, rows, strict=True)
    ]
    times = [
        [
            *head,
            *(
                f'{np.median(row["rounds"][way]):.3f}'
                for way in ('once', 'shifted', 'dilated', 'batch', 'upsampled')
            ),
            spread([row], better, 'shifted'),
        ]
        for head, row in zip(heads, rows, strict=True)
    ]
    first = ['net, image', 'strides removed from', 'f']
    batches = [faster(row['rounds']['batch'], row['rounds']['dilated']) for row in rows]
    scores = [
        [
            title,
            *(100 * values[name] for name in METRICS),
            f'{1000 * np.median(values["rounds"]):.1f}',
        ]
        for title, values in maps.items()
    ]
    rounds = len(rows[0]['rounds']['once'])
    return f"""Scores of f² runs on shifted images, interlaced, against those of one run. *Dilated*: strides removed,
convolutions and poolings that follow dilated. *Versions*: the paper's aside, the net as it is on a batch of subsampled
versions. *Upsampled*: the coarse scores through a bilinear deconvolution.

{
        table(
            [
                *first,
                'cells, dilated',
                'dilated − shifted',
                'cells, versions',
                'versions − shifted',
                'upsampled − shifted, % of σ',
                "upsampled's second differences, % of shifted's",
            ],
            equal,
        )
    }

Each equality is of so many cells of each channel: those that see only the image and the zeros that the first layer
puts around it. Nearer to the border, inner paddings and poolings that reach past the end depend on the shift. A
difference is the largest, as a share of the largest score.

Seconds, of all ways in turns: the median of {rounds} round{
        's' * (rounds > 1)
    } after a pass to warm up; `once` is
the coarse net.

{
        table(
            [
                *first,
                'once',
                'f² shifted',
                'dilated',
                'versions',
                'upsampled',
                'shifted / better of the two',
            ],
            times,
        )
    }

{claims(said(rows, maps, noise))}

{function(rows)}

Versions are faster than dilation in {batches.count(True)} of {len(rows)} rows and slower in {
        batches.count(False)
    }. For
the others, and where it says undecided above, the rounds differ too much.

Labels of validation images, each pixel's from the nearest cell. No net was trained for dense output:

{table(['scores', *HEADS, 'ms an image'], scores)}

![labels from these scores]({picture})
"""
