"""A layer of Caffe that is to be exported, and the nodes that it becomes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from caffe.proto.caffe_pb2 import LayerParameter

from fcn.errors import WeightsError

from .graph import LAST, Graph


@dataclass
class Layer:
    """A layer to export.

    `bottoms` are the tensors that it sees, `ranks` how many axes they have, `channels` the length
    of their axis 1, and `blobs` its weights, float32.
    """

    graph: Graph
    param: LayerParameter
    bottoms: Sequence[str]
    ranks: Sequence[int]
    channels: Sequence[int]
    blobs: Sequence[np.ndarray] = field(repr=False)

    @property
    def name(self) -> str:
        return self.param.name

    @property
    def type(self) -> str:
        return self.param.type

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node to the graph and return its tensor."""
        return self.graph.op(operator, inputs, f'{self.name}/{operator.lower()}', **attributes)

    def weights(self, value: np.ndarray) -> str:
        """Return the tensor of weights."""
        return self.graph.weights(value, f'{self.name}.weight')

    def vector(self, value: np.ndarray, kind: str) -> str:
        """Return the tensor of what there is one of for each channel: biases, scales, means."""
        return self.graph.constant(value, f'{self.name}.{kind}')

    def axis(self, axis: int, bottom: int = 0) -> int:
        """Return an axis of a bottom, counted from the first, where it may be counted from the
        last."""
        return axis + self.ranks[bottom] if axis < 0 else axis

    def shape(self, tensor: str, start: int, end: int | None = None) -> str:
        """Return the tensor of a part of a tensor's shape."""
        shape, g = self.op('Shape', tensor), self.graph
        if start == 0 and end is None:
            return shape
        last = g.integers(LAST if end is None else end)
        return self.op('Slice', shape, g.integers(start), last, g.integers(0))

    def refuse(self, reason: str) -> NoReturn:
        """Raise WeightsError: the layer cannot be exported."""
        raise WeightsError(f"layer '{self.name}' ({self.type}) cannot be exported: {reason}")
