"""The nets and runs at hand: run folders, published weights, files that the command line names.

A browser names them by ids that are looked up here; none is ever made a path.
"""

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fcn.data_layers.inputs import Colour
from fcn.errors import FCNError, RunError, SnapshotError
from fcn.history import find_runs
from fcn.nets import NETS, NetConfig, last_stride
from fcn.own import config_of
from fcn.solvers import published
from fcn.solvers.snapshot import MANIFEST, WEIGHTS, file_name, read_checksummed

from .settings import Settings

FRESH = 2.0  # seconds that a look at the folders is good for


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of a run, and the mean IU of its validation, if there was one."""

    iteration: int
    mean_iu: float | None


@dataclass(frozen=True)
class Entry:
    """A net at hand. `run` is its run folder, else `weights` its caffemodel; `snapshot` is the
    iteration of the one to take, None for the best. `refusal` says why the page cannot use it."""

    id: str
    net: str
    config: NetConfig
    run: Path | None = None
    weights: Path | None = None
    snapshot: int | None = None
    snapshots: tuple[Snapshot, ...] = ()
    refusal: str = ''

    @property
    def best(self) -> Snapshot | None:
        """The snapshot that is used where none is named."""
        validated = [each for each in self.snapshots if each.mean_iu is not None]
        if validated:
            return max(validated, key=lambda each: (each.mean_iu or 0, each.iteration))
        return self.snapshots[-1] if self.snapshots else None

    def for_engine(self) -> dict[str, Any]:
        """Return what the engine is told of the net."""
        return {
            'id': self.id,
            'net': self.net,
            'run': str(self.run) if self.run else None,
            'weights': str(self.weights) if self.weights else None,
            'snapshot': self.snapshot,
        }

    @property
    def stride(self) -> int:
        """The stride of the last score."""
        return last_stride(self.config)


class UnknownError(FCNError):
    """There is no net or run of this id."""


class Catalogue:
    """What lies in the folders now."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._looked = -FRESH
        self._runs: dict[str, Path] = {}
        self._entries: dict[str, Entry] = {}

    def runs(self) -> dict[str, Path]:
        """Return the run folders by id, those of classifiers too."""
        self._look()
        return self._runs

    def entries(self) -> dict[str, Entry]:
        """Return the nets by id: FCNs whose weights are there."""
        self._look()
        return self._entries

    def run(self, name: str) -> Path:
        """Return the run folder of an id. Raises UnknownError."""
        try:
            return self.runs()[name]
        except KeyError:
            raise UnknownError(f'run={name[:200]}: no such run here') from None

    def find(self, name: str) -> Entry:
        """Return the net of an id, or of ID@ITERATION, which names a snapshot.

        Raises UnknownError, or RunError for a net that the page cannot use.
        """
        entries = self.entries()
        entry = entries.get(name)
        if entry is None and (match := re.fullmatch(r'(.*)@(\d{1,9})', name)):
            entry, iteration = entries.get(match[1]), int(match[2])
            if entry and iteration not in [each.iteration for each in entry.snapshots]:
                raise UnknownError(f'net={name[:200]}: this run has no such snapshot any more')
            entry = entry and replace(entry, id=name, snapshot=iteration)
        if entry is None:
            raise UnknownError(f'net={name[:200]}: no such net here')
        if entry.refusal:
            raise RunError(f'{entry.id}: {entry.refusal}')
        return entry

    def _look(self) -> None:
        if time.monotonic() - self._looked < FRESH:
            return
        self._runs = dict(self._find_runs())
        entries = [*self._of_runs(), *self._of_files(), *self._of_published()]
        self._entries = {entry.id: entry for entry in entries}
        self._looked = time.monotonic()

    def _find_runs(self) -> Iterator[tuple[str, Path]]:
        taken: set[str] = set()
        for root in self._settings.folders:
            for folder in find_runs(root):
                below = folder.relative_to(root)
                name = str(below) if below.parts else folder.resolve().name
                if name in taken:
                    name = f'{root.resolve().name}/{name}'
                while name in taken:
                    name += "'"
                taken.add(name)
                yield name, folder

    def _of_runs(self) -> Iterator[Entry]:
        for name, folder in self._runs.items():
            net, snapshots = _snapshots(folder)
            if snapshots:
                weights = _weights(folder, snapshots[-1].iteration)
                if entry := _entry(f'run:{name}', net, weights, run=folder, snapshots=snapshots):
                    yield entry

    def _of_files(self) -> Iterator[Entry]:
        for net, file in self._settings.files:
            if entry := _entry(f'file:{net}={file.name}', net, file, weights=file):
                yield entry

    def _of_published(self) -> Iterator[Entry]:
        for net, config in NETS.items():
            file = None if config.is_classifier else published(net)
            if file and (entry := _entry(f'published:{net}', net, file, weights=file)):
                yield entry


def _entry(name: str, net: str, file: Path, **more: Any) -> Entry | None:
    """Return the entry of a net; None for a classifier, or a net that is not known here."""
    try:
        config = config_of(net, file)
    except FCNError:
        return None
    if config.is_classifier:
        return None
    refusal = ''
    if len(config.input_names) > 1:
        inputs = ' and '.join(config.input_names)
        refusal = f'it sees {inputs}, and the page takes one picture; use infer.py'
    elif not isinstance(config.dataset.inputs[config.input_names[0]], Colour):
        refusal = 'it sees depth, and the page takes pictures; use infer.py'
    return Entry(name, net, config, refusal=refusal, **more)


def _snapshots(folder: Path) -> tuple[str, tuple[Snapshot, ...]]:
    """Return the net and the snapshots of a run, by their manifests; nothing is verified yet."""
    net, found = '', []
    with contextlib.suppress(OSError):
        for path in sorted((folder / 'snapshots').glob('iter_*')):
            with contextlib.suppress(SnapshotError, KeyError, TypeError, StopIteration, ValueError):
                manifest = read_checksummed(path / MANIFEST)
                net = str(manifest['settings']['net'])
                validation = manifest.get('validation') or {}
                first: dict[str, Any] = next(iter(validation.values()), {})
                found.append(Snapshot(int(manifest['iteration']), first.get('mean_iu')))
    return net, tuple(found)


def _weights(folder: Path, iteration: int) -> Path:
    return folder / 'snapshots' / f'iter_{iteration:08}' / file_name(iteration, WEIGHTS)
