"""Lists of examples that archives lack, and the check that every example is there."""

import sys
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath

from fcn.data_layers import SBD, VOC, SegDataset
from fcn.data_layers.dataset import MAX_LIST
from fcn.data_layers.matlab import load_mat
from fcn.data_layers.voc import SEG11VALID
from fcn.errors import FCNError
from fcn.io import read_text, write_text
from fcn.text import few

LISTS = ('train', 'val', 'trainval', 'test', SEG11VALID)
SEG11VALID_COUNT = 736
SPLITS_MAT = 'splits.mat'  # NYU's own
TEST_SET = 'TestSet1.txt'  # SIFT Flow's own
# Two scenes of SIFT Flow bear no labels.
UNANNOTATED = {'highway_bost181', 'street_urb506'}
# NYU counts its scenes from 1; the file names of the labels and depths used here add this.
NYUD_OFFSET = 5000


def count_examples(root: Path, kind: type[SegDataset], complete: Iterable[str]) -> dict[str, int]:
    """Return {split: number of examples} of the set in `root`, which the class `kind` reads.

    Examples of the splits `complete` have all their files, those of other lists (VOC's test) at
    least an image. Raises DataError or FCNError if a list or a file is missing.
    """
    counts = {}
    for split in LISTS:
        if split not in complete and not list_file(root, kind, split).is_file():
            continue
        examples = kind(root, split)
        tops = list(kind.paths) if split in complete else list(kind.inputs)[:1]
        files = (examples.path(top, name) for name in examples.names for top in tops)
        missing = [file.relative_to(root) for file in files if not file.is_file()]
        if missing:
            raise FCNError(
                f'{root}: its {split} list has {len(examples.names)} examples, and of their files '
                f'{len(missing)} are missing: {few(missing, 3)}'
            )
        counts[split] = len(examples.names)
    return counts


def list_file(root: Path, kind: type[SegDataset], split: str) -> Path:
    """Return the file that lists a split's examples."""
    return root / kind.split_file.format(split=split)


def write_list(root: Path, kind: type[SegDataset], split: str, names: Iterable[str]) -> None:
    """Write the list of a split."""
    write_text(list_file(root, kind, split), '\n'.join(names) + '\n')


def nyud_lists(root: Path, kind: type[SegDataset]) -> None:
    """Write trainval and test from NYU's splits.mat, or without it trainval from train and val.

    The authors' division of trainval into train and val is not in splits.mat. Raises FCNError if
    that file is damaged.
    """
    splits = root / SPLITS_MAT
    if splits.is_file():
        try:
            content = load_mat(splits)
            names = {
                split: [str(int(index) + NYUD_OFFSET) for index in content[key].ravel()]
                for split, key in (('trainval', 'trainNdxs'), ('test', 'testNdxs'))
            }
        except Exception as error:  # SciPy raises many kinds on damaged files.
            raise FCNError(
                f'{SPLITS_MAT}: no trainNdxs and testNdxs in it ({error}); fetch it again'
            ) from error
        for split in names:
            write_list(root, kind, split, names[split])
        splits.unlink()
    elif not list_file(root, kind, 'trainval').is_file():
        both = [*kind(root, 'train').names, *kind(root, 'val').names]
        write_list(root, kind, 'trainval', sorted(both))


def siftflow_lists(root: Path, kind: type[SegDataset]) -> None:
    """Write test from the archive's own list and trainval from the other scenes, unless both are
    there. Leave out the scenes that bear no labels."""
    own = root / TEST_SET
    missing = [
        split for split in ('trainval', 'test') if not list_file(root, kind, split).is_file()
    ]
    if own.is_file() and missing:
        lines = read_text(own, MAX_LIST, 'replace').split('\n')
        test = [PureWindowsPath(line.strip()).stem for line in lines if line.strip()]
        images = {file.stem for file in (root / kind.paths['data']).parent.glob('*.jpg')}
        write_list(root, kind, 'test', [name for name in test if name not in UNANNOTATED])
        write_list(root, kind, 'trainval', sorted(images - set(test) - UNANNOTATED))
    own.unlink(missing_ok=True)


def write_seg11valid(data: Path) -> None:
    """Write VOC's list seg11valid unless it is there, or voc or sbd is not in the folder `data`."""
    voc, sbd = data / 'voc', data / 'sbd'
    target = list_file(voc, VOC, SEG11VALID)
    if target.is_file() or not (
        list_file(voc, VOC, 'val').is_file() and list_file(sbd, SBD, 'train').is_file()
    ):
        return
    trained = set(SBD(sbd, 'train').names)
    names = [name for name in VOC(voc, 'val').names if name not in trained]
    if len(names) != SEG11VALID_COUNT:
        print(
            f"{target}: {len(names)} names; VOC 2011's val without SBD's train has "
            f"{SEG11VALID_COUNT}, so scores on it cannot be compared with the paper's",
            file=sys.stderr,
        )
    if names:
        write_list(voc, VOC, SEG11VALID, names)
        print(f"{target}: {len(names)} names of VOC's val that are not in SBD's train")
