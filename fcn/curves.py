"""Learning curves of runs: as a picture, and as a table for other programs."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fcn.history import History, Series
from fcn.io import replacing, write_text
from fcn.metrics import METRICS
from fcn.visualize import STAGE_COLOURS, STAGE_MARKERS, smoothed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MANY = 24  # runs or classes that one picture can tell apart, by colour, line and marker
LINES = '-', '--', ':', '-.'
TRAINING = 'loss', 'smoothed_loss', 'lr', 'images_per_second'
VALIDATION = 'validation_loss', *METRICS


def write_csv(path: Path, histories: Mapping[str, History]) -> None:
    """Write a line for each line of the runs' logs, with a column for each number.

    The columns are run, net, iteration, time (seconds since 1970), those of training and of
    validation, and `iu CLASS` for each class; metrics are fractions. What a line does not tell is
    empty.
    """
    classes = dict.fromkeys(name for history in histories.values() for name in history.class_iu)
    text = io.StringIO()
    head = ['run', 'net', 'iteration', 'time', *TRAINING, *VALIDATION]
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow([*head, *(f'iu {name}' for name in classes)])
    for run, history in histories.items():
        rows = [*_rows(history.training, {}, classes)]
        rows += _rows(history.validations, history.class_iu, classes)
        # A validation comes after the training that it is of.
        for _, line in sorted(rows, key=lambda row: row[0]):
            writer.writerow([run, history.net, *line])
    write_text(path, text.getvalue())


def _rows(
    series: Series, class_iu: Series, classes: Mapping[str, None]
) -> list[tuple[float, list[float | str]]]:
    """Return (iteration, cells from iteration on) of each line of a series."""
    rows = []
    for index, iteration in enumerate(series['iteration']):
        cells = [
            series[name][index] if name in series else None for name in (*TRAINING, *VALIDATION)
        ]
        shares = [class_iu[name][index] if name in class_iu else None for name in classes]
        line = [iteration, series['time'][index], *cells, *shares]
        rows.append((iteration or 0, ['' if cell is None else cell for cell in line]))
    return rows


def draw(path: Path, histories: Mapping[str, History]) -> None:
    """Write the runs' losses and mean IU over their iterations as a picture, PNG or PDF by the
    suffix of `path`; of one run, each class's IU too."""
    from matplotlib.figure import Figure

    alone = next(iter(histories.values())) if len(histories) == 1 else None
    per_class = alone.class_iu if alone else {}
    panels = 3 if per_class else 2
    figure = Figure(figsize=(5.2 * panels, 4.2), layout='constrained')
    axes: Sequence[Axes] = figure.subplots(1, panels)
    tops = []
    for order, (name, history) in enumerate(histories.items()):
        colour, line, marker = _style(order)
        iteration, loss = _points(history.training, 'smoothed_loss')
        smooth = smoothed(loss, max(1, len(loss) // 25))
        tops += [smooth.max()] if len(smooth) else []
        axes[0].plot(iteration, loss, linewidth=0.6, alpha=0.3, color=colour)
        axes[0].plot(iteration, smooth, line, linewidth=1.8, color=colour, label=name)
        axes[1].plot(
            *_percent(history.validations, 'mean_iu'),
            line,
            linewidth=1.8,
            marker=marker,
            markersize=4,
            color=colour,
            label=name,
        )
    if tops:  # Single iterations of one image spike far above the loss's course.
        axes[0].set_ylim(0, 1.25 * max(tops) or 1)
    axes[0].set_ylabel('loss, smoothed')
    axes[1].set_ylabel('validation mean IU (%)')
    if per_class and alone:
        axes[2].set_ylabel('IU of each class (%)')
        for order, (name, values) in enumerate(per_class.items()):
            colour, line, marker = _style(order)
            series = {'iteration': alone.validations['iteration'], name: values}
            x, y = _percent(series, name)
            axes[2].plot(x, y, line, marker=marker, markersize=4, color=colour, label=name)
        if len(per_class) <= MANY:
            axes[2].legend(
                fontsize=7,
                handlelength=3,
                frameon=False,
                ncols=1 if len(per_class) < 13 else 2,
                loc='upper left',
                bbox_to_anchor=(1, 1),
            )
    for panel in axes:
        panel.set_xlabel('iteration')
        panel.grid(color='0.9', linewidth=0.6)
        panel.spines[['top', 'right']].set_visible(False)
    for panel in axes[1:]:
        panel.set_ylim(bottom=0)
    figure.legend(
        *axes[1].get_legend_handles_labels(),
        loc='outside upper center',
        frameon=False,
        ncols=min(4, len(histories)),
    )
    with replacing(path, durable=False) as partial:
        figure.savefig(partial, dpi=150)


def _style(order: int) -> tuple[str, str, str]:
    """Return a colour, a line and a marker that tell curves apart, without colour too."""
    colours, markers = len(STAGE_COLOURS), len(STAGE_MARKERS)
    turn = order // colours
    marker = STAGE_MARKERS[(order + turn) % markers]
    return STAGE_COLOURS[order % colours], LINES[turn % len(LINES)], marker


def _points(series: Series, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the iterations and values of a series, without what is missing."""
    pairs = [
        (iteration, value)
        for iteration, value in zip(series['iteration'], series[name], strict=True)
        if iteration is not None and value is not None
    ]
    x, y = np.array(pairs, float).reshape(-1, 2).T
    return x, y


def _percent(series: Series, name: str) -> tuple[np.ndarray, np.ndarray]:
    iteration, values = _points(series, name)
    return iteration, 100 * values
