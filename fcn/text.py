"""Text for people: short lists, safe file names, sizes, commands."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

SCRIPTS = 'solve', 'score', 'infer', 'export', 'prepare', 'serve'  # at the repository's root


def few(names: Iterable[Any], maximum: int = 6) -> str:
    """Return the names in one line, only the first of them if there are more than `maximum`."""
    texts = list(map(str, names))
    more = f' and {len(texts) - maximum} more' if len(texts) > maximum else ''
    return ', '.join(texts[:maximum]) + more


def printable(text: Any) -> str:
    """Return `text` in one line: control characters, as names of files may hold, are escaped."""
    return ''.join(char if char.isprintable() else ascii(char)[1:-1] for char in str(text))


def shortened(text: str, maximum: int = 900) -> str:
    """Return the beginning and the end of a text longer than `maximum` characters."""
    if len(text) <= maximum:
        return text
    return f'{text[: maximum // 2]} … {text[-maximum // 2 :]}'


def gigabytes(count: float) -> str:
    """Return a number of bytes as text, in gigabytes."""
    return f'{count / 1e9:.1f} GB' if count < 1e10 else f'{count / 1e9:,.0f} GB'


def command_line(name: str) -> str:
    """Return how the command `name` is started: as `python solve.py` or as `fcn solve`.

    The user's own way is taken; in another program, the scripts if they lie in the working folder.
    """
    started = sys.argv[0] if sys.argv else ''
    by_script = Path(started).name in {f'{script}.py' for script in SCRIPTS}
    if not by_script and not started.startswith('fcn '):
        by_script = all(Path(f'{script}.py').is_file() for script in SCRIPTS)
    return f'python {name}.py' if by_script and name in SCRIPTS else f'fcn {name}'


Cell = str | int | float | None


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table in Markdown. Floats get one decimal, None a dash."""
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join(f'| {" | ".join(map(_cell, line))} |' for line in lines)


def _cell(value: Cell) -> str:
    if value is None:
        return '–'
    return f'{value:.1f}' if isinstance(value, float) else str(value)
