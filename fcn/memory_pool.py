"""What pycaffe/onednn/release.cpp does with the memory of a net's blobs, in numbers of elements.

A pool lends the smallest piece that is large enough, so that it comes to hold more than what is
lent at once. How much more depends on the order of the layers: it is reckoned by going through
them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

# (type, bottoms, tops) of a net's layers, in their order.
Layers = Sequence[tuple[str, Sequence[str], Sequence[str]]]

# The layers whose blobs are managed: kManageable there.
MANAGEABLE = {
    *('Convolution', 'Deconvolution', 'ReLU', 'Pooling', 'LRN', 'Crop', 'Eltwise', 'Split'),
    *('Dropout', 'Concat', 'Scale', 'InnerProduct', 'Accuracy', 'SoftmaxWithLoss'),
}


def managed_blobs(layers: Layers, fixed: Iterable[str]) -> dict[str, int]:
    """Return the blobs whose memory is managed, each with the index of the last layer that uses it.

    `fixed` are blobs that keep their memory: inputs, outputs, and those that are read later.
    """
    last_use: dict[str, int] = {}
    fixed = set(fixed)
    for index, (kind, bottoms, tops) in enumerate(layers):
        last_use |= dict.fromkeys((*bottoms, *tops), index)
        if kind not in MANAGEABLE:
            fixed |= {*bottoms, *tops}
    return {blob: last for blob, last in last_use.items() if blob not in fixed}


@dataclass(eq=False)
class _Piece:
    size: float
    touched: bool = False  # before that, the system has not given it


@dataclass
class Pool:
    """The pool, given the elements of each blob. `peak` is how many it held at most."""

    counts: Mapping[str, float]
    peak: float = 0
    _pieces: list[_Piece] = field(default_factory=list)
    _lent: dict[str, _Piece] = field(default_factory=dict)

    def forward(self, layers: Layers, managed: Mapping[str, int]) -> None:
        """Run the layers of a net that is tested."""
        for index, (kind, bottoms, tops) in enumerate(layers):
            for top in tops:
                if bottoms and top in managed and top not in bottoms:
                    self._lend(top, touched=kind != 'Split')
            if kind == 'Split':  # Its tops are views of its bottom.
                for top in tops:
                    self._lent.pop(top, None)
                    if bottoms[0] in self._lent:
                        self._lent[top] = self._lent[bottoms[0]]
            for blob in [blob for blob in self._lent if managed[blob] == index]:
                del self._lent[blob]

    def backward(self, layers: Layers, managed: Mapping[str, int]) -> None:
        """Run the layers of a net that is trained, backward."""
        for _, bottoms, tops in reversed(layers):
            for bottom in bottoms:
                if bottom in managed and bottom not in tops:
                    self._lend(bottom)
            for top in tops:
                if top not in bottoms:
                    self._lent.pop(top, None)

    def _lend(self, blob: str, touched: bool = True) -> None:
        size = self.counts.get(blob, 0)
        self._lent.pop(blob, None)
        lent = set(map(id, self._lent.values()))
        free = [piece for piece in self._pieces if id(piece) not in lent]
        if fitting := [piece for piece in free if piece.size >= size]:
            piece = min(fitting, key=lambda piece: piece.size)
        else:  # All are too small, and are freed.
            piece = _Piece(size)
            self._pieces = [*(kept for kept in self._pieces if id(kept) in lent), piece]
        piece.touched |= touched
        self._lent[blob] = piece
        self.peak = max(self.peak, sum(piece.size for piece in self._pieces if piece.touched))
