"""Scores a net, or label images made elsewhere, by the four metrics of section 5."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fcn import inference
from fcn.data_layers import VOID, Source, source_at
from fcn.data_layers.dataset import evenly_spread
from fcn.data_layers.images import save_label
from fcn.data_layers.own.coding import Wishes
from fcn.data_layers.own.legends import Legend
from fcn.data_layers.own.listing import key
from fcn.data_layers.own.masks import Unknown, read_mask
from fcn.data_layers.own.predicted import decide_both, masks_in, match
from fcn.engine import choose_device, own_gpu
from fcn.errors import DataError, RunError
from fcn.inference import load_net
from fcn.io import file_digest, list_digest
from fcn.memory_estimate import check_memory, tiles_of_all
from fcn.metrics import class_iou, confusion, format_metrics, metrics, or_none
from fcn.mpi import ALONE, WHOLE, Part, world
from fcn.nets import NetConfig, deploy_net, train_net
from fcn.own import config_of, source_of
from fcn.runs import weights_of_net
from fcn.tiled_evaluation import TiledEvaluation
from fcn.tiling import Tiling, by_tiles

log = logging.getLogger('fcn')

Progress = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well labels agree with the truth.

    `confusion` counts pixels, K×K int64, rows true and columns predicted; `images` is how many were
    scored, `label` which of the data set's labels. With `drop_absent`, classes that the truth lacks
    leave the mean IU (SIFT Flow's custom). A net with two kinds of labels has the second in
    `others`, by name. Metrics are fractions.
    """

    classes: tuple[str, ...]
    confusion: np.ndarray = field(repr=False)
    images: int
    label: str = 'label'
    drop_absent: bool = False
    others: Mapping[str, 'Evaluation'] = field(default_factory=dict)
    # What was scored, where this is a part of it (fcn.parts).
    about: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def metrics(self) -> dict[str, float]:
        """The four metrics by name; NaN where no pixel of the truth has a class."""
        return metrics(self.confusion, self.drop_absent)

    @property
    def pixel_accuracy(self) -> float:
        """The share of pixels whose class is right."""
        return self.metrics['pixel_accuracy']

    @property
    def mean_accuracy(self) -> float:
        """The mean over classes of the share of their pixels that is right."""
        return self.metrics['mean_accuracy']

    @property
    def mean_iu(self) -> float:
        """The mean over classes of intersection over union."""
        return self.metrics['mean_iu']

    @property
    def frequency_weighted_iu(self) -> float:
        """The mean of intersection over union, weighted by each class's pixels."""
        return self.metrics['frequency_weighted_iu']

    @property
    def per_class(self) -> dict[str, float]:
        """The intersection over union of each class; NaN for one neither true nor predicted."""
        return dict(zip(self.classes, class_iou(self.confusion).tolist(), strict=True))

    def record(self) -> dict[str, Any]:
        """Return all of it for JSON, the metrics of other labels under their names."""
        return {
            **or_none(self.metrics),
            'class_iou': or_none(self.per_class),
            'confusion': self.confusion.tolist(),
            **{label: other.record() for label, other in self.others.items()},
        }

    def __str__(self) -> str:
        width = max(map(len, self.classes))
        lines = [format_metrics(self.metrics), '']
        for name, iou in self.per_class.items():
            lines.append(f'{name:<{width}}  ' + ('   –' if np.isnan(iou) else f'{100 * iou:5.1f}'))
        return '\n'.join(lines)


def evaluate(
    net: str | Path,
    data: str | Path | None = None,
    split: str | None = None,
    *,
    weights: str | Path | None = None,
    snapshot: str | int | None = None,
    images: int | None = None,
    out: Path | None = None,
    gpu: int | None = None,
    runs: str | Path = 'runs',
    progress: Progress = iter,
    part: Part | None = None,
) -> Evaluation:
    """Score a net on a split of a data set.

    `net`, `weights` and `snapshot` are those of `fcn.load`. `data` is the folder of the images and
    `split` the list of them, by default the data set's own; `images` scores so many of them, evenly
    spread. If the largest does not fit in memory, all go by tiles. Labels are written to the folder
    `out`, if it is given. `progress` wraps the iteration. With a `part` only that part of the
    images is scored; without one, processes that MPI connects share the images out, and each
    returns the whole. Raises FCNError, or DataError for images or labels that cannot be used.
    """
    group = ALONE if part else world()
    share = part or group.part
    name, caffemodel = weights_of_net(net, weights, runs, snapshot)
    config = config_of(name, caffemodel)
    source = scored_source(name, config, data, split, images)
    names = evenly_spread(source.names(), images)
    dataset = source.open()
    if out is not None:
        _check_out(out, dataset, names)
    about: dict[str, Any] = {}
    if part:
        about = {
            'net': name,
            'weights': file_digest(caffemodel),
            'list': list_digest(names),
            'total': len(names),
        }
    device = choose_device(own_gpu(gpu, group.node_rank, group.node_size))
    tiles = check_memory(name, config, source, device=device, sharing=group.node_size)
    tiles = tiles_of_all(group, tiles)
    mine = share.of(names)
    kept = iter(mine)

    def keep(predicted: dict[str, np.ndarray]) -> None:
        assert out is not None
        example = next(kept)
        for index, (label, labels) in enumerate(predicted.items()):
            suffix = f'_{label}' if index else ''
            colours = config.dataset.colours_of(label)
            file = out / f'{example}{suffix}.png'
            file.parent.mkdir(parents=True, exist_ok=True)
            save_label(labels[0], file, colours)

    each = keep if out else None
    matrices = {
        label: np.zeros((len(classes), len(classes)), np.int64)
        for label, classes in config.classes.items()
    }
    if share.total > 1:
        source = source._replace(options=(*source.options, ('part', share)))
    if tiles:
        log.info('%s', tiles.why)
    if not mine:  # There are more parts than images.
        pass
    elif tiles:
        deployed = load_net(deploy_net(config), str(caffemodel))
        with closing(TiledEvaluation(deployed, config, source, tiles.side)) as tiled:
            matrices, _ = tiled.evaluate(len(mine), progress, each)
    else:
        scored = load_net(train_net(config, source), str(caffemodel))
        try:
            matrices, _ = inference.evaluate(scored, len(mine), progress, each)
        finally:
            inference.close_layers(scored)
    count = len(mine) if part else len(names)
    matrices, custom = group.sum(matrices), config.dataset.drop_absent
    return replace(evaluation_of(matrices, config.classes, count, custom), about=about)


def evaluation_of(
    matrices: Mapping[str, np.ndarray],
    classes: Mapping[str, tuple[str, ...]],
    images: int,
    drop_absent: bool,
) -> Evaluation:
    """Return the Evaluation of {label: confusion matrix}, the others in the first label's."""
    results = {
        label: Evaluation(classes[label], matrix, images, label, drop_absent)
        for label, matrix in matrices.items()
    }
    first, *others = results
    return Evaluation(
        classes[first],
        matrices[first],
        images,
        first,
        drop_absent,
        {label: results[label] for label in others},
    )


def scored_source(
    name: str,
    config: NetConfig,
    data: str | Path | None,
    split: str | None,
    images: int | None,
) -> Source:
    """Return where the images lie that a net is scored on."""
    if config.is_classifier:
        raise RunError(f'{name} is a classifier; score an FCN')
    if config.own:
        source = source_of(config, data, split)
        return source._replace(options=(*source.options, ('limit', images)))
    own = config.dataset.val
    assert own is not None  # as every net that segments has
    source = source_at(own, data) if data else own
    options = (*source.options, ('limit', images))
    return source._replace(split=split or source.split, options=options)


def _check_out(out: Path, dataset: Any, names: Sequence[str]) -> None:
    """Raise DataError if predictions would overwrite the data set; else make the folder."""
    folders = {dataset.path(top, names[0]).parent.resolve() for top in dataset.tops}
    if out.resolve() in folders:
        raise DataError(
            f'{out}: the predictions would overwrite the data set there; give another --out'
        )
    out.mkdir(parents=True, exist_ok=True)


def score_folders(
    predictions: Path,
    truths: Path,
    classes: tuple[str, ...] | Legend,
    files: Sequence[Path] | None = None,
    progress: Progress = iter,
    *,
    foreground: int | None = None,
    unknown: Unknown = 'refuse',
    suffixes: tuple[str, str] = ('', ''),
    part: Part | None = None,
) -> Evaluation:
    """Score the label images below one folder against those of the same names below another.

    `classes` are the names of the classes, with their colours in a Legend. Each side may be coded
    in its own way, as values or as colours, with `foreground` and `unknown` of
    data_layers.own.coding.Wishes. Names may differ as data_layers.own.predicted.match has it, and
    those of predictions and of truths end with `suffixes`. `files` are those of the folder `truths`
    to score, by default all; `part` is that of `evaluate`. Raises DataError for a label that is
    missing, of another size, of values that are no class, or that cannot be told.
    """
    legend = classes if isinstance(classes, Legend) else Legend(tuple(classes))
    predicted = masks_in(predictions, 'pred', suffixes[0])
    if files is None:
        true = masks_in(truths, 'truth', suffixes[1])
    else:
        true = {key(file.stem): file for file in files}
    matched = match(true, predicted, predictions)
    as_true, as_predicted = decide_both(
        matched.pairs, legend, Wishes(foreground=foreground, unknown=unknown)
    )
    for side, notes in (
        ('the masks', matched.notes),
        ('truths', as_true.notes),
        ('predictions', as_predicted.notes),
    ):
        for note in notes:
            log.info('%s: %s', side, note)
    names = as_true.names
    matrix = np.zeros((len(names), len(names)), np.int64)
    group = ALONE if part else world()
    mine = (part or group.part).of(matched.pairs)
    for pair in progress(mine):
        truth = read_mask(pair.truth, as_true.coding)
        prediction = read_mask(pair.prediction, as_predicted.coding)
        if count := int((prediction[truth != VOID] == VOID).sum()):
            raise DataError(
                f'{pair.prediction}: predicts {VOID} (void) for {count} pixels of a class; every '
                'pixel needs a class'
            )
        matrix += confusion(truth, prediction, len(names))
    if part:
        listed = [pair.truth.relative_to(truths) for pair in matched.pairs]
        about = {'list': list_digest(listed), 'total': len(listed)}
        return Evaluation(names, matrix, len(mine), about=about)
    matrix = group.sum({'': matrix})['']
    held = matrix.sum(0) + matrix.sum(1)
    if (held > 0).sum() == 1:
        log.warning(
            '%s: all pixels are %s, in truths and predictions: a score over one class says nothing',
            truths,
            names[int(held.argmax())],
        )
    return Evaluation(names, matrix, len(matched.pairs))


def write_labels(
    config: NetConfig,
    weights: str | Path,
    source: Source,
    root: Path,
    year: int,
    progress: Progress = iter,
    side: int | None = None,
    part: Part = WHOLE,
) -> Path:
    """Write the labels of a net for the images of `source` as PASCAL's server takes them.

    They go into results/VOC{year}/Segmentation/comp6_{split}_cls under `root`, which is returned.
    Images are segmented by tiles of at most side×side, or whole; only those of `part`.
    """
    dataset = source.open()
    folder = root / 'results' / f'VOC{year}' / 'Segmentation' / f'comp6_{source.split}_cls'
    net = load_net(deploy_net(config), str(weights))
    folder.mkdir(parents=True, exist_ok=True)
    (top,), (label,) = config.input_blobs, config.classes
    names = evenly_spread(dataset.names, dict(source.options).get('limit'))
    compute, tiling = partial(inference.segment, net, config), Tiling.of(config)
    for name in progress(part.of(names)):
        images = {top: dataset.image(name)}
        labels = by_tiles(compute, tiling, images, side) if side else compute(images)
        save_label(labels[label], folder / f'{name}.png')
    return folder
