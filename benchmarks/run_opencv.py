"""Runs OpenCV in a process of its own: python -m benchmarks.run_opencv FOLDER forward TIMES OUT"""

import os
import sys
from pathlib import Path

import cv2
import numpy as np

from .clock import hand_in, measure


def main(folder: Path, times: int, out: str) -> None:
    cv2.setNumThreads(int(os.environ['OMP_NUM_THREADS']))
    net = cv2.dnn.readNetFromCaffe(
        str(folder / 'deploy.prototxt'), str(folder / 'weights.caffemodel')
    )
    net.setInput(np.load(folder / 'data.npy'))
    result = measure(lambda: net.forward('score'), times)
    hand_in(result, cv2.__version__, net.forward('score'), folder / out)


if __name__ == '__main__':
    main(Path(sys.argv[1]), int(sys.argv[3]), sys.argv[4])
