"""The page and the plot of benchmarks.scaling."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt

from fcn.text import markdown_table

from .scaling import (
    ADDED,
    ALONE,
    GATHERED,
    LATENCY,
    MACHINES,
    RATES,
    SIDE,
    TOGETHER,
    USED,
    Result,
    least,
    pace,
    speed_up,
    step_seconds,
)

FASTER = 1.0, 10.0, 50.0  # than the measured core


def page(kept: Result) -> str:
    """Return the page of what benchmarks.scaling kept."""
    nets = kept['nets']
    loads = '; '.join(
        f'{name} at a load of {one["load"]:.0f}, by processes of nice {one["nice"]}, '
        f'{len(one["cases"][ALONE])} rounds'
        for name, one in nets.items()
    )
    slower = ', '.join(f'{name} {pace(one):.2f} times' for name, one in nets.items())
    about = '\n'.join(f'- {name}: {value}' for name, value in kept['versions'].items())
    return f"""# Training by several processes

By `python -m benchmarks.scaling` on {kept['machine']}. A step learns from two
drawn images of {SIDE}×{SIDE}. Every case had its turn in each round; the fastest step counts, with
the median of its run in brackets. Other work ran on the machine, so differences of a fifth say
nothing: {loads}.

## Two cores: one process with both, or two with one each

{markdown_table(MEASURED, measured_rows(nets))}

The CPU seconds are those of both processes, without what reads images. Each process sends as many
bytes as the gradients have, for two processes: half of them to the other, which adds them up, and
half of the sums. A sum is under way from its first bucket to its last. The net waits for what is
left of it after the backward pass, and for the other process; the rest of it is hidden.

## Two machines, as network namespaces with a limited rate

{markdown_table(LIMITED, limited_rows(nets))}

One core each, and an image of the two. The model is fed with what one process measured alone: the
forward pass, when each bucket of gradients is final, the update; all of it as much slower as a step
of the two is where nothing limits what they send ({slower}). The floor is the same without any
overlap. What the model lacks is the work of sending: compare the CPU seconds with those above, of
processes that copy memory. A core that computes all the time has none to spare for TCP.

## What the model predicts

![predicted speed-up](scaling.png)

Images a second of N machines, as a multiple of one's. Each learns from an image a step, so that the
batch is N. In brackets the floor: nothing is moved before the backward pass has ended.

{markdown_table(PREDICTED, predicted_rows(nets))}

The model assumes that all images have one size and all machines one speed, as a step takes as long
as the slowest; that the switch gives every machine its full rate both ways at once, of which
{100 * USED:.0f} % carry gradients; that each of {GATHERED} rounds of messages for a bucket takes
{LATENCY * 1e6:.0f} µs besides; and that {ADDED / 1e9:.0f} GB are added up in a second. Faster
machines compute everything but that faster. Snapshots and validation are left out.

{about}
"""


MEASURED = (
    'net',
    'one process, s',
    'two, s',
    'efficiency',
    'CPU s, one',
    'CPU s, two',
    'gradients, MB',
    'sum under way, s',
    'waited, s',
    'hidden',
)


def measured_rows(nets: Result) -> Iterator[list[str]]:
    """Yield a row of each net."""
    for name, one in nets.items():
        alone, two = (least(one['cases'][case]) for case in (ALONE, TOGETHER))
        sums = two['sums']
        waited, way = sums['seconds_waited'], sums['seconds_under_way']
        yield [
            name,
            seconds(alone),
            seconds(two),
            f'{100 * min(alone["seconds"]) / min(two["seconds"]):.0f} %',
            f'{alone["cpu"]:.2f}',
            f'{two["cpu"]:.2f}',
            f'{sums["gradient_bytes"] / 1e6:.0f}',
            f'{way:.2f}',
            f'{waited:.2f}',
            f'{100 * max(0.0, 1 - waited / way):.0f} %',
        ]


LIMITED = (
    'net',
    'Gb/s',
    'measured, s',
    'model, s',
    'floor, s',
    'CPU s',
    'sum under way, s',
    'hidden',
)


def limited_rows(nets: Result) -> Iterator[list[str]]:
    """Yield a row of each net and rate."""
    for name, one in nets.items():
        for case, runs in one['cases'].items():
            if not case.startswith('rate '):
                continue
            rate, best = float(case.split()[1]), least(runs)
            model, floor = (
                step_seconds(one['profile'], 2, rate, 1 / pace(one), overlap)
                for overlap in (True, False)
            )
            sums = best['sums']
            waited, way = sums['seconds_waited'], sums['seconds_under_way']
            yield [
                name,
                f'{rate:g}',
                seconds(best),
                f'{model:.2f}',
                f'{floor:.2f}',
                f'{best["cpu"]:.2f}',
                f'{way:.2f}',
                f'{100 * max(0.0, 1 - waited / way):.0f} %',
            ]


PREDICTED = ('net', 'a machine computes', 'Gb/s', *(f'{count} machines' for count in MACHINES[1:]))


def predicted_rows(nets: Result) -> Iterator[list[str]]:
    """Yield a row of each net, speed of machines and rate."""
    for name, one in nets.items():
        profile = one['profile']
        for faster in FASTER:
            step = step_seconds(profile, 1, 1.0, faster)
            for rate in RATES:
                cells = []
                for count in MACHINES[1:]:
                    high, low = (
                        speed_up(profile, count, rate, faster=faster, overlap=overlap)
                        for overlap in (True, False)
                    )
                    cells.append(f'{high:.1f} ({low:.1f})')
                yield [name, f'a step in {step:.2g} s', f'{rate:g}', *cells]


def seconds(one: Result) -> str:
    return f'{min(one["seconds"]):.2f} ({median(one["seconds"]):.2f})'


def plot(kept: Result, file: Path) -> None:
    """Plot the predicted speed-up of each net, and its floor, of machines of three speeds."""
    nets = kept['nets']
    figure, axes = plt.subplots(
        len(nets), len(FASTER), figsize=(11, 3.6 * len(nets)), squeeze=False, sharex=True
    )
    counts = [1, 2, 4, 8, 16, 32, 64]
    for row, (name, one) in zip(axes, nets.items(), strict=True):
        for axis, faster in zip(row, FASTER, strict=True):
            profile = one['profile']
            axis.plot(counts, counts, color='0.7', linewidth=1, label='ideal')
            for rate, colour in zip(RATES, ('C0', 'C1'), strict=True):
                for overlap, style in ((True, '-'), (False, '--')):
                    values = [
                        speed_up(profile, count, rate, faster=faster, overlap=overlap)
                        for count in counts
                    ]
                    label = f'{rate:g} Gb/s' + ('' if overlap else ', floor')
                    axis.plot(counts, values, style, color=colour, marker='.', label=label)
            step = step_seconds(profile, 1, 1.0, faster)
            axis.set(xscale='log', yscale='log', title=f'{name}, {step:.2g} s a step')
            axis.set_xticks(counts, list(map(str, counts)))
            axis.set_yticks(counts, list(map(str, counts)))
            axis.minorticks_off()
            axis.grid(alpha=0.3)
        row[0].set_ylabel('images a second, of one machine')
    for axis in axes[-1]:
        axis.set_xlabel('machines, an image each')
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=90)
    plt.close(figure)
