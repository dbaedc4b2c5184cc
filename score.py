"""Scores a net on a data set by the four metrics of section 5.

    python score.py                                     voc-fcn8s as solve.py trained it
    python score.py NET --weights FILE --data DIR       any net, any weights
    python score.py --pred DIR --truth DIR              label images made elsewhere, without a net
    python score.py --submit DIR --data DIR --split test    files for PASCAL's server

With --out DIR the confusion matrix, the metrics and the predicted labels are kept.
Each data set is scored by its own custom: SIFT Flow leaves out classes that the truth lacks.
"""

from fcn.cli import run_command

if __name__ == '__main__':
    run_command('score')
