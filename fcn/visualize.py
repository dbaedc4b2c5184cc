"""The paper's pictures: what each stage sees (Figure 4), and how it came to learn it.

Drawn with matplotlib on a white page, for any data set.
"""

from math import ceil
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image, ImageDraw, ImageFont

from fcn.data_layers import VOID, voc_palette

VOID_COLOUR = (224, 224, 192)  # as the VOC devkit shows it
STAGE_COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')
STAGE_MARKERS = 'osD^vP'  # told apart without colour too
BAND = 256  # rows of an overlay that are painted at once
CELL = 1.5  # inches, the width of one image of a grid


def colour_label(label, colours):
    """An integer label H×W in the `colours` of its classes, K×3 uint8, and void in cream: H×W×3 uint8."""
    palette = np.zeros((VOID + 1, 3), np.uint8)
    palette[: len(colours)], palette[VOID] = colours, VOID_COLOUR
    return palette[label]


def grid(path, rows, dataset, sides=()):
    """Write images and their labellings to `path` (PNG or PDF by its suffix), and below them a legend of the classes.

    `rows` is a list of ({title: image H×W×3 uint8}, {title: label H×W}, truth H×W), or a lone image in the place of
    the first; every row has the titles of the first, in its order. `dataset` is a data_layers.DataSet, for names and
    colours, and `sides` the words to the left of each row, if any. ValueError where titles or sizes differ.
    """
    rows = [
        (images if isinstance(images, dict) else {'image': images}, labels, truth)
        for images, labels, truth in rows
    ]
    _check(rows)
    columns = [*rows[0][0], *rows[0][1], 'ground truth']
    shapes = [truth.shape for _, _, truth in rows]
    heights = [CELL * height / width for height, width in shapes]
    gap, head, margin = 0.06, 0.3, 0.22 if sides else 0.0
    width = margin + len(columns) * (CELL + gap) + gap
    figure = Figure(figsize=(width, width))
    labels = [label for _, labels, truth in rows for label in (*labels.values(), truth)]
    foot = _legend(
        figure, np.unique(np.concatenate([np.unique(label) for label in labels])), dataset
    )
    height = head + sum(heights) + len(rows) * gap + foot
    figure.set_size_inches(width, height)
    top = height - head
    for row, ((images, labels, truth), tall) in enumerate(zip(rows, heights, strict=True)):
        cells = [
            *images.values(),
            *(colour_label(label, dataset.colours) for label in (*labels.values(), truth)),
        ]
        for column, (cell, title) in enumerate(zip(cells, columns, strict=True)):
            left = margin + gap + column * (CELL + gap)
            axes = figure.add_axes(
                (left / width, (top - tall) / height, CELL / width, tall / height)
            )
            axes.imshow(cell, interpolation='nearest', aspect='auto')
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(linewidth=0.5, color='0.5')
            if row == 0:
                axes.set_title(title, fontsize=10, pad=4)
            if sides and column == 0:
                axes.set_ylabel(sides[row], fontsize=8, labelpad=3)
        top -= tall + gap
    _save(figure, path, dpi=200)


def _check(rows):
    """ValueError unless all rows have the titles of the first, and each row images and labellings of one size."""
    first = [list(part) for part in rows[0][:2]]
    for images, labels, truth in rows:
        if [list(images), list(labels)] != first:
            raise ValueError(f'{[list(images), list(labels)]} in one row and {first} in the first')
        if any(cell.shape[:2] != truth.shape for cell in (*images.values(), *labels.values())):
            raise ValueError(
                f'an image or a labelling is not of the size of its truth, {truth.shape}'
            )


def _legend(figure, present, dataset):
    """Put a legend of the labels `present` at the foot of a figure, in as few lines as fit; its height in inches."""
    shown = [
        ('void', VOID_COLOUR) if label == VOID else (dataset.classes[label], dataset.colours[label])
        for label in present
    ]
    patches = [
        Patch(facecolor=np.divide(colour, 255), edgecolor='0.5', linewidth=0.5, label=name)
        for name, colour in shown
    ]
    for lines in range(1, len(patches) + 1):
        legend = figure.legend(
            handles=patches,
            ncols=ceil(len(patches) / lines),
            loc='lower center',
            fontsize=8,
            frameon=False,
            handlelength=1.2,
            handleheight=1.0,
            handletextpad=0.4,
            columnspacing=1.2,
            borderpad=0.2,
            borderaxespad=0.1,
        )
        extent = legend.get_window_extent()
        if extent.width <= figure.bbox.width or lines == len(patches):
            return extent.height / figure.dpi
        legend.remove()


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
        iu_axes.plot(
            start + np.asarray(log['val_iteration']),
            100 * np.asarray(log['mean_iu'], float),
            linewidth=1.8,
            marker=STAGE_MARKERS[order % 6],
            markersize=5,
            label=name,
            **style,
        )
        if start:
            for axes in (loss_axes, iu_axes):
                axes.axvline(start, color='0.6', linewidth=0.8, linestyle=':')
        start += max([*log['iteration'], *log['val_iteration']], default=0)
    if any(
        map(len, losses)
    ):  # single iterations of one image spike far above the course of the loss
        loss_axes.set_ylim(0, 1.25 * max(np.nanmax(smooth) for smooth in losses if len(smooth)))
    loss_axes.set_ylabel('loss, smoothed')
    iu_axes.set(ylabel='validation mean IU (%)', xlabel='iterations, stage after stage')
    iu_axes.set_ylim(bottom=0)
    for axes in (loss_axes, iu_axes):
        axes.grid(color='0.9', linewidth=0.6)
        axes.spines[['top', 'right']].set_visible(False)
    figure.legend(
        *iu_axes.get_legend_handles_labels(),
        loc='outside upper center',
        frameon=False,
        ncols=len(stages),
    )
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


def overlay(image, label, classes, opacity=0.55):
    """The image with its labels painted over all but the background, and a legend below."""
    palette, background = voc_palette(), classes[0] == 'background'
    painted = np.array(image)
    for top in range(0, len(image), BAND):  # Doubles of all of a large photo would be gigabytes.
        band, classes_of = image[top : top + BAND], label[top : top + BAND]
        mixed = np.rint((1 - opacity) * band + opacity * palette[classes_of]).astype(np.uint8)
        painted[top : top + BAND] = np.where((classes_of == 0)[..., None] & background, band, mixed)
    present = [int(value) for value in np.unique(label) if value or not background] or [0]
    height, width = label.shape
    size = max(12, min(28, width // 25))
    font = ImageFont.load_default(size)
    entries, rows, x = [], 1, 0
    for value in present:
        step = int(size * 2.2 + font.getlength(classes[value]))
        if x and x + step > width:
            x, rows = 0, rows + 1
        entries.append((x, rows - 1, value))
        x += step
    line = int(size * 1.6)
    canvas = Image.new('RGB', (width, height + rows * line), 'white')
    canvas.paste(Image.fromarray(painted))
    draw = ImageDraw.Draw(canvas)
    for x, row, value in entries:
        y = height + row * line + (line - size) // 2
        draw.rectangle(
            (x + 2, y, x + size, y + size - 2),
            fill=tuple(map(int, palette[value])),
            outline='black',
        )
        draw.text((x + int(size * 1.3), y - size // 8), classes[value], fill='black', font=font)
    return canvas
