"""The stopwatch: seconds of passes, several tasks in turns, and the peak memory while they ran."""

import json
import re
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

MIN_ROUNDS = 3  # below which nothing is said about which task is faster

Task = Callable[[], Any]
Key = TypeVar('Key', bound=Hashable)
Result = dict[str, float]


def seconds_of(task: Task) -> float:
    """Return the seconds that one call of `task` takes."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def min_seconds(task: Task, times: int) -> float:
    """Return the minimum of the seconds of several calls of `task`, after one to warm up."""
    task()
    return min(seconds_of(task) for _ in range(times))


def in_turns(
    tasks: Mapping[Key, Task], rounds: int, min_turn: float = 0.0
) -> dict[Key, list[float]]:
    """Return the seconds of a pass of each task in each round, after one pass of each to warm up.

    All tasks have their turn in every round, so that a busy moment slows all of them alike. A turn
    lasts at least one pass and at least `min_turn` seconds; its fastest pass counts.
    """
    for task in tasks.values():
        task()
    seconds: dict[Key, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            fastest = taken = seconds_of(task)
            while taken < min_turn:
                again = seconds_of(task)
                fastest, taken = min(fastest, again), taken + again
            seconds[name].append(fastest)
    return seconds


def is_faster(one: Sequence[float], other: Sequence[float], factor: float = 1.0) -> bool | None:
    """Return whether `one` is more than `factor` times as fast as `other`, or None if undecided.

    Both are the seconds of rounds, as `in_turns` returns them. It is undecided where the middle
    halves of the rounds overlap, or where there are fewer rounds than MIN_ROUNDS.
    """
    if min(len(one), len(other)) < MIN_ROUNDS:
        return None
    (low_one, high_one), (low_other, high_other) = factor * middle_half(one), middle_half(other)
    if high_one < low_other:
        return True
    return False if low_one > high_other else None


def middle_half(seconds: Sequence[float]) -> np.ndarray:
    """Return the ends of the middle half of the seconds of rounds: the array (from, to)."""
    return np.percentile(seconds, (25, 75))


def reset_peak_memory() -> None:
    """Let the process's peak memory count from now on."""
    Path('/proc/self/clear_refs').write_text('5')


def peak_memory() -> int:
    """Return the process's largest resident memory, in bytes."""
    match = re.search(r'VmHWM:\s+(\d+)', Path('/proc/self/status').read_text())
    assert match
    return int(match[1]) * 1024


def measure(task: Task, times: int) -> Result:
    """Call `task` once to warm up and `times` times more, and return what a pass takes.

    `seconds` is the fastest one's, `median` that of all, `cpu` the least that the process, user and
    system, spent on one. `peak` is the process's largest resident memory in bytes, from the warming
    up on: weights and libraries count, what loading them took temporarily does not.
    """
    reset_peak_memory()
    task()
    walls, cpus = [], []
    for _ in range(times):
        cpu = time.process_time()
        walls.append(seconds_of(task))
        cpus.append(time.process_time() - cpu)
    return {
        'seconds': min(walls),
        'median': float(np.median(walls)),
        'cpu': min(cpus),
        'peak': peak_memory(),
    }


def hand_in(result: Result, version: str, scores: np.ndarray, file: Path | None = None) -> None:
    """Print a contender's result as JSON, with the shape of the scores that it computed, and write
    these to `file`."""
    if file:
        np.save(file, scores)
    print(json.dumps({**result, 'version': version, 'shape': list(scores.shape)}))
