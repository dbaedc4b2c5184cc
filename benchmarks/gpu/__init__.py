"""Compares Caffe with PyTorch on the same GPU: time, memory and agreement of the paper's nets.

`python -m benchmarks.gpu` (or `make gpu-check`) writes results/bench-gpu.md. Without a GPU it tries
the same on the CPU with small images and writes nothing.
"""
