"""What a run logged, as curves, and pictures of several curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from fcn.solvers import Run
from fcn.visualize import STAGE_COLOURS, STAGE_MARKERS

from .runs import Published

Curve = dict[str, list[float]]
# The labels of both axes, and {name: (x, y)}.
Panel = tuple[str, str, Mapping[str, tuple[Sequence[float], Sequence[float]]]]

LINES = ('-', '--', '-.', ':')


def curve(run: Run | Published, batch: int) -> Curve:
    """Return what a run logged, as lists; `batch` images make an iteration.

    They are `iteration`, the smoothed `loss` and the `seconds` of training up to there; and for the
    validations `val_iteration`, `val_loss` and `mean_iu` in percent.
    """
    records = run.log.read()
    shown = [record for record in records if 'smoothed_loss' in record]
    validated = [record for record in records if 'validation' in record]
    iterations = [record['iteration'] for record in shown]
    rates = np.array([record['images_per_second'] for record in shown])
    seconds = np.cumsum(np.diff(iterations, prepend=0) * batch / rates)
    return dict(
        iteration=iterations,
        loss=[record['smoothed_loss'] for record in shown],
        seconds=seconds.tolist(),
        val_iteration=[record['iteration'] for record in validated],
        val_loss=[record['validation_loss'] for record in validated],
        mean_iu=[100 * record['validation']['mean_iu'] for record in validated],
    )


def draw_curves(path: Path, panels: Sequence[Panel], markers: bool = False) -> None:
    """Write a picture of `panels` side by side to `path`; a name has one style in all of them."""
    figure = Figure(figsize=(4.2 * len(panels), 3.4), layout='constrained')
    for axes, (x_label, y_label, curves) in zip(
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
        axes.set(xlabel=x_label, ylabel=y_label)
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
