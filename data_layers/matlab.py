"""Labels in MATLAB files, as SBD, NYUDv2, SIFT Flow and PASCAL-Context have them."""

import numpy as np
from scipy.io import loadmat

from .images import VOID, DataError


def read_mat(path, extract, what, most):
    """H×W int32 labels in −1 … `most` that `extract` finds among the variables of a MATLAB file.

    DataError names `what` it should have held.
    """
    if not path.is_file():
        raise DataError(f'{path}: no such file')
    try:
        array = np.asarray(extract(loadmat(path)))
    except Exception as error:  # SciPy raises many kinds on damaged files.
        raise DataError(f'{path}: no {what} in it ({error}); fetch it again') from error
    if array.ndim != 2 or array.dtype.kind not in 'uif':
        raise DataError(f'{path}: {what} is {array.dtype} of shape {array.shape}, not numbers of H×W')
    with np.errstate(invalid='ignore'):  # not a number becomes some number, and differs from it below
        label = array.astype(np.int32)
    if (label != array).any() or label.min(initial=0) < -1 or label.max(initial=0) > most:
        raise DataError(f'{path}: {what} holds values that are no labels of 0–{most}; fetch it again')
    return label


def from_one(label):
    """H×W uint8 of labels that count classes from 1: they count from 0 here, and 0 and −1 are void."""
    return np.where(label < 1, VOID, label - 1).astype(np.uint8)
