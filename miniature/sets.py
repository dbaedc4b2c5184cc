"""The miniature's other sets, in the layouts of NYUDv2 and SIFT Flow.

from miniature.sets import generate_nyud, generate_siftflow
generate_nyud('data/mini-nyud')
generate_siftflow('data/mini-siftflow')
"""

import io

from PIL import Image
from scipy.io import savemat
from tqdm import tqdm

from fcn.data_layers import VOID, MiniNYUD, MiniSIFTFlow
from fcn.data_layers.hha import encode
from fcn.errors import FCNError

from .generate import whole
from .landscapes import draw_landscape
from .rooms import CAMERA, draw_room, filled

VERSION = 1  # of the drawing: raise it with any change to what a seed gives
HEADER = b'MATLAB 5.0 MAT-file'.ljust(116)


def generate_nyud(root, trainval=600, test=150, seed=0):
    """Draw rooms under `root` as MiniNYUD reads them, and return `root` as a Path; see generate."""
    return _generate(MiniNYUD, root, trainval, test, seed, _room)


def generate_siftflow(root, trainval=600, test=150, seed=0):
    """Draw landscapes under `root` as MiniSIFTFlow reads them, and return `root` as a Path; see generate."""
    return _generate(MiniSIFTFlow, root, trainval, test, seed, _landscape)


def _generate(kind, root, trainval, test, seed, files_of):
    """The set of the class `kind` under `root`, its examples' files {top: bytes} made by `files_of`.

    Raises FCNError on impossible numbers, and on a folder that holds anything else.
    """
    if min(trainval, test) < 0:
        raise FCNError(f'no such set: trainval={trainval}, test={test} (from 0 up)')
    counts = {'trainval': trainval, 'test': test}
    labels = {top: list(names) for top, names in kind.labels.items()}
    manifest = dict(version=VERSION, kind=kind.__name__, labels=labels, **counts, seed=seed)

    def write(folder):
        folder.mkdir()
        for pattern in kind.paths.values():
            (folder / pattern).parent.mkdir(parents=True, exist_ok=True)
        for number, (split, count) in enumerate(counts.items()):
            names = [f'{split}_{index:05d}' for index in range(count)]
            for index, name in enumerate(
                tqdm(names, desc=f'drawing {split}', unit='image', disable=None)
            ):
                for top, content in files_of(seed, number, index).items():
                    (folder / kind.paths[top].format(name)).write_bytes(content)
            (folder / f'{split}.txt').write_text(''.join(f'{name}\n' for name in names))

    return whole(root, manifest, write)


def _room(seed, split, index):
    room = draw_room(seed, split, index)
    hha = encode(filled(room.depth) / 1000, room.depth == 0, CAMERA)
    return {
        'color': _picture(room.image, 'PNG'),
        'depth': _picture(room.depth, 'PNG'),
        'hha': _picture(hha, 'PNG'),
        'label': _mat('segmentation', room.label),
    }


def _landscape(seed, split, index):
    scene = draw_landscape(seed, split, index)
    return {
        'data': _picture(scene.image, 'JPEG', quality=92, subsampling=0),
        'sem': _mat('S', scene.semantic),
        'geo': _mat('S', scene.geometric),
    }


def _picture(array, form, **options):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, form, **options)
    return stream.getvalue()


def _mat(variable, label):
    """A MATLAB file of a label, which counts classes from 1 there; 0 is void."""
    counted = label + 1
    counted[label == VOID] = 0
    stream = io.BytesIO()
    savemat(stream, {variable: counted}, do_compression=True)
    # In place of a header with the time of day: a seed always gives the same bytes.
    return HEADER + stream.getvalue()[len(HEADER) :]
