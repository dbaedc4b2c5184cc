"""Lists of examples that archives lack, and the check that every example is there."""

import sys
from pathlib import PureWindowsPath

from fcn.data_layers import SBD, VOC
from fcn.data_layers.dataset import MAX_LIST
from fcn.data_layers.matlab import load_mat
from fcn.errors import FCNError
from fcn.io import read_text, write_text
from fcn.text import few

# The last is what VOC's nets are validated on (section 5): VOC 2011's val without the images
# that SBD trains on.
LISTS = ('train', 'val', 'trainval', 'test', 'seg11valid')
SEG11VALID_COUNT = 736
# Two scenes of SIFT Flow bear no labels.
UNANNOTATED = {'highway_bost181', 'street_urb506'}
# NYU counts its scenes from 1; the file names of the labels and depths used here add this.
NYUD_OFFSET = 5000


def counts(root, layout):
    """{split: number of examples} of the set in `root`; DataError or FCNError if anything is missing.

    Examples of the splits that `layout` names have all their files, those of other lists
    (VOC's test) at least an image.
    """
    found = {}
    for split in LISTS:
        if split not in layout.splits and not list_file(root, layout.dataset, split).is_file():
            continue
        examples = layout.dataset(root, split)
        tops = layout.dataset.paths if split in layout.splits else list(layout.dataset.inputs)[:1]
        files = (examples.path(top, name) for name in examples.names for top in tops)
        missing = [str(file.relative_to(root)) for file in files if not file.is_file()]
        if missing:
            raise FCNError(
                f'{root}: its {split} list has {len(examples.names)} examples, and of their files '
                f'{len(missing)} are missing: {few(missing, 3)}'
            )
        found[split] = len(examples.names)
    return found


def list_file(root, dataset, split):
    """The file that lists a split's examples."""
    return root / dataset.split_file.format(split=split)


def write_list(root, dataset, split, names):
    write_text(list_file(root, dataset, split), '\n'.join(names) + '\n')


def nyud_lists(root, dataset):
    """trainval and test from NYU's own splits.mat if that was given, else trainval from train and val.

    The authors' division of trainval into train and val is not in splits.mat.
    """
    splits = root / 'splits.mat'
    if splits.is_file():
        try:
            content = load_mat(splits)
            names = {'trainval': content['trainNdxs'].ravel(), 'test': content['testNdxs'].ravel()}
            names = {
                split: [str(int(index) + NYUD_OFFSET) for index in indices]
                for split, indices in names.items()
            }
        except Exception as error:  # SciPy raises many kinds on damaged files.
            raise FCNError(
                f'{splits.name}: no trainNdxs and testNdxs in it ({error}); fetch it again'
            ) from error
        for split in names:
            write_list(root, dataset, split, names[split])
        splits.unlink()
    elif not list_file(root, dataset, 'trainval').is_file():
        both = [*dataset(root, 'train').names, *dataset(root, 'val').names]
        write_list(root, dataset, 'trainval', sorted(both))


def siftflow_lists(root, dataset):
    """test from the archive's own TestSet1.txt and trainval from the rest, unless the lists are there.

    Without the scenes that bear no labels.
    """
    own = root / 'TestSet1.txt'
    if own.is_file() and not all(
        list_file(root, dataset, split).is_file() for split in ('trainval', 'test')
    ):
        lines = read_text(own, MAX_LIST, 'replace').split('\n')
        test = [PureWindowsPath(line.strip()).stem for line in lines if line.strip()]
        images = {file.stem for file in (root / dataset.paths['data']).parent.glob('*.jpg')}
        write_list(root, dataset, 'test', [name for name in test if name not in UNANNOTATED])
        write_list(root, dataset, 'trainval', sorted(images - set(test) - UNANNOTATED))
    own.unlink(missing_ok=True)


def write_seg11valid(data):
    """Write VOC's list seg11valid if voc and sbd are both in the folder `data` and it is not there yet."""
    voc, sbd = data / 'voc', data / 'sbd'
    target = list_file(voc, VOC, 'seg11valid')
    if target.is_file() or not (
        list_file(voc, VOC, 'val').is_file() and list_file(sbd, SBD, 'train').is_file()
    ):
        return
    trained = set(SBD(sbd, 'train').names)
    names = [name for name in VOC(voc, 'val').names if name not in trained]
    if len(names) != SEG11VALID_COUNT:
        print(
            f"{target}: {len(names)} names; VOC 2011's val without SBD's train has {SEG11VALID_COUNT}, so scores "
            "on it do not compare with the paper's",
            file=sys.stderr,
        )
    if names:
        write_list(voc, VOC, 'seg11valid', names)
        print(f"{target}: {len(names)} names of VOC's val that are not in SBD's train")
