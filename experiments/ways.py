"""One net trained in several ways: what sampling, balancing, augmentation and momentum have in common."""

import numpy as np
from matplotlib.figure import Figure

from fcn.metrics import METRICS
from fcn.nets import find
from fcn.visualize import STAGE_COLOURS, STAGE_MARKERS

from .report import HEADS, exceeds
from .study import QUICK, QUICK_REAL, table

SEEDS = (1337, 1, 2)  # of the miniature: what two runs of one way differ by
LINES = ('-', '--', '-.', ':')
REAL = 'real images, GoogLeNet: mean IU'
LEAST = 1.0  # points of mean IU that are worth noticing


def iterations(study, mini, real):
    """How long each way learns: what the command line asks for, else `mini` or `real`, cut short if quick."""
    if study.iterations:
        return study.iterations
    if study.trunk != 'mini':
        return QUICK_REAL if study.quick else real
    return mini // QUICK if study.quick else mini


def seeds(study):
    """Those of the miniature; a real net has time for one."""
    return SEEDS if study.trunk == 'mini' and not study.quick else SEEDS[:1]


def train(study, net, count, **options):
    """solvers.Run of `net` after `count` iterations with `options`, of solvers.Options, in a folder named by both.

    Whichever experiment asks for the same first trains it; the miniature's net as by its recipe is that of Table 2.
    """
    asked = ''.join(
        f'-{key}' if value is True else f'-{key}{value:g}'
        for key, value in options.items()
        if value and (key, value) != ('seed', SEEDS[0])
    )
    plain = not asked and study.trunk == 'mini' and count == study.usual(find(net))
    return study.train(
        net,
        None if plain else f'{net}-{count}{asked}',
        iterations=count,
        val_every=max(1, count // 8),
        **options,
    )


def scores(study, net, runs):
    """Four metrics in percent, a row for each of `runs`."""
    found = []
    for run in runs:
        values = next(iter(study.score(net, run)[0].values()))
        found.append([100 * values[metric] for metric in METRICS])
    return np.array(found)


def compared(study, ways, count):
    """Train the 32s net in each of `ways`, {name: Options}, with each seed; ({name: metrics}, a table of them).

    The metrics are arrays, a row a seed. The table has their means, the spread of mean IU, and beside the
    miniature's the mean IU of the report on real images, if there is one.
    """
    net, found = study.net('fcn32s'), {}
    for way, options in ways.items():
        found[way] = scores(
            study, net, [train(study, net, count, **options, seed=seed) for seed in seeds(study)]
        )
    many, real = len(seeds(study)) > 1, study.beside('googlenet') if study.trunk == 'mini' else None
    head = ['', *HEADS, *(['spread of mean IU'] if many else []), *([REAL] if real else [])]
    rows = [
        (
            way,
            *map(float, values.mean(0)),
            *([spread(values)] if many else []),
            *([float(np.mean(real['raw'][way]['mean_iu']))] if real else []),
        )
        for way, values in found.items()
    ]
    return found, table(head, rows)


def basis(study, count):
    """What the table of `compared` rests on, in words."""
    many = len(seeds(study))
    words = f'{f"Means over {many} seeds" if many > 1 else "One seed"}, {count} iterations each, all validation images.'
    if study.trunk == 'mini' and study.beside('googlenet'):
        name = f'{study.name}-googlenet.md'
        words += (
            f' The real column is of [{name}]({name}), which names its iterations and their time.'
        )
    return words


def raw(found):
    """The metrics of `compared` for a report's JSON."""
    return {
        way: dict(zip(METRICS, values.T.tolist(), strict=True)) for way, values in found.items()
    }


def spread(values):
    """The range of the mean IU over seeds, in points."""
    return float(np.ptp(values[:, METRICS.index('mean_iu')]))


def gains(found, way, plain):
    """By how many points of mean IU `way` is above `plain`, seed by seed, and twice the standard error of their
    mean, infinite for one seed."""
    column = METRICS.index('mean_iu')
    differences = found[way][:, column] - found[plain][:, column]
    count = len(differences)
    return differences, 2 * float(differences.std(ddof=1)) / np.sqrt(count) if count > 1 else np.inf


def improves(found, way, plain):
    """Whether `way` raises mean IU by more than LEAST points; None if two standard errors leave both possible."""
    differences, error = gains(found, way, plain)
    return exceeds(float(differences.mean()) - LEAST, error)


def verdict(found, way, plain):
    """`gains` in words."""
    differences, error = gains(found, way, plain)
    mean = float(differences.mean())
    by_seed = ', '.join(f'{difference:+.1f}' for difference in differences)
    how = (
        f'seed by seed {by_seed}; two standard errors are {error:.1f}'
        if len(differences) > 1
        else ('by one seed, which tells nothing of chance')
    )
    return f'{way.capitalize()}, mean IU is {abs(mean):.1f} points {"above" if mean > 0 else "below"} {plain} ({how})'


def curve(run, batch):
    """What a solvers.Run logged, as arrays: iteration, smoothed loss, seconds of training up to there; and of its
    validations, iteration, loss, mean IU in percent. `batch` images make an iteration."""
    records = run.log.read()
    shown = [record for record in records if 'smoothed_loss' in record]
    checked = [record for record in records if 'validation' in record]
    iteration = np.array([record['iteration'] for record in shown])
    seconds = (
        np.diff(iteration, prepend=0)
        * batch
        / np.array([record['images_per_second'] for record in shown])
    )
    return dict(
        iteration=iteration,
        loss=np.array([record['smoothed_loss'] for record in shown]),
        seconds=np.cumsum(seconds),
        val_iteration=np.array([record['iteration'] for record in checked]),
        val_loss=np.array([record['validation_loss'] for record in checked]),
        mean_iu=np.array([100 * record['validation']['mean_iu'] for record in checked]),
    )


def lines(path, panels, markers=False):
    """Write a picture of `panels`, [(label of x, label of y, {name: (x, y)})], side by side; names have one style."""
    figure = Figure(figsize=(4.2 * len(panels), 3.4), layout='constrained')
    for axes, (across, up, curves) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
    ):
        for order, (name, (x, y)) in enumerate(curves.items()):
            axes.plot(
                x,
                y,
                label=name,
                color=STAGE_COLOURS[order],
                linestyle=LINES[order],
                linewidth=1.6,
                marker=STAGE_MARKERS[order] if markers else None,
                markersize=4,
            )
        axes.set(xlabel=across, ylabel=up)
        axes.set_ylim(bottom=0)
        axes.grid(color='0.9', linewidth=0.6)
        axes.spines[['top', 'right']].set_visible(False)
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc='outside upper center',
        frameon=False,
        ncols=len(curves),
    )
    figure.savefig(path, dpi=200)
