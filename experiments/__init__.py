"""Every table and figure of the paper, as one command each.

`python -m experiments` lists them, `python -m experiments table2` runs one. An experiment is a row
here and a module of its name. The module has three functions: `measure` does the work and returns
raw numbers, `body` turns them into the text of a page, and `figures` says which nets it scored.
"""

from typing import NamedTuple

from fcn import engine  # noqa: F401  (prepares caffe for import)


class Experiment(NamedTuple):
    """A row: the command, the paper's section, table or figure, and what it shows.

    `paper` says on which images the paper has it. `data` is the real set that --data names, as
    prepare.py calls it. `by_backbone` says whether it is about one backbone, which its files are
    then named by.
    """

    name: str
    section: str
    about: str
    paper: str = ''
    data: str = 'voc'
    by_backbone: bool = True


_VOC = '8,498 images of SBD to learn from and 736 of VOC 2011 (seg11valid) to score on'


EXPERIMENTS = {
    row.name: row
    for row in (
        Experiment(
            'amortization', '3.1', 'a whole image at once against patch by patch', by_backbone=False
        ),
        Experiment(
            'rarefaction', '3.2', 'filter rarefaction against shift-and-stitch, and upsampling'
        ),
        Experiment(
            'sampling',
            '3.4, Figure 5',
            'loss sampled patchwise against whole images',
            'images of VOC, 20 a batch',
        ),
        Experiment('balancing', '3.4 and 4.3', 'the loss weighted by class', 'images of VOC'),
        Experiment('augmentation', '4.3', 'images mirrored and jittered', 'images of VOC'),
        Experiment('momentum', '4.3 (PAMI)', 'heavy learning against accumulated batches', _VOC),
        Experiment(
            'table1',
            '4.1, Table 1',
            'AlexNet, VGG-16 and GoogLeNet as FCN-32s',
            "1,112 images of VOC 2011's train to learn from, and its val to score on",
            by_backbone=False,
        ),
        Experiment(
            'table2',
            '4.2, Table 2',
            'skip layers: FCN-32s fixed, 32s, 16s, 8s, and single layers',
            _VOC,
        ),
        Experiment(
            'figure4', '4.2, Figure 4', 'what each stage sees: 32s, 16s, 8s, and the truth', _VOC
        ),
        Experiment(
            'table3',
            '5, Table 3',
            "mean IU and time for an image, and files for PASCAL's server",
            "8,498 images of SBD to learn from, and VOC's test sets of 2011 and 2012 to score on",
        ),
        Experiment('figure6', '5, Figure 6', 'images, the labels of FCN-8s, and the truth', _VOC),
        Experiment(
            'table4',
            '5, Table 4',
            'NYUDv2: colour, depth and HHA, fused early and late',
            '795 images to learn from and 654 to score on',
            'nyud',
        ),
        Experiment(
            'table5',
            '5, Table 5',
            'SIFT Flow: both labellings at once against each alone',
            '2,488 images to learn from and 200 to score on',
            'siftflow',
        ),
        Experiment(
            'upperbound',
            'Appendix A',
            'the best mean IU that each stride allows',
            by_backbone=False,
        ),
    )
}
