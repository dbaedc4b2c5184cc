"""Every data set that can be prepared, in one table.

To add one, give it a class in data_layers, add a row here and, if its archives lack a
list, a small function in `arrange`.
"""

from collections.abc import Callable
from typing import NamedTuple

from fcn.data_layers import NYUD, SBD, VOC, PASCALContext, SIFTFlow

from .arrange import LISTS, nyud_lists, siftflow_lists
from .fetch import file_name
from .unpack import pattern


class Source(NamedTuple):
    """A file to fetch. It is not needed where one of the paths `gives` exists in the set already."""

    url: str
    gives: tuple
    digest: str | None = None

    @property
    def name(self):
        return file_name(self.url)


class Layout(NamedTuple):
    """A row: the class that reads the set, how many examples the real one has in each split, what it
    is fetched from, which files are kept beside those the class reads, and how lists are computed."""

    dataset: type
    splits: dict
    sources: tuple
    also: tuple = ()
    finish: Callable = lambda root, dataset: None

    @property
    def wanted(self):
        """What is unpacked, as a regular expression of a path's end."""
        lists = [self.dataset.split_file.format(split=split) for split in LISTS]
        return pattern([*self.dataset.paths.values(), *lists, *self.also])


_VOC = 'https://host.robots.ox.ac.uk/pascal/VOC/{}'.format
_BERKELEY = 'https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/{}'.format
_STANFORD = 'https://www.cs.stanford.edu/~roozbeh/pascal-context/{}'.format
# The authors' repository, at the commits that brought its lists.
_AUTHORS = 'https://raw.githubusercontent.com/shelhamer/fcn.berkeleyvision.org/{}'.format
_NYUD_LISTS, _SIFTFLOW_LISTS = (
    '3f83b8df759322ef1a1437731aeabd152dca3254',
    '11a101ca612e77f4936bfc3a5b8eeba4931afe02',
)

SETS = {
    # The year that the paper validates on.
    'voc': Layout(
        VOC,
        {'train': 1112, 'val': 1111, 'trainval': 2223},
        (
            Source(
                _VOC('voc2011/VOCtrainval_25-May-2011.tar'),
                ('SegmentationClass',),
                'md5:6c3384ef61512963050cb5d687e5bf1e',
            ),
        ),
    ),
    'sbd': Layout(
        SBD,
        {'train': 8498, 'val': 2857},
        (Source(_BERKELEY('benchmark.tgz'), ('cls',), 'md5:82b4d87ceb2ed10f6038a1cba92111cb'),),
    ),
    # In the layout of the paper's authors. Its nets learn from trainval.
    'nyud': Layout(
        NYUD,
        {'trainval': 795, 'test': 654},
        (
            Source('https://dl.caffe.berkeleyvision.org/nyud.tar.gz', ('segmentation',)),
            *(
                Source(
                    _AUTHORS(f'{_NYUD_LISTS}/data/nyud/{split}.txt'), (f'{split}.txt', 'splits.mat')
                )
                for split in ('train', 'val', 'test')
            ),
        ),
        also=('splits.mat',),
        finish=nyud_lists,
    ),
    # 2688 scenes without the two that bear no labels.
    'siftflow': Layout(
        SIFTFlow,
        {'trainval': 2486, 'test': 200},
        (
            Source(
                'https://www.cs.unc.edu/~jtighe/Papers/ECCV10/siftflow/SiftFlowDataset.zip',
                ('Images',),
            ),
            *(
                Source(
                    _AUTHORS(f'{_SIFTFLOW_LISTS}/data/sift-flow/{split}.txt'),
                    (f'{split}.txt', 'TestSet1.txt'),
                )
                for split in ('trainval', 'test')
            ),
        ),
        also=('TestSet1.txt',),
        finish=siftflow_lists,
    ),
    'pascal-context': Layout(
        PASCALContext,
        {'train': 4998, 'val': 5105, 'trainval': 10103},
        (
            Source(
                _VOC('voc2010/VOCtrainval_03-May-2010.tar'),
                ('JPEGImages',),
                'md5:da459979d0c395079b5c75ee67908abb',
            ),
            Source(_STANFORD('trainval.tar.gz'), ('trainval',)),
            Source(_STANFORD('labels.txt'), ('labels.txt',)),
        ),
        also=('labels.txt',),
    ),
}
