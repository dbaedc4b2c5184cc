"""Measures passes: the least of several times, several works in turns, and the most memory while they ran."""

import json
import re
import time
from pathlib import Path

import numpy as np

FEWEST = 3  # rounds, below which nothing is said of which work is faster


def least(work, times):
    """The least seconds that `work` takes of several times, after one to warm up."""
    work()
    return min(seconds(work) for _ in range(times))


def seconds(work):
    """The seconds that one pass of `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turns(works, rounds, turn=0.0):
    """{name: seconds of a pass in each round} of `works`, {name: function}, after a pass of each to warm up.

    All have their turns in every round, so that a busy moment slows all alike. A turn is of at least one pass and at
    least `turn` seconds, and the least of its passes counts.
    """
    for work in works.values():
        work()
    found = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            passes = [seconds(work)]
            while sum(passes) < turn:
                passes.append(seconds(work))
            found[name].append(min(passes))
    return found


def faster(one, other, times=1.0):
    """Whether `one` is more than `times` as fast as `other`, each the seconds of rounds as `in_turns` gives them.

    None where that is undecided: the middle halves of the rounds overlap, or there are fewer than FEWEST.
    """
    if min(len(one), len(other)) < FEWEST:
        return None
    (least_one, most_one), (least_other, most_other) = times * middle(one), middle(other)
    return True if most_one < least_other else False if least_one > most_other else None


def middle(rounds):
    """Where the middle half of the seconds of rounds lies: the array (from, to)."""
    return np.percentile(rounds, (25, 75))


def measure(work, times):
    """Run `work` once to warm up and `times` times more; print {"seconds", "peak"} as JSON.

    `peak` is the process's largest resident memory, in bytes, from the warming up on:
    weights and libraries count, what loading them took in passing does not.
    """
    Path('/proc/self/clear_refs').write_text('5')
    best = least(work, times)
    peak = int(re.search(r'VmHWM:\s+(\d+)', Path('/proc/self/status').read_text())[1]) * 1024
    print(json.dumps({'seconds': best, 'peak': peak}))
