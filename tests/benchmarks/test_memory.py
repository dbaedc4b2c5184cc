"""The page on memory says how many cases are reckoned well. test_memory_estimate measures some."""

from benchmarks.memory import Case, report


def test_the_page_names_the_farthest() -> None:
    good = Case('score', 'mini-fcn8s', 640, 480, 1.1e9, 1.0e9)
    bad = Case('infer', 'mini-fcn8s', 900, 600, 1.0e9, 2.0e9)
    page = report([good, bad], 1.0)
    assert '| score | mini-fcn8s | 640×480 | 1.10 | 1.00 | +10 |' in page
    assert '1 of 2 lie within 15%' in page and 'infer mini-fcn8s at 900×600' in page
