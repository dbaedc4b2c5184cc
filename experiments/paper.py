"""The figures of the papers (Long et al., CVPR 2015; Shelhamer et al., PAMI 2017).

Shares are in percent. Four metrics are in the order of fcn.metrics.METRICS: pixel accuracy, mean
accuracy, mean IU, frequency-weighted IU.
"""

from typing import NamedTuple

Metrics = tuple[float, float, float, float]


class Classifier(NamedTuple):
    """A row of Table 1; `ms` is a forward pass on a K40c, `millions` the number of parameters."""

    mean_iu: float
    ms: int
    layers: int
    millions: int
    field: int
    stride: int


# Table 1: classifiers as FCN-32s, by net.
TABLE1 = {
    'voc-fcn-alexnet': Classifier(39.8, 50, 8, 57, 355, 32),
    'voc-fcn32s': Classifier(56.0, 210, 16, 134, 404, 32),
    'voc-fcn-googlenet': Classifier(42.5, 59, 22, 6, 907, 32),
}

# Table 2: skip layers on a subset of VOC 2011 val. The last two nets are PAMI's.
TABLE2: dict[str, Metrics] = {
    'fcn32s-fixed': (83.0, 59.7, 45.4, 72.0),
    'fcn32s': (89.1, 73.3, 59.4, 81.4),
    'fcn16s': (90.0, 75.7, 62.4, 83.0),
    'fcn8s': (90.3, 75.9, 62.7, 83.2),
    'fcn-pool4': (78.7, 31.7, 22.4, 67.0),
    'fcn-pool3': (70.9, 13.7, 9.2, 57.6),
}

# Table 3: mean IU on the tests of VOC 2011 and VOC 2012, and seconds an image, about.
TABLE3: dict[str, tuple[float, float | None, float | None]] = {
    'R-CNN': (47.9, None, None),
    'SDS': (52.6, 51.6, 50.0),
    'FCN-8s': (62.7, 62.2, 0.175),
}

# Table 4: NYUDv2's 654 test images in 40 classes, by net.
TABLE4: dict[str, Metrics] = {
    'nyud-fcn32s-color': (60.0, 42.2, 29.2, 43.9),
    'nyud-fcn32s-color-d': (61.5, 42.4, 30.5, 45.5),
    'nyud-fcn32s-hha': (57.1, 35.2, 24.2, 40.4),
    'nyud-fcn32s-color-hha': (64.3, 44.9, 32.8, 48.0),
    'nyud-fcn16s-color-hha': (65.4, 46.1, 34.0, 49.5),
}

# Table 5: SIFT Flow's 200 test images, over the classes that occur there: the four metrics of the
# semantic classes, and the pixel accuracy of the geometric ones.
TABLE5: Metrics = (85.2, 51.7, 39.5, 76.1)
TABLE5_GEOMETRIC = 94.3

# Section 3.1: seconds of AlexNet on a GPU, for one patch and for a 500×500 image.
AMORTIZATION = {'forward': (0.0012, 0.022), 'backward': (0.0024, 0.037)}

# PAMI, section 4.3: mean IU by heavy learning, online, and by batches.
MOMENTUM = {'heavy': 63.6, 'online': 60.7, 'batches': 51.9}

# Appendix A: the best mean IU after downsampling the truth by a factor.
UPPER_BOUND = {128: 50.9, 64: 73.3, 32: 86.1, 16: 92.8, 8: 96.4, 4: 98.5}
