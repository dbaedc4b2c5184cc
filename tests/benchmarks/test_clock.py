"""Tasks that are measured in turns, and what is said about which is faster."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.clock import hand_in, in_turns, is_faster, measure


def test_all_have_their_turns_in_every_round() -> None:
    passes = []
    seconds = in_turns({name: lambda name=name: passes.append(name) for name in 'ab'}, 3)
    assert passes == ['a', 'b'] * 4  # one of each to warm up
    assert all(len(rounds) == 3 and min(rounds) >= 0 for rounds in seconds.values())


def test_short_passes_are_repeated_for_their_turn() -> None:
    passes = []
    (seconds,) = in_turns({'a': lambda: passes.append(0)}, 1, 0.01)['a']
    assert len(passes) > 10 and seconds < 0.01


def test_the_faster_is_told_where_rounds_tell_it() -> None:
    assert is_faster([1, 1, 5], [6, 7, 8]) is True and is_faster([6, 7, 8], [1, 1, 5]) is False
    assert is_faster([1, 2, 3], [2, 3, 4]) is None and is_faster([1, 1], [9, 9]) is None
    assert is_faster([1, 1, 1], [4, 4, 4], 3) is True
    assert is_faster([1, 1, 1], [4, 4, 4], 5) is False


PEAK = """
import numpy as np
from benchmarks.clock import peak_memory, reset_peak_memory
reset_peak_memory()
before = peak_memory()
block = np.ones(64 << 20, np.uint8)
del block
print(peak_memory() - before)
"""


def test_peak_memory_counts_what_was_freed(command: Callable[..., Any]) -> None:
    """In a process of its own: one that ran other tests has free memory enough for the block."""
    result = command('-c', PEAK)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) >= 32 << 20


def test_a_result_has_the_seconds_of_the_cpu_too(capsys: pytest.CaptureFixture[str]) -> None:
    passes: list[int] = []

    def work() -> None:
        passes.append(sum(range(200_000)))

    found = measure(work, 3)
    assert len(passes) == 4 and 0 < found['seconds'] <= found['median']
    assert 0 < found['cpu'] < 10 and found['peak'] > 1e6
    hand_in(found, '1.0', np.zeros((1, 2, 3, 4)))
    assert json.loads(capsys.readouterr().out) == found | {'version': '1.0', 'shape': [1, 2, 3, 4]}
