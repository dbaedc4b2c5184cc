"""Brings data sets and weights onto the disk.

    python prepare.py voc               PASCAL VOC 2011, or sbd, nyud, siftflow, pascal-context
    python prepare.py ilsvrc            the classifiers that nets start from, or those of the nets named
    python prepare.py fcn-weights NET   weights that the paper's authors published
    python prepare.py voc --from VOCtrainval_25-May-2011.tar --from VOC2011test.tar

Downloads go on where they were interrupted, and what is there is left alone. With --from,
archives at hand are used instead: those of any year for voc, several for one set. voc and
sbd together give VOC's list seg11valid, which its nets are validated on.
"""

from fcn.cli import run
from fcn.commands.prepare import main

if __name__ == '__main__':
    run(main)
