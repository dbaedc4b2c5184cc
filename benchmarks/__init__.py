"""Compares the engine with PyTorch on the same CPU: the same nets, weights and images, in turns.

`python -m benchmarks` (or `make bench`) writes results/bench-cpu.md.
"""
