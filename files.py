"""Files that appear whole or not at all."""

import os


def write_text(path, text):
    """Write `text` to the Path `path`, by way of a file beside it."""
    partial = path.with_name(f'.{path.name}.partial')
    partial.write_text(text)
    flush(partial)
    os.replace(partial, path)


def flush(path):
    """Bring a file's bytes, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
