"""Files of ours, cut off: a short form of tests.robustness.truncation."""

from pathlib import Path

from tests.robustness import truncation


def test_every_length_is_noticed(tmp_path: Path) -> None:
    for file, notices in truncation.other_files(tmp_path):
        content = file.read_bytes()
        size = len(content)
        for length in (0, 1, size // 3, size // 2, size - 2, size - 1):
            file.write_bytes(content[:length])
            assert notices(), f'{file.name} of {length} bytes'
        file.write_bytes(content)
        assert not notices(), file.name


def test_a_length_that_nobody_notices_is_seen(tmp_path: Path) -> None:
    """A proof must be able to fail."""
    file = tmp_path / 'x'
    file.write_bytes(b'12345')
    assert truncation.undetected(file, lambda: file.stat().st_size > 2) == (5, [2, 1, 0])
    assert file.read_bytes() == b'12345'
