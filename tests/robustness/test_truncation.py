"""Files of ours, cut off: the short form of reliability.truncation."""

from tests.robustness import truncation


def test_every_length_is_noticed(tmp_path):
    for file, notices in truncation.other_files(tmp_path):
        content = file.read_bytes()
        for length in (
            0,
            1,
            len(content) // 3,
            len(content) // 2,
            len(content) - 2,
            len(content) - 1,
        ):
            file.write_bytes(content[:length])
            assert notices(), f'{file.name} of {length} bytes'
        file.write_bytes(content)
        assert not notices(), file.name


def test_a_length_that_nobody_notices_is_seen(tmp_path):
    """A proof must be able to fail."""
    file = tmp_path / 'x'
    file.write_bytes(b'12345')
    assert truncation.undetected(file, lambda: file.stat().st_size > 2) == (5, [2, 1, 0])
    assert file.read_bytes() == b'12345'
