"""Works that are measured in turns, and what is said of which is faster."""

from benchmarks.clock import faster, in_turns


def test_all_have_their_turns_in_every_round():
    passes = []
    found = in_turns({name: lambda name=name: passes.append(name) for name in 'ab'}, 3)
    assert passes == ['a', 'b'] * 4  # one of each to warm up
    assert all(len(seconds) == 3 and min(seconds) >= 0 for seconds in found.values())


def test_short_passes_are_repeated_for_their_turn():
    passes = []
    (seconds,) = in_turns({'a': lambda: passes.append(0)}, 1, 0.01)['a']
    assert len(passes) > 10 and seconds < 0.01


def test_the_faster_is_told_where_rounds_tell_it():
    assert faster([1, 1, 5], [6, 7, 8]) is True and faster([6, 7, 8], [1, 1, 5]) is False
    assert faster([1, 2, 3], [2, 3, 4]) is None and faster([1, 1], [9, 9]) is None
    assert faster([1, 1, 1], [4, 4, 4], 3) is True and faster([1, 1, 1], [4, 4, 4], 5) is False
