"""Proof that no run is lost and no input crashes: one script for each row of results/reliability.md.

`kills` ends training at random moments, `real` that of a real net, `faults` lets the disk fail under it;
`truncation` cuts files of ours off, `fuzz` feeds damaged ones to the commands, `sizes` watches the memory
of one net over images of many sizes. `python -m tests.robustness` runs them and writes the page.
"""
