"""Measures a pass: the least of several times, and the most memory while they ran."""

import json
import re
import time
from pathlib import Path


def least(work, times):
    """The least seconds that `work` takes of several times, after one to warm up."""
    work()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure(work, times):
    """Run `work` once to warm up and `times` times more; print {"seconds", "peak"} as JSON.

    `peak` is the process's largest resident memory, in bytes, from the warming up on:
    weights and libraries count, what loading them took in passing does not.
    """
    Path('/proc/self/clear_refs').write_text('5')
    seconds = least(work, times)
    peak = int(re.search(r'VmHWM:\s+(\d+)', Path('/proc/self/status').read_text())[1]) * 1024
    print(json.dumps({'seconds': seconds, 'peak': peak}))
