"""The nets and the solver that a run is made of, as files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fcn.data_layers import Source
from fcn.io import write_text
from fcn.nets import NetConfig, deploy_net, train_net

from .options import Options
from .recipes import solver_prototxt
from .run import MANIFEST
from .share import Share, overlaps, part_of_process


class Prototxts:
    """The prototxts of net `name`, to go on from an iteration.

    It learns from `train` and is validated on `val`, in all of their images.
    """

    def __init__(
        self,
        name: str,
        config: NetConfig,
        options: Options,
        train: Source,
        val: Source,
        max_iter: int,
        iteration: int,
    ) -> None:
        self._name, self._config, self._options = name, config, options
        self._train, self._val = train, val
        self._max_iter, self._iteration = max_iter, iteration

    def write(
        self, folder: Path, share: Share, class_weights: Mapping[str, Path] | None = None
    ) -> None:
        """Write those of a process that computes a share: one that computes all writes what is
        kept, and what plain Caffe reads. `class_weights` are the files that balance the loss."""
        done, seed = self._iteration * share.passes, self._options.seed
        position = done * share.batch
        train = self._train.with_options(seed=seed, position=position, **share.of_images())
        val = part_of_process(self._val, share)
        sampling: dict[str, Any] | None = None
        if p := self._options.sampling:
            sampling = dict(p=p, seed=seed, position=done, **share.of_cells())
        if self._options.own:  # The run keeps what it needs to know of them.
            self._options.own.manifest.write(folder / MANIFEST)
            train, val = (source._replace(root=str(folder / MANIFEST)) for source in (train, val))
        for file, spec in (
            ('train', train_net(self._config, train, sampling, class_weights)),
            ('val', train_net(self._config, val)),
            ('deploy', deploy_net(self._config)),
        ):
            write_text(folder / f'{file}.prototxt', f'name: "{self._name}"\n{spec.to_proto()}')
        write_text(folder / 'solver.prototxt', self._solver(folder, share))

    def _solver(self, folder: Path, share: Share) -> str:
        options = self._options
        changes: dict[str, Any] = dict(base_lr=options.base_lr, momentum=options.momentum)
        if share.ranks > 1 and options.device != 'cpu':
            changes['layer_wise_reduce'] = 'true' if overlaps(share) else 'false'
        return solver_prototxt(
            self._name,
            train_net=str(folder / 'train.prototxt'),
            max_iter=self._max_iter,
            iter_size=share.own_passes,
            snapshot=0,
            snapshot_prefix='train',
            **{key: value for key, value in changes.items() if value is not None},
        )
