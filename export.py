"""Writes a net as ONNX, and checks it: the file and Caffe compute the same two images.

    python export.py voc-fcn8s -o fcn8s.onnx               as published, or as solve.py trained it
    python export.py runs/mine --with-preprocessing --labels -o mine.onnx
    python export.py deploy.prototxt --weights FILE.caffemodel -o net.onnx

docs/deploy.md says how to run the file.
"""

from fcn.cli import run_command

if __name__ == '__main__':
    run_command('export')
