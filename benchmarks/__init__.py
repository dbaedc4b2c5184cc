"""Compares the engine with PyTorch on the same CPU: the same nets, weights and images, in turns.

`python -m benchmarks` (or `make bench`) writes results/bench-cpu.md. `python -m benchmarks.memory`
compares the memory that commands are reckoned to need with what they take: results/memory.md.
"""
