"""An ONNX graph as it grows: nodes in order, and constants that are shared wherever they are equal.

The names are Caffe's. A layer's last node has the layer's name, what it needs before that is
called LAYER/operator, and a tensor has the name of the blob. ONNX assigns each tensor once, so what
a layer computes in place is called after the layer.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper

MAX_SHAPE_BYTES = 1024  # of constants that shapes may depend on
LAST = 2**63 - 1  # the end of a slice that goes to the end


class Graph:
    """Nodes and constants, which name each other's tensors.

    With `half`, weights are kept as float16 and cast to float32 before they are used.
    """

    def __init__(self, half: bool = False) -> None:
        self.half = half
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._known: dict[tuple[Any, ...], str] = {}
        self._cast: dict[str, str] = {}
        self._taken: set[str] = set()

    def take(self, name: str) -> str:
        """Return `name`, or that name with a number if a tensor has it, and take it."""
        result, count = name, 1
        while result in self._taken:
            count += 1
            result = f'{name}_{count}'
        self._taken.add(result)
        return result

    def constant(self, value: np.ndarray, name: str) -> str:
        """Return the tensor of a constant: of the first one that is equal, or a new one, `name`."""
        value = np.asarray(value, order='C')
        digest = hashlib.blake2b(value.data, digest_size=16).digest()
        key = (value.dtype.str, value.shape, digest)
        if key not in self._known:
            self._known[key] = self.take(name)
            self.constants.append(_tensor(value, self._known[key]))
        return self._known[key]

    def weights(self, value: np.ndarray, name: str) -> str:
        """Return the tensor of a layer's weights, float32, whatever they are kept as."""
        if not self.half:
            return self.constant(value, name)
        kept = self.constant(value.astype(np.float16), f'{name}.half')
        if kept not in self._cast:
            self._cast[kept] = self.op('Cast', [kept], name, to=TensorProto.FLOAT)
        return self._cast[kept]

    def integers(self, *values: int) -> str:
        """Return the tensor of a vector of int64."""
        name = '_'.join(str(value).replace('-', 'minus') for value in values)
        return self.constant(np.array(values, np.int64), f'integers_{name}'[:60])

    def scalar(self, value: float) -> str:
        """Return the tensor of a float32 without axes."""
        return self.constant(np.array(value, np.float32), f'value_{value:g}')

    def add(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        name: str,
        **attributes: Any,
    ) -> None:
        """Add a node."""
        self.nodes.append(helper.make_node(operator, inputs, outputs, name, **attributes))

    def op(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node with one output, both called `name`, or nearly, and return its tensor."""
        name = self.take(name)
        self.add(operator, inputs, [name], name, **attributes)
        return name

    def rename(self, old: str, new: str) -> None:
        """Call the tensor `old` `new` from here on, and wherever it was used."""
        for node in self.nodes:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == old:
                        names[index] = new
        self._taken.add(new)

    def node_of(self, tensor: str, since: int = 0) -> NodeProto | None:
        """Return the node, of those from the number `since` on, that computes a tensor."""
        for node in self.nodes[since:]:
            if tensor in node.output:
                return node
        return None

    def without_weights(
        self, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]
    ) -> GraphProto:
        """Return the graph without the values of large constants, to infer shapes of it."""
        constants = [
            constant
            if len(constant.raw_data) <= MAX_SHAPE_BYTES
            else TensorProto(name=constant.name, dims=constant.dims, data_type=constant.data_type)
            for constant in self.constants
        ]
        return helper.make_graph(self.nodes, 'shapes', inputs, outputs, constants)

    def proto(
        self, name: str, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]
    ) -> GraphProto:
        """Return the graph."""
        return helper.make_graph(self.nodes, name, inputs, outputs, self.constants)


def _tensor(value: np.ndarray, name: str) -> TensorProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor(name, kind, value.shape, value.tobytes(), raw=True)
