"""The archives of every data set that can be prepared.

To add a set, give it a class in data_layers, add it here and, if its archives lack a list, write a
small function in `arrange`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from re import Pattern

from fcn.data_layers import NYUD, SBD, VOC, PASCALContext, SegDataset, SIFTFlow
from fcn.data_layers.context import LABELS_FILE

from .arrange import LISTS, SPLITS_MAT, TEST_SET, nyud_lists, siftflow_lists
from .fetch import file_name
from .unpack import pattern


@dataclass(frozen=True)
class Download:
    """A file to fetch, with its published checksum if there is one.

    It is not needed where one of the paths that it `provides` exists in the set already.
    """

    url: str
    provides: tuple[str, ...]
    digest: str | None = None

    @property
    def name(self) -> str:
        """What the file is called on the disk."""
        return file_name(self.url)


def _no_lists(root: Path, kind: type[SegDataset]) -> None:
    """Leave a set as it is whose archives hold all lists."""


@dataclass(frozen=True, kw_only=True)
class Archives:
    """What a data set is made from.

    `kind` is the class that reads the set, `counts` the number of examples that the real one has in
    each split, and `downloads` what it is fetched from. `extra_files` are kept besides those that
    the class names; `write_lists` computes the lists that the archives lack.
    """

    kind: type[SegDataset]
    counts: Mapping[str, int]
    downloads: tuple[Download, ...]
    extra_files: tuple[str, ...] = ()
    write_lists: Callable[[Path, type[SegDataset]], None] = _no_lists

    @property
    def wanted(self) -> Pattern[str]:
        """What is unpacked, as a regular expression of a path's end."""
        lists = [self.kind.split_file.format(split=split) for split in LISTS]
        return pattern([*self.kind.paths.values(), *lists, *self.extra_files])


_VOC = 'https://host.robots.ox.ac.uk/pascal/VOC/{}'.format
_BERKELEY = (
    'https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/{}'
).format
_STANFORD = 'https://www.cs.stanford.edu/~roozbeh/pascal-context/{}'.format
# The authors' repository, at the commits that brought its lists.
_AUTHORS = 'https://raw.githubusercontent.com/shelhamer/fcn.berkeleyvision.org/{}'.format
_NYUD_LISTS = _AUTHORS('3f83b8df759322ef1a1437731aeabd152dca3254/data/nyud/{}.txt').format
_SIFTFLOW_LISTS = _AUTHORS('11a101ca612e77f4936bfc3a5b8eeba4931afe02/data/sift-flow/{}.txt').format

ARCHIVES = {
    # The year that the paper validates on.
    'voc': Archives(
        kind=VOC,
        counts={'train': 1112, 'val': 1111, 'trainval': 2223},
        downloads=(
            Download(
                _VOC('voc2011/VOCtrainval_25-May-2011.tar'),
                ('SegmentationClass',),
                'md5:6c3384ef61512963050cb5d687e5bf1e',
            ),
        ),
    ),
    'sbd': Archives(
        kind=SBD,
        counts={'train': 8498, 'val': 2857},
        downloads=(
            Download(_BERKELEY('benchmark.tgz'), ('cls',), 'md5:82b4d87ceb2ed10f6038a1cba92111cb'),
        ),
    ),
    # In the layout of the paper's authors. Its nets learn from trainval.
    'nyud': Archives(
        kind=NYUD,
        counts={'trainval': 795, 'test': 654},
        downloads=(
            Download('https://dl.caffe.berkeleyvision.org/nyud.tar.gz', ('segmentation',)),
            *(
                Download(_NYUD_LISTS(split), (f'{split}.txt', SPLITS_MAT))
                for split in ('train', 'val', 'test')
            ),
        ),
        extra_files=(SPLITS_MAT,),
        write_lists=nyud_lists,
    ),
    # 2688 scenes without the two that bear no labels.
    'siftflow': Archives(
        kind=SIFTFlow,
        counts={'trainval': 2486, 'test': 200},
        downloads=(
            Download(
                'https://www.cs.unc.edu/~jtighe/Papers/ECCV10/siftflow/SiftFlowDataset.zip',
                ('Images',),
            ),
            *(
                Download(_SIFTFLOW_LISTS(split), (f'{split}.txt', TEST_SET))
                for split in ('trainval', 'test')
            ),
        ),
        extra_files=(TEST_SET,),
        write_lists=siftflow_lists,
    ),
    'pascal-context': Archives(
        kind=PASCALContext,
        counts={'train': 4998, 'val': 5105, 'trainval': 10103},
        downloads=(
            Download(
                _VOC('voc2010/VOCtrainval_03-May-2010.tar'),
                ('JPEGImages',),
                'md5:da459979d0c395079b5c75ee67908abb',
            ),
            Download(_STANFORD('trainval.tar.gz'), ('trainval',)),
            Download(_STANFORD(LABELS_FILE), (LABELS_FILE,)),
        ),
        extra_files=(LABELS_FILE,),
    ),
}
