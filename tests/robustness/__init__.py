"""Proofs that no run is lost and no input crashes, one script per row of results/reliability.md.

`kills` ends training at random moments, `real` does so to a real net, and `faults` lets the disk
fail under it. `truncation` cuts our files off, `fuzz` feeds damaged files to the commands, and
`sizes` watches the memory of one net over images of many sizes. `python -m tests.robustness` runs
them and writes the page.
"""
