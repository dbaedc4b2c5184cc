"""A small semantic segmentation data set, drawn by code in the layout of PASCAL VOC.

    from miniature.generate import generate
    generate('data/mini')

Besides the scenes to segment it holds pictures of single shapes to classify, in place of ILSVRC.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from fcn.data_layers.images import save_label
from fcn.data_layers.mini import OBJECT_SIDE
from fcn.errors import FCNError
from fcn.io import read_text

from .shapes import CLASSES, SPLITS, draw, draw_object

Manifest = dict[str, Any]

MANIFEST = 'miniature.json'
VERSION = 2  # of the drawing: raise it with any change to what a seed gives


def generate(
    root: str | Path,
    train: int = 800,
    val: int = 200,
    size: tuple[int, int] = (96, 160),
    seed: int = 0,
    objects: int = 4000,
) -> Path:
    """Draw `train` and `val` images under `root` in the VOC layout, and return `root` as a Path.

    Sides are drawn from the two bounds of `size`, in pixels. JPEGImages/ gets RGB JPEGs,
    SegmentationClass/ palette PNGs of the same size, ImageSets/Segmentation/ the lists; Objects/
    and ImageSets/Main/ get `objects` pictures of one shape, a twentieth of them to validate on. The
    folder appears whole or not at all; one that already holds this very set is kept. Raises
    FCNError on impossible numbers and on a folder that holds anything else.
    """
    if not 64 <= size[0] <= size[1] or min(train, val, objects) < 0:
        raise FCNError(
            f'no such set: train={train}, val={val}, objects={objects}, size={tuple(size)}; give '
            'counts from 0 up, and sides from 64 up'
        )
    manifest = dict(
        version=VERSION,
        classes=list(CLASSES),
        train=train,
        val=val,
        objects=objects,
        size=list(size),
        seed=seed,
    )

    def write(folder: Path) -> None:
        _write_voc(folder, manifest)
        _write_objects(folder, manifest)

    return whole(root, manifest, write)


def whole(root: str | Path, manifest: Manifest, write: Callable[[Path], None]) -> Path:
    """Return the folder `root` with the set of `manifest`.

    If it is not there, `write` draws it into a new folder. It appears whole or not at all, with a
    digest of all its files next to them.
    """
    root = Path(os.path.realpath(root))
    if _holds(root, manifest):
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{root.name}-', dir=root.parent) as scratch:
        folder = Path(scratch) / root.name
        write(folder)
        # No line end: whatever is cut off its end, the rest is no JSON.
        (folder / MANIFEST).write_text(json.dumps(manifest | {'sha256': _digest(folder)}, indent=2))
        try:
            folder.rename(root)
        except OSError:
            if not _holds(root, manifest):  # drawn by another process meanwhile
                raise
    return root


def _digest(folder: Path) -> str:
    """Return the hash of a folder's files, by name and content, but for its manifest."""
    digest = hashlib.sha256()
    for path in sorted(
        path for path in folder.rglob('*') if path.is_file() and path != folder / MANIFEST
    ):
        with path.open('rb') as file:
            content = hashlib.file_digest(file, 'sha256').hexdigest()
            digest.update(f'{path.relative_to(folder)} {content}\n'.encode())
    return digest.hexdigest()


def _holds(root: Path, manifest: Manifest) -> bool:
    """Return whether `root` holds the set of `manifest`; False if there is nothing in it.

    Raises FCNError if it holds anything else.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    fix = 'remove it or name another folder'
    if not (root / MANIFEST).is_file():
        raise FCNError(f'{root}: not a generated data set; {fix}')
    try:
        found = json.loads(read_text(root / MANIFEST, 1 << 20))
    except FCNError:
        raise
    except (ValueError, RecursionError) as error:
        raise FCNError(f'{root / MANIFEST}: damaged ({error}); {fix}') from error
    if not isinstance(found, dict):
        raise FCNError(f'{root / MANIFEST}: damaged (no JSON object); {fix}')
    digest = found.pop('sha256', None)
    if found != manifest:
        differ = sorted(
            key for key in manifest.keys() | found.keys() if found.get(key) != manifest.get(key)
        )
        raise FCNError(f'{root}: holds a set drawn with other {", ".join(differ)}; {fix}')
    if digest != _digest(root):
        raise FCNError(f'{root}: files were lost, added or changed since it was drawn; {fix}')
    return True


def drawing(names: Sequence[str], what: str) -> Iterable[tuple[int, str]]:
    """Return the names and their indices, with a progress bar where there is a terminal."""
    return tqdm(list(enumerate(names)), desc=f'drawing {what}', unit='image', disable=None)


def _write_voc(folder: Path, manifest: Manifest) -> None:
    """Draw and write every scene of `manifest` under the new `folder`."""
    images, labels = folder / 'JPEGImages', folder / 'SegmentationClass'
    lists = folder / 'ImageSets' / 'Segmentation'
    for kind in (images, labels, lists):
        kind.mkdir(parents=True)
    for split in SPLITS:
        names = [f'{split}_{index:05d}' for index in range(manifest[split])]
        for index, name in drawing(names, split):
            scene = draw(manifest['seed'], split, index, manifest['size'])
            Image.fromarray(scene.image).save(images / f'{name}.jpg', quality=92, subsampling=0)
            save_label(scene.label, labels / f'{name}.png')
        (lists / f'{split}.txt').write_text(''.join(f'{name}\n' for name in names))


def _write_objects(folder: Path, manifest: Manifest) -> None:
    """Draw and write the pictures of single shapes, named by their class."""
    pictures, lists = folder / 'Objects', folder / 'ImageSets' / 'Main'
    pictures.mkdir()
    lists.mkdir()
    names = []
    for index, _ in drawing([''] * manifest['objects'], 'objects'):
        image, label = draw_object(manifest['seed'], index, OBJECT_SIDE)
        names.append(f'{CLASSES[label]}_{index:05d}')
        Image.fromarray(image).save(pictures / f'{names[-1]}.jpg', quality=92, subsampling=0)
    held_out = manifest['objects'] // 20
    for split, part in (('val', names[:held_out]), ('train', names[held_out:])):
        (lists / f'{split}.txt').write_text(''.join(f'{name}\n' for name in part))
