"""The paper's pictures: what each stage sees (Figure 4), and how it came to learn it.

Drawn with matplotlib on a white page. Both work for any data set whose labels are coloured as VOC's.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from data_layers.palette import voc_palette

VOID_COLOUR = (224, 224, 192)  # as the VOC devkit shows it
STAGE_COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')
STAGE_MARKERS = 'osD^vP'  # told apart without colour too
CELL = 1.5  # inches, the width of one image of Figure 4


def colour_label(label):
    """An integer label H×W in VOC's colours, void in cream: H×W×3 uint8."""
    palette = voc_palette()
    palette[255] = VOID_COLOUR
    return palette[label]


def figure4(path, rows):
    """Write Figure 4 to `path` (PNG or PDF by its suffix): image, each stage's labelling, the truth.

    `rows` is a list of (image H×W×3 uint8, {stage name: label H×W}, truth H×W); every row names
    the stages of the first, which stand in its order. ValueError where they or the sizes differ.
    """
    stages = list(rows[0][1])
    heights = [CELL * image.shape[0] / image.shape[1] for image, _, _ in rows]
    columns = ['image', *stages, 'ground truth']
    gap, head = 0.06, 0.3
    width = len(columns) * (CELL + gap) + gap
    height = sum(heights) + len(rows) * gap + head
    figure = Figure(figsize=(width, height))
    top = height - head
    for row, (image, labels, truth) in enumerate(rows):
        if list(labels) != stages:
            raise ValueError(f'stages {list(labels)} in one row and {stages} in the first')
        if any(label.shape != image.shape[:2] for label in (*labels.values(), truth)):
            raise ValueError(f'a labelling is not of the size of its image, {image.shape[:2]}')
        tall = heights[row]
        cells = [image, *(colour_label(label) for label in (*labels.values(), truth))]
        for column, (cell, title) in enumerate(zip(cells, columns, strict=True)):
            left = gap + column * (CELL + gap)
            axes = figure.add_axes((left / width, (top - tall) / height, CELL / width, tall / height))
            axes.imshow(cell, interpolation='nearest', aspect='auto')
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(linewidth=0.5, color='0.5')
            if row == 0:
                axes.set_title(title, fontsize=10, pad=4)
        top -= tall + gap
    _save(figure, path, dpi=200)


def curves(path, stages):
    """Write the learning curves to `path`: loss above, validation mean IU in percent below.

    `stages` is {name: {'iteration': [...], 'loss': [...], 'val_iteration': [...], 'mean_iu': [...]}},
    mean IU as fractions. Each stage counts its own iterations, and is drawn from where the one
    before it ended, since it learns on from there.
    """
    figure = Figure(figsize=(7, 5), layout='constrained')
    loss_axes, iu_axes = figure.subplots(2, 1, sharex=True)
    start, losses = 0, []
    for order, (name, log) in enumerate(stages.items()):
        style = dict(color=STAGE_COLOURS[order % 6])
        iteration, loss = start + np.asarray(log['iteration']), np.asarray(log['loss'], float)
        smooth = smoothed(loss, max(1, len(loss) // 25))
        losses.append(smooth)
        loss_axes.plot(iteration, loss, linewidth=0.5, alpha=0.25, **style)
        loss_axes.plot(iteration, smooth, linewidth=1.8, label=name, **style)
        iu_axes.plot(start + np.asarray(log['val_iteration']), 100 * np.asarray(log['mean_iu'], float),
                     linewidth=1.8, marker=STAGE_MARKERS[order % 6], markersize=5, label=name, **style)
        if start:
            for axes in (loss_axes, iu_axes):
                axes.axvline(start, color='0.6', linewidth=0.8, linestyle=':')
        start += max([*log['iteration'], *log['val_iteration']], default=0)
    if any(map(len, losses)):  # single iterations of one image spike far above the course of the loss
        loss_axes.set_ylim(0, 1.25 * max(np.nanmax(smooth) for smooth in losses if len(smooth)))
    loss_axes.set_ylabel('loss, smoothed')
    iu_axes.set(ylabel='validation mean IU (%)', xlabel='iterations, stage after stage')
    iu_axes.set_ylim(bottom=0)
    for axes in (loss_axes, iu_axes):
        axes.grid(color='0.9', linewidth=0.6)
        axes.spines[['top', 'right']].set_visible(False)
    figure.legend(*iu_axes.get_legend_handles_labels(), loc='outside upper center',
                  frameon=False, ncols=len(stages))
    _save(figure, path, dpi=200)


def smoothed(values, window):
    """The mean of up to `window` values around each: float array of the same length."""
    if not len(values):
        return np.asarray(values, float)
    sums = np.concatenate([[0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(at - window // 2, 0), np.minimum(at + (window + 1) // 2, len(values))
    return (sums[last] - sums[first]) / (last - first)


def _save(figure, path, dpi):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)
