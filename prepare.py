"""Brings data sets and weights onto the disk.

    python prepare.py voc               PASCAL VOC 2011; or sbd, nyud, siftflow, pascal-context
    python prepare.py ilsvrc [NET …]    the classifiers that nets start from: all, or those named
    python prepare.py fcn-weights NET   weights that the paper's authors published

What is on the disk is left alone, and an interrupted download goes on where it stopped.
"""

from fcn.cli import run_command

if __name__ == '__main__':
    run_command('prepare')
