"""The miniature's other sets, in the layouts of NYUDv2 and SIFT Flow.

from miniature.sets import generate_nyud, generate_siftflow
generate_nyud('data/mini-nyud')
generate_siftflow('data/mini-siftflow')
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from fcn.data_layers import VOID, MiniNYUD, MiniSIFTFlow, SegDataset
from fcn.data_layers.hha import encode
from fcn.errors import FCNError

from .generate import drawing, whole
from .landscapes import draw_landscape
from .rooms import CAMERA, draw_room, without_holes

VERSION = 1  # of the drawing: raise it with any change to what a seed gives
HEADER = b'MATLAB 5.0 MAT-file'.ljust(116)

Files = dict[str, bytes]


def generate_nyud(root: str | Path, trainval: int = 600, test: int = 150, seed: int = 0) -> Path:
    """Draw rooms under `root` as MiniNYUD reads them, and return it; see `generate`."""
    return _generate(MiniNYUD, root, trainval, test, seed, _room)


def generate_siftflow(
    root: str | Path, trainval: int = 600, test: int = 150, seed: int = 0
) -> Path:
    """Draw landscapes under `root` as MiniSIFTFlow reads them, and return it; see `generate`."""
    return _generate(MiniSIFTFlow, root, trainval, test, seed, _landscape)


def _generate(
    kind: type[SegDataset],
    root: str | Path,
    trainval: int,
    test: int,
    seed: int,
    files_of: Callable[[int, int, int], Files],
) -> Path:
    """Draw the set of the class `kind` under `root`; `files_of` makes the files of an example.

    Raises FCNError on impossible numbers, and on a folder that holds anything else.
    """
    if min(trainval, test) < 0:
        raise FCNError(f'no such set: trainval={trainval}, test={test}; give numbers from 0 up')
    counts = {'trainval': trainval, 'test': test}
    labels = {top: list(names) for top, names in kind.labels.items()}
    manifest = dict(version=VERSION, kind=kind.__name__, labels=labels, **counts, seed=seed)

    def write(folder: Path) -> None:
        folder.mkdir()
        for pattern in kind.paths.values():
            (folder / pattern).parent.mkdir(parents=True, exist_ok=True)
        for number, (split, count) in enumerate(counts.items()):
            names = [f'{split}_{index:05d}' for index in range(count)]
            for index, name in drawing(names, split):
                for top, content in files_of(seed, number, index).items():
                    (folder / kind.paths[top].format(name)).write_bytes(content)
            (folder / f'{split}.txt').write_text(''.join(f'{name}\n' for name in names))

    return whole(root, manifest, write)


def _room(seed: int, split: int, index: int) -> Files:
    room = draw_room(seed, split, index)
    hha = encode(without_holes(room.depth) / 1000, room.depth == 0, CAMERA)
    return {
        'color': _picture(room.image, 'PNG'),
        'depth': _picture(room.depth, 'PNG'),
        'hha': _picture(hha, 'PNG'),
        'label': _mat('segmentation', room.label),
    }


def _landscape(seed: int, split: int, index: int) -> Files:
    scene = draw_landscape(seed, split, index)
    return {
        'data': _picture(scene.image, 'JPEG', quality=92, subsampling=0),
        'sem': _mat('S', scene.semantic),
        'geo': _mat('S', scene.geometric),
    }


def _picture(array: np.ndarray, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, form, **options)
    return stream.getvalue()


def _mat(variable: str, label: np.ndarray) -> bytes:
    """Return a MATLAB file of a label, which counts classes from 1 there; 0 is void."""
    counted = label + 1
    counted[label == VOID] = 0
    stream = io.BytesIO()
    savemat(stream, {variable: counted}, do_compression=True)
    # In place of a header with the time of day: a seed always gives the same bytes.
    return HEADER + stream.getvalue()[len(HEADER) :]
