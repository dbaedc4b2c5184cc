"""How the images of a step are shared out among processes."""

from typing import Any, NamedTuple

from fcn.data_layers import Source
from fcn.errors import FCNError
from fcn.mpi import Group, Part

from .overrides import scaled_batch_size


class Share(NamedTuple):
    """What process `rank` of `ranks` computes of a step of `passes` forward passes with `batch`
    images each: some of the passes, or of each pass some of the images."""

    rank: int
    ranks: int
    passes: int
    batch: int

    @property
    def by_images(self) -> bool:
        """Whether each pass is shared out, and not the passes."""
        return self.passes % self.ranks > 0

    @property
    def own_passes(self) -> int:
        return self.passes if self.by_images else self.passes // self.ranks

    @property
    def own_batch(self) -> int:
        return self.batch // self.ranks if self.by_images else self.batch

    @property
    def first_pass(self) -> int:
        """The number of this process's first pass among those of a step."""
        return 0 if self.by_images else self.rank * self.own_passes

    def of_images(self) -> dict[str, Any]:
        """Return the options of the data layer (data_layers.layers) that read this share."""
        count = self.own_passes * self.own_batch
        of = self.passes * self.batch
        if self.by_images:
            count, of = self.own_batch, self.batch
        if self.ranks == 1:
            return {}
        # A batch of one is the data layer's default.
        batch = {'batch': self.own_batch} if self.batch > 1 else {}
        return {'share': [self.rank * count, count, of], **batch}

    def of_cells(self) -> dict[str, Any]:
        """Return the options of data_layers.sampling that sample the same cells."""
        if self.ranks == 1:
            return {}
        if self.by_images:
            return {'examples': [self.rank * self.own_batch, self.own_batch, self.batch]}
        return {'passes': [self.first_pass, self.own_passes, self.passes]}


def overlaps(share: Share) -> bool:
    """Return whether NCCL sums the gradients of each layer as it computes backward: of a step's
    only pass. Of several passes it would sum each."""
    return share.own_passes == 1


def part_of_process(source: Source, share: Share) -> Source:
    """Return what a process validates on: of the forward passes that cover `source` its part."""
    if share.ranks == 1:
        return source
    options = dict(source.options)
    part = Part(share.rank, share.ranks)
    # One that has no pass, as there are too few, needs the shapes of a net all the same.
    has_one = part.size(options['limit'] // options.get('batch', 1))
    return source.with_options(part=part if has_one else (0, share.ranks))


def share_out(
    name: str, group: Group, passes: int, batch: int, asked: int, sampling: float | None
) -> Share:
    """Return this process's share of a step of net `name`. Raises FCNError, which names numbers
    that do, where the processes cannot have equal ones.

    `asked` is the --batch that makes `passes` passes of `batch` images.
    """
    share = Share(group.rank, group.size, passes, batch)
    if not share.by_images or batch % group.size == 0:
        return share
    fitting = [count for count in range(1, group.size) if not (passes % count and batch % count)]
    larger = list(_batches(group.size, asked, sampling))
    images = f'{passes * batch} images' if passes * batch > 1 else 'one image'
    raise FCNError(
        f'{name}: a step learns from {images}, of which {group.size} processes cannot have equal '
        f'shares; give --batch {" or ".join(map(str, larger))}, or start '
        f'{" or ".join(map(str, fitting[-3:]))}'
    )


def _batches(size: int, asked: int, sampling: float | None) -> list[int]:
    """Return the smallest two --batch, from what was asked on, that so many processes can share."""
    found: list[int] = []
    for batch in range(asked, asked + 1000 * size):
        try:
            if scaled_batch_size(batch, sampling) % size == 0:
                found.append(batch)
        except FCNError:
            continue
        if len(found) == 2:
            break
    return found
