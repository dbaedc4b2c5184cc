"""Trains nets as the paper did, each stage from the last.

    python solve.py                     FCN-8s for PASCAL VOC: 32s, then 16s, then 8s
    python solve.py voc-fcn-alexnet     any net of nets/table.py, or several in turn
    python solve.py --data DIR …        on images and labels of your own, in the layout of VOC

What is finished is skipped, and what was interrupted resumes from its last snapshot.
"""

from fcn.cli import run_command

if __name__ == '__main__':
    run_command('solve')
