"""Tiny archives in the exact layout of each data set's own, with examples that can be learned.

`build` returns the paths to give to `python prepare.py SET --from …`.
"""

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat
from scipy.ndimage import gaussian_filter
from scipy.sparse import csc_matrix

from fcn.data_layers import PASCALContext, voc_palette
from fcn.data_layers.context import RENAMED
from fcn.data_layers.images import label_image

SCENES = 'spatial_envelope_256x256_static_8outdoorcategories'
KINDS = ('coast', 'forest', 'highway', 'street')


def build(name: str, folder: str | Path, count: int = 6, seed: int = 0) -> list[Path]:
    """Write the archives of the set `name` with `count` examples to the folder; return their paths.

    A third of the examples, at least one, is to validate or to test on. `voc-test`, of images
    alone, goes with voc, and `nyud-splits` is nyud with NYU's splits.mat in place of the lists.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return BUILDERS[name](folder, count, np.random.default_rng(seed))


def example(
    rng: np.random.Generator,
    classes: int | np.ndarray,
    index: int | None = None,
    void: int = 255,
) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and its label: H×W×3 uint8 noise in the colours of H×W int `classes`, with
    some `void`.

    H×W is 40×56, or slightly different for each `index`.
    """
    height, width = (40, 56) if index is None else (40 + index % 3, 56 - index % 4)
    parts = gaussian_filter(rng.standard_normal((4, height, width)), (0, 6, 6))
    drawn = rng.permutation(classes)[:4]
    label = drawn[parts[: len(drawn)].argmax(0)]
    noise = gaussian_filter(rng.standard_normal((height, width, 3)), (2, 2, 0)) * 100
    image = (0.7 * voc_palette()[label % 256] + 40 + noise).clip(0, 255).astype(np.uint8)
    label = label.astype(int)
    label[:2] = void
    return image, label


def image_bytes(array: np.ndarray, form: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, form)
    return stream.getvalue()


def mat_bytes(**variables: Any) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables, do_compression=True)
    return stream.getvalue()


def lines(names: Iterable[str]) -> bytes:
    return '\n'.join([*names, '']).encode()


def write_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write a tar of {path: bytes}, gzipped unless its name ends on .tar, and return its path.

    It has the folders' own entries, as GNU tar writes them.
    """
    with tarfile.open(path, 'w' if path.suffix == '.tar' else 'w:gz') as archive:
        folders = {str(parent) for name in files for parent in Path(name).parents} - {'.'}
        for name in sorted(folders):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def divide(names: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return the names to learn from, and the others."""
    held = max(1, len(names) // 3)
    return names[:-held], names[-held:]


def palette_png(label: np.ndarray) -> bytes:
    stream = io.BytesIO()
    label_image(label.astype(np.uint8)).save(stream, 'PNG')
    return stream.getvalue()


def voc_names(count: int) -> list[str]:
    return [f'2007_{index:06}' for index in range(count)]


def voc(folder: Path, count: int, rng: np.random.Generator) -> list[Path]:
    top, names, files = 'TrainVal/VOCdevkit/VOC2011', voc_names(count), {}
    train, val = divide(names)
    for index, name in enumerate(names):
        image, label = example(rng, 21, index)
        files[f'{top}/Annotations/{name}.xml'] = b'<annotation/>'
        files[f'{top}/JPEGImages/{name}.jpg'] = image_bytes(image, 'JPEG')
        files[f'{top}/SegmentationClass/{name}.png'] = palette_png(label)
        files[f'{top}/SegmentationObject/{name}.png'] = palette_png(label > 0)
    files[f'{top}/JPEGImages/2011_000009.jpg'] = image_bytes(image, 'JPEG')  # of no segmentation
    for split, chosen in dict(train=train, val=val, trainval=names).items():
        files[f'{top}/ImageSets/Segmentation/{split}.txt'] = lines(chosen)
        files[f'{top}/ImageSets/Main/{split}.txt'] = lines([*chosen, '2011_000009'])
    return [write_tar(folder / 'VOCtrainval_25-May-2011.tar', files)]


def voc_test(folder: Path, count: int, rng: np.random.Generator) -> list[Path]:
    top, names = 'Test/VOCdevkit/VOC2011', [f'2011_{index:06}' for index in range(100, 100 + count)]
    files = {
        f'{top}/JPEGImages/{name}.jpg': image_bytes(example(rng, 21, index)[0], 'JPEG')
        for index, name in enumerate(names)
    }
    files[f'{top}/ImageSets/Segmentation/test.txt'] = lines(names)
    return [write_tar(folder / 'VOC2011test.tar', files)]


def sbd(folder: Path, count: int, rng: np.random.Generator) -> list[Path]:
    """Write SBD, whose train shares one name with the val of as large a `voc`, unless that has only
    one."""
    top, files = 'benchmark_RELEASE/dataset', {}
    names = [f'2008_{index:06}' for index in range(count)]
    shared = divide(voc_names(count))[1]
    if len(shared) > 1:
        names[0] = shared[0]
    train, val = divide(names)
    for index, name in enumerate(names):
        image, label = example(rng, 21, index, void=0)
        label = label.astype(np.uint8)
        boundaries = np.empty((20, 1), object)
        for value in range(20):
            boundaries[value, 0] = csc_matrix(
                (np.diff(label == value + 1, axis=1, prepend=False)).astype(np.uint8)
            )
        present = np.unique(label[label > 0])[:, np.newaxis]
        files[f'{top}/img/{name}.jpg'] = image_bytes(image, 'JPEG')
        files[f'{top}/cls/{name}.mat'] = mat_bytes(
            GTcls={'Boundaries': boundaries, 'Segmentation': label, 'CategoriesPresent': present}
        )
        files[f'{top}/inst/{name}.mat'] = mat_bytes(
            GTinst={'Boundaries': boundaries, 'Segmentation': label, 'Categories': present}
        )
    files |= {
        f'{top}/train.txt': lines(train),
        f'{top}/val.txt': lines(val),
        'benchmark_RELEASE/benchmark_code_RELEASE/demo.m': b'% code',
    }
    return [write_tar(folder / 'benchmark.tgz', files)]


def nyud_archive(folder: Path, names: Iterable[str], rng: np.random.Generator) -> Path:
    files = {}
    for name in names:
        image, label = example(rng, np.arange(1, 41), void=0)
        depth = (
            (gaussian_filter(rng.standard_normal(label.shape), 8) * 9000 + 3000)
            .clip(500, 9000)
            .astype(np.uint16)
        )
        depth[5:8, 5:9] = 0  # as where the sensor saw nothing
        files[f'nyud/data/images/img_{name}.png'] = image_bytes(image, 'PNG')
        files[f'nyud/data/depth/img_{name}.png'] = image_bytes(depth, 'PNG')
        files[f'nyud/data/hha/img_{name}.png'] = image_bytes(image[::-1], 'PNG')
        files[f'nyud/segmentation/img_{name}.mat'] = mat_bytes(segmentation=label.astype(np.uint8))
    return write_tar(folder / 'nyud.tar.gz', files)


def nyud(folder: Path, count: int, rng: np.random.Generator) -> list[Path]:
    names = [str(5001 + index) for index in range(count)]
    trainval, test = divide(names)
    train, val = divide(trainval)
    return [
        nyud_archive(folder, names, rng),
        *write_files(
            folder, {'train.txt': lines(train), 'val.txt': lines(val), 'test.txt': lines(test)}
        ),
    ]


def nyud_splits(folder: Path, count: int, rng: np.random.Generator) -> list[Path]:
    trainval, test = divide(list(range(1, count + 1)))
    splits = {
        'trainNdxs': np.array(trainval, float)[:, np.newaxis],
        'testNdxs': np.array(test, float)[:, np.newaxis],
    }
    return [
        nyud_archive(folder, [str(5000 + index) for index in trainval + test], rng),
        *write_files(folder, {'splits.mat': mat_bytes(**splits)}),
    ]


def siftflow(folder: Path, count: int, rng: np.random.Generator) -> list[Path]:
    """Write SIFT Flow, which has a scene without labels, as the real one has."""
    top, files = 'SiftFlowDataset', {}
    names = [f'{KINDS[index % 4]}_natu{index}' for index in range(count)]
    for name in names:
        image, semantic = example(rng, np.arange(1, 34), void=0)
        geometric = np.where(semantic == 0, 0, 1 + semantic % 3)
        geometric[-1] = -1
        files[f'{top}/Images/{SCENES}/{name}.jpg'] = image_bytes(image, 'JPEG')
        for kind, label in {
            'SemanticLabels': semantic.astype(np.uint8),
            'GeoLabels': geometric.astype(float),
        }.items():
            files[f'{top}/{kind}/{SCENES}/{name}.mat'] = mat_bytes(
                S=label, names=np.array([['a'], ['b']], object)
            )
    files[f'{top}/Images/{SCENES}/highway_bost181.jpg'] = image_bytes(image, 'JPEG')
    test = [f'{SCENES}\\{name}.jpg' for name in divide(names)[1]]
    files[f'{top}/TestSet1.txt'] = '\r\n'.join([*test, '']).encode()
    return [write_zip(folder / 'SiftFlowDataset.zip', files)]


def context_labels() -> list[str]:
    """Return 459 names, the 59 of the task among them, some as the set itself spells them."""
    own = [RENAMED.get(name, name) for name in PASCALContext.labels['label'][1:]]
    return [
        *(f'thing {index}' for index in range(200)),
        *own,
        *(f'thing {index}' for index in range(200, 400)),
    ]


def pascal_context(folder: Path, count: int, rng: np.random.Generator) -> list[Path]:
    top, names, images, labels = 'VOCdevkit/VOC2010', voc_names(count), {}, {}
    train, val = divide(names)
    for index, name in enumerate(names):
        image, label = example(rng, np.arange(1, 460), index, void=1)
        images[f'{top}/JPEGImages/{name}.jpg'] = image_bytes(image, 'JPEG')
        labels[f'trainval/{name}.mat'] = mat_bytes(LabelMap=label.astype(np.uint16))
    for split, chosen in dict(train=train, val=val, trainval=names).items():
        images[f'{top}/ImageSets/Main/{split}.txt'] = lines(chosen)
        images[f'{top}/ImageSets/Main/cat_{split}.txt'] = lines(f'{name} -1' for name in chosen)
        images[f'{top}/ImageSets/Segmentation/{split}.txt'] = lines(chosen)
    numbered = lines(f'{number}: {name}' for number, name in enumerate(context_labels(), 1))
    return [
        write_tar(folder / 'VOCtrainval_03-May-2010.tar', images),
        write_tar(folder / 'trainval.tar.gz', labels),
        *write_files(folder, {'labels.txt': numbered}),
    ]


BUILDERS: dict[str, Callable[[Path, int, np.random.Generator], list[Path]]] = {
    'voc': voc,
    'voc-test': voc_test,
    'sbd': sbd,
    'nyud': nyud,
    'nyud-splits': nyud_splits,
    'siftflow': siftflow,
    'pascal-context': pascal_context,
}
