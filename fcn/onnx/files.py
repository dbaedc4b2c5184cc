"""A net of Caffe written as a file of ONNX, and checked before it counts."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import GraphProto, ModelProto, StringStringEntryProto

from fcn.engine import choose_device
from fcn.errors import FCNError, WeightsError
from fcn.io import check_writable, replacing
from fcn.solvers import Choice
from fcn.text import gigabytes

from .check import Agreement, compare, equal_labels, make_feeds
from .draft import Choices, Draft, make_draft
from .metadata import describe, metadata
from .source import Source, find_source

MAX_BYTES = 2**31 - 1  # of a message of protobuf, and so of a file without others next to it
# The layers whose first blob is float16 in a file of half precision.
HALVED = 'Convolution', 'Deconvolution', 'InnerProduct', 'Parameter'
FLOAT16_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Exported:
    """A file of ONNX, and how it compares with Caffe.

    `inputs` and `outputs` say in a few words what each is, by name. `pinned` says why the file
    takes images of one size only, and is '' if it takes any. `half_labels` is the share of labels
    that float16 weights leave as they were, None if the weights are float32; `agreement` is then
    that with Caffe on the rounded weights.
    """

    path: Path
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    agreement: Agreement
    pinned: str = ''
    half_labels: float | None = None


def export(
    net: str | Path | None,
    out: str | Path,
    weights: str | Path | None = None,
    *,
    preprocessing: bool = False,
    labels: bool = False,
    half: bool = False,
    simplify: bool = False,
    size: tuple[int, int] | None = None,
    snapshot: Choice | None = None,
    runs: str | Path = 'runs',
) -> Exported:
    """Write a net to the file `out` as ONNX, after comparing it with Caffe in ONNX Runtime.

    `net` is a name, a run folder or a deploy prototxt, `weights` a caffemodel or a run folder;
    they, `snapshot` and `runs` mean what they do to `fcn.load`. The file takes batches of images of
    any size as Caffe does, N×C×H×W float32, and gives the net's outputs.

    With `preprocessing` it takes N×H×W×3 uint8 RGB instead. With `labels` it gives labels instead
    of scores, N×H×W uint8. With `half` its weights are float16. `size` is a height and width: the
    file then takes one image of that size. With `simplify` onnxslim folds what is constant.

    Raises FCNError if the file and Caffe differ by more than 1e-4 of the largest output, and for a
    layer that cannot be exported; then nothing is written.
    """
    out = Path(out)
    check_writable(out)
    if half and simplify:
        raise FCNError(
            'half and simplify: folding constants would make the weights float32 again; drop one'
        )
    choose_device(-1)
    source = find_source(net, weights, snapshot, runs)
    source.choose_size(size)
    choices = Choices(
        preprocessing=preprocessing, labels=labels, half=half, simplify=simplify, size=size
    )
    feeds = make_feeds(source)
    expected = [source.run(blobs) for _, blobs in feeds]
    half_labels = None
    if half:
        exact = expected
        round_weights(source)
        expected = [source.run(blobs) for _, blobs in feeds]
        half_labels = equal_labels(source, expected, exact)
    draft = make_draft(source, choices)
    inputs, outputs = _descriptions(source, draft)
    with replacing(out) as partial:
        _write(draft, partial)
        with _scores_in(partial, draft):
            agreement = compare(partial, source, feeds, expected, draft.images, draft.labels)
        about = metadata(source, agreement, half_labels)
        entries = [StringStringEntryProto(key=key, value=text) for key, text in about.items()]
        _append(partial, ModelProto(metadata_props=entries))
    return Exported(out, inputs, outputs, agreement, source.pinned, half_labels)


def round_weights(source: Source) -> None:
    """Round the weights of a net in Caffe to float16.

    Raises WeightsError for weights that are too large.
    """
    for name, blobs in source.net.params.items():
        if source.net.layer_dict[name].type.removeprefix('Stock') not in HALVED:
            continue
        weights = blobs[0].data
        if (largest := float(np.abs(weights).max(initial=0))) > FLOAT16_MAX:
            raise WeightsError(
                f"{source.weights}: layer '{name}' has weights up to {largest:g}, and float16 ends "
                f'at {FLOAT16_MAX:g}; leave them float32'
            )
        weights[...] = weights.astype(np.float16)


def _descriptions(source: Source, draft: Draft) -> tuple[dict[str, str], dict[str, str]]:
    """Return what each input and each output is, by name."""
    graph = draft.model.graph
    inputs = {
        value.name: describe(value, source.kinds.get(blob), image=blob in draft.images)
        for blob, value in zip(source.shapes, graph.input, strict=True)
    }
    return inputs, {value.name: describe(value) for value in graph.output}


def _write(draft: Draft, path: Path) -> None:
    """Write a model, and let go of it."""
    size = draft.model.ByteSize()
    if size > MAX_BYTES:
        raise FCNError(
            f'{draft.model.graph.name}: takes {gigabytes(size)}, and a file of ONNX holds 2 GiB; '
            'export it with float16 weights'
        )
    with path.open('wb') as file:
        file.write(draft.model.SerializeToString())
    draft.model = ModelProto()


@contextmanager
def _scores_in(path: Path, draft: Draft) -> Iterator[None]:
    """Let a file whose outputs are labels give the scores too, to be compared.

    What follows a message of protobuf is merged with it: here, more outputs of its graph.
    """
    size = path.stat().st_size
    if draft.scores:
        _append(path, ModelProto(graph=GraphProto(output=draft.scores)))
    yield
    os.truncate(path, size)


def _append(path: Path, more: ModelProto) -> None:
    with path.open('ab') as file:
        file.write(more.SerializeToString())
