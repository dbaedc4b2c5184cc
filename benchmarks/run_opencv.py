"""Runs OpenCV in a process of its own: python -m benchmarks.run_opencv FOLDER forward TIMES"""

import os
import sys
from pathlib import Path

import cv2
import numpy as np

from .clock import measure


def main(folder: Path, times: int) -> None:
    cv2.setNumThreads(int(os.environ['OMP_NUM_THREADS']))
    net = cv2.dnn.readNetFromCaffe(
        str(folder / 'deploy.prototxt'), str(folder / 'weights.caffemodel')
    )
    net.setInput(np.load(folder / 'data.npy'))
    measure(lambda: net.forward('score'), times)


if __name__ == '__main__':
    main(Path(sys.argv[1]), int(sys.argv[3]))
