"""Pictures: labels in colour, overlays with a legend, grids such as Figure 4, learning curves."""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fcn.data_layers import VOID, voc_palette
from fcn.data_layers.palette import palette_of
from fcn.io import replacing

if TYPE_CHECKING:  # It takes half a second to load, and an overlay does without.
    from matplotlib.figure import Figure

VOID_COLOUR = tuple(voc_palette()[VOID].tolist())
STAGE_COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')
STAGE_MARKERS = 'osD^vP'  # told apart without colour too
BAND = 256  # rows of an overlay that are painted at once
CELL = 1.5  # inches, the width of one image of a grid


def colour_label(labels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Return H×W labels in the `colours` of their classes, K×3 uint8, and void in cream: H×W×3."""
    return palette_of(colours)[labels]


class HasClasses(Protocol):
    """What a legend is made of: the classes of a data set, and their colours, K×3 uint8 RGB."""

    @property
    def classes(self) -> Sequence[str]: ...
    @property
    def colours(self) -> np.ndarray: ...


class Row(NamedTuple):
    """A row of a grid: images H×W×3 uint8 and labels H×W by their titles, and the true labels."""

    images: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    truth: np.ndarray

    @property
    def titles(self) -> list[list[str]]:
        return [list(self.images), list(self.labels)]


def grid(
    path: str | Path,
    rows: Sequence[tuple[Any, Mapping[str, np.ndarray], np.ndarray]],
    dataset: 'HasClasses',
    sides: Sequence[str] = (),
) -> None:
    """Write images and labels to `path`, PNG or PDF by its suffix, with a legend below.

    `rows` holds (images, labels, truth) as in `Row`, or a lone image instead of the images by
    title; every row has the titles of the first, in its order. `dataset` gives names and colours,
    `sides` the text to the left of each row. Raises ValueError where titles or sizes differ.
    """
    from matplotlib.figure import Figure

    checked = _checked_rows(rows)
    first = checked[0]
    columns = [*first.images, *first.labels, 'ground truth']
    heights = [CELL * row.truth.shape[0] / row.truth.shape[1] for row in checked]
    gap, head, margin = 0.06, 0.3, 0.22 if sides else 0.0
    width = margin + len(columns) * (CELL + gap) + gap
    figure = Figure(figsize=(width, width))
    labels = [label for row in checked for label in (*row.labels.values(), row.truth)]
    present = np.unique(np.concatenate([np.unique(label) for label in labels]))
    colours = dataset.colours
    foot = _add_legend(figure, present, dataset.classes, colours)
    height = head + sum(heights) + len(checked) * gap + foot
    figure.set_size_inches(width, height)
    top = height - head
    for index, (row, tall) in enumerate(zip(checked, heights, strict=True)):
        painted = [colour_label(label, colours) for label in (*row.labels.values(), row.truth)]
        for column, (cell, title) in enumerate(
            zip([*row.images.values(), *painted], columns, strict=True)
        ):
            left = margin + gap + column * (CELL + gap)
            axes = figure.add_axes(
                (left / width, (top - tall) / height, CELL / width, tall / height)
            )
            axes.imshow(cell, interpolation='nearest', aspect='auto')
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set(linewidth=0.5, color='0.5')
            if index == 0:
                axes.set_title(title, fontsize=10, pad=4)
            if sides and column == 0:
                axes.set_ylabel(sides[index], fontsize=8, labelpad=3)
        top -= tall + gap
    _save(figure, path)


def contact_sheet(
    path: str | Path,
    rows: Sequence[tuple[np.ndarray, np.ndarray]],
    dataset: 'HasClasses',
    shares: Sequence[float],
) -> None:
    """Write pictures, their labels and how often each class occurs to a PNG.

    `rows` holds images H×W×3 uint8 and labels H×W; `shares` are those of the classes' pixels.
    """
    painted: list[tuple[Any, Mapping[str, np.ndarray], np.ndarray]] = [
        ({'image': image, 'labels over it': _painted(image, labels, dataset.colours)}, {}, labels)
        for image, labels in rows
    ]
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of letters that the font lacks
        parts = [Path(scratch) / name for name in ('grid.png', 'shares.png')]
        grid(parts[0], painted, dataset)
        _bars(parts[1], dataset, shares)
        above, below = (Image.open(part).convert('RGB') for part in parts)
    sheet = Image.new('RGB', (max(above.width, below.width), above.height + below.height), 'white')
    sheet.paste(above, (0, 0))
    sheet.paste(below, (0, above.height))
    with replacing(Path(path), durable=False) as partial:
        sheet.save(partial)


def _painted(image: np.ndarray, labels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Return an image with its labels painted over it, void left as it is."""
    mixed = (0.45 * image + 0.55 * colour_label(labels, colours)).astype(np.uint8)
    return np.where((labels == VOID)[..., np.newaxis], image, mixed)


def _bars(path: Path, dataset: 'HasClasses', shares: Sequence[float]) -> None:
    """Write a bar for the share of each class."""
    from matplotlib.figure import Figure

    names = list(dataset.classes)
    figure = Figure(figsize=(5, 0.6 + 0.22 * len(names)), layout='constrained')
    axes = figure.add_subplot()
    percent = [100 * share for share in shares]
    colours = [_unit(tuple(colour)) for colour in dataset.colours]
    places = range(len(names))
    bars = axes.barh(
        places, percent, color=colours, edgecolor='0.5', linewidth=0.5, tick_label=names
    )
    axes.bar_label(bars, [f'{share:.2g}' for share in percent], padding=2, fontsize=7)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.tick_params(labelsize=8)
    axes.set_xlabel('pixels, %', fontsize=8)
    _save(figure, path)


def _checked_rows(
    rows: Sequence[tuple[Any, Mapping[str, np.ndarray], np.ndarray]],
) -> list[Row]:
    """Raise ValueError unless all rows have the titles of the first, and each row arrays of one
    size."""
    checked = [
        Row(images if isinstance(images, Mapping) else {'image': images}, labels, truth)
        for images, labels, truth in rows
    ]
    for row in checked:
        if row.titles != checked[0].titles:
            raise ValueError(f'{row.titles} in one row and {checked[0].titles} in the first')
        cells = (*row.images.values(), *row.labels.values())
        if any(cell.shape[:2] != row.truth.shape for cell in cells):
            raise ValueError(
                f'an image or labels are not of the size of their truth, {row.truth.shape}'
            )
    return checked


def _add_legend(
    figure: 'Figure', present: np.ndarray, classes: Sequence[str], colours: np.ndarray
) -> float:
    """Put a legend of the labels `present` at the foot of a figure, in as few lines as fit, and
    return its height in inches."""
    from matplotlib.patches import Patch

    shown = [
        ('void', VOID_COLOUR) if label == VOID else (classes[label], tuple(colours[label]))
        for label in present
    ]
    patches = [
        Patch(facecolor=_unit(colour), edgecolor='0.5', linewidth=0.5, label=name)
        for name, colour in shown
    ]
    lines = 1
    while True:
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
        lines += 1


def _unit(colour: Sequence[int]) -> tuple[float, float, float]:
    """Return a colour of 0–255 as matplotlib takes it."""
    red, green, blue = (float(value) / 255 for value in colour)
    return red, green, blue


def curves(path: str | Path, stages: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Write learning curves to `path`: the loss above, the validation's mean IU in percent below.

    `stages` is {name: {'iteration': […], 'loss': […], 'val_iteration': […], 'mean_iu': […]}}, mean
    IU as fractions. Each stage counts its own iterations, and is drawn from where the one before it
    ended, since it learns on from there.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout='constrained')
    loss_axes, iu_axes = figure.subplots(2, 1, sharex=True)
    start, losses = 0.0, []
    for order, (name, log) in enumerate(stages.items()):
        colour, marker = STAGE_COLOURS[order % 6], STAGE_MARKERS[order % 6]
        iteration, loss = start + np.asarray(log['iteration']), np.asarray(log['loss'], float)
        smooth = smoothed(loss, max(1, len(loss) // 25))
        losses.append(smooth)
        loss_axes.plot(iteration, loss, linewidth=0.5, alpha=0.25, color=colour)
        loss_axes.plot(iteration, smooth, linewidth=1.8, label=name, color=colour)
        iu_axes.plot(
            start + np.asarray(log['val_iteration']),
            100 * np.asarray(log['mean_iu'], float),
            linewidth=1.8,
            marker=marker,
            markersize=5,
            label=name,
            color=colour,
        )
        if start:
            for axes in (loss_axes, iu_axes):
                axes.axvline(start, color='0.6', linewidth=0.8, linestyle=':')
        start += max([*log['iteration'], *log['val_iteration']], default=0)
    if any(map(len, losses)):  # Single iterations of one image spike far above the loss's course.
        top = max(np.nanmax(smooth) for smooth in losses if len(smooth))
        loss_axes.set_ylim(0, 1.25 * top)
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
    _save(figure, path)


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of up to `window` values around each: a float array of the same length."""
    if not len(values):
        return np.asarray(values, float)
    sums = np.concatenate([[0], np.cumsum(values)])
    place = np.arange(len(values))
    first = np.maximum(place - window // 2, 0)
    last = np.minimum(place + (window + 1) // 2, len(values))
    return (sums[last] - sums[first]) / (last - first)


def _save(figure: 'Figure', path: str | Path) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200)


def overlay(
    image: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    colours: np.ndarray,
    opacity: float = 0.55,
) -> Image.Image:
    """Return an image, H×W×3 uint8, with its labels painted over it and a legend below.

    `labels` is H×W, `colours` K×3 uint8. A class named background is not painted.
    """
    background = classes[0] == 'background'
    painted = np.array(image)
    for top in range(0, len(image), BAND):  # Doubles of all of a large photo would be gigabytes.
        band, values = image[top : top + BAND], labels[top : top + BAND]
        mixed = np.rint((1 - opacity) * band + opacity * colours[values]).astype(np.uint8)
        painted[top : top + BAND] = np.where((values == 0)[..., None] & background, band, mixed)
    present = [int(value) for value in np.unique(labels) if value or not background] or [0]
    return _with_legend(Image.fromarray(painted), [(classes[v], colours[v]) for v in present])


def _with_legend(image: Image.Image, entries: Sequence[tuple[str, np.ndarray]]) -> Image.Image:
    """Return the image with the names and colours of classes below it, in as few rows as fit."""
    width, height = image.size
    size = max(12, min(28, width // 25))
    font = ImageFont.load_default(size)
    places, rows, x = [], 1, 0
    for name, colour in entries:
        step = int(size * 2.2 + font.getlength(name))
        if x and x + step > width:
            x, rows = 0, rows + 1
        places.append((x, rows - 1, name, tuple(map(int, colour))))
        x += step
    line = int(size * 1.6)
    canvas = Image.new('RGB', (width, height + rows * line), 'white')
    canvas.paste(image)
    draw = ImageDraw.Draw(canvas)
    for x, row, name, fill in places:
        y = height + row * line + (line - size) // 2
        draw.rectangle((x + 2, y, x + size, y + size - 2), fill=fill, outline='black')
        draw.text((x + int(size * 1.3), y - size // 8), name, fill='black', font=font)
    return canvas
