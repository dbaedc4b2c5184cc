"""How far a net has come with its forward passes, layer by layer."""

import contextlib
import weakref
from collections.abc import Callable, Iterator

import numpy as np

from fcn.engine import caffe

# Is told the share of the work that is done, from 0 to 1, and the layer that was computed last.
Report = Callable[[float, str], None]

_ELEMENT = 20.0  # multiplications that an element of a layer without weights costs about as much as


class Passes:
    """A number of forward passes, of one net or of several, and who is told how far they are."""

    def __init__(self, report: Report, count: int) -> None:
        self._report, self._count, self._done = report, count, 0

    @contextlib.contextmanager
    def watching(self, net: caffe.Net) -> Iterator[None]:
        """Tell of the next pass, which `net` computes in the context."""
        layers = _Layers.of(net)

        def hear(share: float, layer: str) -> None:
            self._report(min(1.0, (self._done + share) / self._count), layer)

        layers.listener = hear
        try:
            yield
        finally:
            layers.listener = None
            self._done += 1


class _Layers:
    """The layers of a net, and the share of a pass that is done after each: it is reckoned from
    their multiplications."""

    def __init__(self, net: caffe.Net) -> None:
        self.listener: Report | None = None
        self._names = list(net.layer_dict)
        costs = np.array([_cost(net, name) for name in self._names])
        self._done = np.cumsum(costs) / costs.sum()

    @classmethod
    def of(cls, net: caffe.Net) -> '_Layers':
        """Return the layers of a net; it keeps them, so that it is asked once."""
        if not hasattr(net, '_watched_layers'):
            layers = net._watched_layers = cls(net)
            reference = weakref.ref(layers)  # Caffe keeps the callback for good.

            def after_layer(index: int) -> None:
                if watched := reference():
                    watched._after_layer(index)

            net.after_forward(after_layer)
        return net._watched_layers

    def _after_layer(self, index: int) -> None:
        if self.listener:
            self.listener(float(self._done[index]), self._names[index])


def _cost(net: caffe.Net, name: str) -> float:
    """Return about how many multiplications a layer takes, at the size that the net has now."""
    elements = sum(net.blobs[top].count for top in net.top_names[name])
    if net.layer_dict[name].type == 'Convolution':
        return float(net.params[name][0].count) * elements / net.params[name][0].shape[0]
    return _ELEMENT * elements + 1
