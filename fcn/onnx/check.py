"""A file of ONNX compared with Caffe: both compute the same images, the file in ONNX Runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from fcn.data_layers.inputs import LogDepth
from fcn.engine import threads
from fcn.errors import FCNError, WeightsError
from fcn.inference import check_scores
from fcn.text import few

from .source import Source

MAXIMUM = 1e-4  # relative difference


@dataclass(frozen=True)
class Agreement:
    """How a file compares with Caffe.

    `difference` is the largest absolute difference of an output, relative to the output's largest
    absolute value, and `equal_labels` the share of equal labels, None where an output has no
    classes. `sizes` are the heights and widths of the images.
    """

    difference: float
    equal_labels: float | None
    sizes: tuple[tuple[int, int], ...]
    runtime: str = f'ONNX Runtime {onnxruntime.__version__}'

    def __str__(self) -> str:
        images = ' and '.join(dict.fromkeys(f'{height}×{width}' for height, width in self.sizes))
        labels = (
            '' if self.equal_labels is None else f', {100 * self.equal_labels:.4g} % equal labels'
        )
        return (
            f'{self.runtime} and Caffe on images of {images}: largest relative difference '
            f'{self.difference:.1e}{labels}'
        )


Feed = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]  # images, and the blobs of them
Outputs = Mapping[str, np.ndarray]


def make_feeds(source: Source, seed: int = 0) -> list[Feed]:
    """Return images of the source's sizes to compare with, and the blobs that Caffe sees of them.

    Where it is not known what blobs are made of, they stand for images minus a mean.
    """
    rng = np.random.default_rng(seed)
    return [_feed(source, size, rng) for size in source.sizes]


def _feed(source: Source, size: tuple[int, int], rng: np.random.Generator) -> Feed:
    images, blobs = {}, {}
    for blob, shape in source.shapes.items():
        kind = source.kinds.get(blob)
        if kind is None:
            shape = shape if len(shape) != 4 else (1, shape[1], *size)
            images[blob] = blobs[blob] = _noise(rng, shape)
        elif isinstance(kind, LogDepth):
            depth = (2500 + 15 * _noise(rng, size)).astype(np.float32)
            depth[:2] = 0  # as where nothing was measured
            images[blob], blobs[blob] = depth, kind.blob(depth)[np.newaxis]
        else:
            pixels = 128 + _noise(rng, (kind.channels, *size)).transpose(1, 2, 0)
            image = np.clip(pixels, 0, 255).astype(np.uint8)
            images[blob], blobs[blob] = image, kind.blob(image)[np.newaxis]
    return images, blobs


def _noise(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """Return float32 noise between about −120 and 120: large patches, and small ones on them."""
    noise = rng.uniform(-40, 40, shape)
    if len(shape) > 1:
        *front, height, width = shape
        for side in (5, 16):
            patches = rng.uniform(-40, 40, (*front, height // side + 1, width // side + 1))
            noise += patches.repeat(side, -2).repeat(side, -1)[..., :height, :width]
    return noise.astype(np.float32)


def compare(
    path: Path,
    source: Source,
    feeds: Sequence[Feed],
    expected: Sequence[Outputs],
    images: Mapping[str, str],
    labels: Mapping[str, str],
) -> Agreement:
    """Run a file on `feeds` and compare it with what Caffe computed of them.

    `images` names the file's input for each input blob that it makes itself; of the others it takes
    the blobs. The file gives all output blobs, and `labels` names the outputs that are labels of
    one. Raises WeightsError if an output differs by more than MAXIMUM.
    """
    session = open_session(path, source.name)
    difference, computed = 0.0, []
    for (pictures, blobs), outputs in zip(feeds, expected, strict=True):
        given = {name: blob for name, blob in blobs.items() if name not in images}
        given |= {images[name]: pictures[name][np.newaxis] for name in images}
        names = [*outputs, *labels.values()]
        found = dict(zip(names, _run(session, names, given, source.name), strict=True))
        computed.append(found)
        for blob, reference in outputs.items():
            differs = relative_difference(found[blob], reference)
            if not differs <= MAXIMUM:
                raise WeightsError(
                    f"{source.name}: ONNX Runtime's {blob} differs from Caffe's by {differs:.1e} "
                    f'of its largest value, and {MAXIMUM:g} is allowed; nothing was written'
                )
            difference = max(difference, differs)
    return Agreement(difference, equal_labels(source, computed, expected, labels), source.sizes)


def equal_labels(
    source: Source,
    found: Sequence[Outputs],
    expected: Sequence[Outputs],
    labels: Mapping[str, str] | None = None,
) -> float | None:
    """Return the share of equal labels among all outputs that score classes, None if none does.

    `labels` names the outputs among `found` that hold the labels of one.
    """
    equal = count = 0
    for ours, reference in zip(found, expected, strict=True):
        for blob, scores in reference.items():
            if not scores_classes(scores, blob, source):
                continue
            name = (labels or {}).get(blob)
            given = ours[name] if name else ours[blob].argmax(1)
            equal += int((given == scores.argmax(1)).sum())
            count += given.size
    return equal / count if count else None


def relative_difference(found: np.ndarray, reference: np.ndarray) -> float:
    """Return the largest absolute difference of two arrays, relative to the largest absolute value
    of `reference`; infinity if they are not of one shape."""
    if found.shape != reference.shape:
        return float('inf')
    check_scores(reference)
    largest = float(np.abs(reference).max(initial=0))
    difference = float(np.abs(found.astype(np.float64) - reference).max(initial=0))
    return difference / largest if largest else difference


def scores_classes(output: np.ndarray, blob: str, source: Source) -> bool:
    """Return whether an output scores classes along axis 1, as far as that is known."""
    return blob in source.classes or (output.ndim > 1 and output.shape[1] > 1)


def open_session(path: Path, name: str = '') -> Any:
    """Return an ONNX Runtime session of a file on the CPU, with as many threads as Caffe has.

    An error calls the file `name`.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, ['CPUExecutionProvider'])
    except Exception as error:
        message = ' '.join(str(error).split())
        raise FCNError(f'{name or path}: ONNX Runtime cannot load it ({message[:300]})') from error


def _run(session: Any, names: Sequence[str], given: Outputs, net: str) -> list[np.ndarray]:
    """Return what a session computes. Raises FCNError if it cannot."""
    try:
        return session.run(names, dict(given))
    except Exception as error:
        shapes = few(array.shape for array in given.values())
        message = ' '.join(str(error).split())
        raise FCNError(
            f'{net}: ONNX Runtime cannot run it on {shapes} ({message[:300]})'
        ) from error
