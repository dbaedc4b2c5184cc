"""What the user can mend."""


class UserError(ValueError):
    """A mistake that the user can mend. Its one line names the file, the value and the mend."""


class UserErrors(UserError):
    """Several mistakes, a line each."""

    def __init__(self, lines):
        super().__init__('; '.join(map(str, lines)))
        self.lines = list(lines)


def few(names, most=6):
    """The names in one line, only the first of them if there are more than `most`."""
    names = list(map(str, names))
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more


def printable(text):
    """`text` in one line: what would start another or steer the terminal, as names of files may, is written out."""
    return ''.join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))
