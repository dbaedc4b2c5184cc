"""What may be wrong with how a command ended: its exit status, what it printed, what it left."""

import os
import re
import signal
from pathlib import Path

from .cases import Recipe

# What commands say to a user who made no mistake, or about the inputs before.
_NOTES = re.compile(
    r'WARNING: |[\w-]+ at iteration \d+: |.* by tiles of \d+$|'
    r'.*: not the file its owners publish|.*has \d+ examples, the real set|.* names; VOC 2011|'
    r'.*: is there already, so|curl:|the classes are those of '
)
_PROGRESS = re.compile(r'.*(\d+%\|.*|\d+(\.\d+)?[kMG]?(it|image|B)? )\[\d\d:\d\d[:\d]*[<,].*')
_BAD = re.compile(
    r'Traceback \(most recent|^F\d{4} |^\S*:\d+: \w*Warning: |Exception ignored|terminate called|'
    r'\*\*\* |Fatal Python error|AddressSanitizer',
    re.MULTILINE,
)
MAX_LINE = 1000  # characters of an error

Tree = dict[str, tuple[int, int, int]]


def judge(status: int, stdout: str, stderr: str, recipe: Recipe) -> list[str]:
    """Return what is wrong with a command's exit status and what it printed, a line each."""
    wrong = []
    if status < 0:
        wrong.append(f'killed by {signal.Signals(-status).name}')
    elif status not in (0, 2):
        wrong.append(f'exit {status}')
    if match := _BAD.search(stderr + stdout):
        wrong.append(f'printed {match[0].strip()}')
    lines = [
        line
        for line in re.split(r'[\r\n]+', stderr)
        if line.strip() and not _PROGRESS.fullmatch(line) and not _NOTES.match(line)
    ]
    program = Path(recipe.program)
    name = program.name if program.stem != '__main__' else program.parent.name
    if status == 2:
        if len(lines) != 1:
            wrong.append(f'{len(lines)} lines of error, not one that begins with {name}')
        elif not lines[0].startswith(f'{name}: ') or len(lines[0]) >= MAX_LINE:
            wrong.append(f'the line of error is too long or does not begin with {name}')
    if status == 0 and lines:
        wrong.append('printed an error and ended with 0')
    return wrong


def tree(folder: Path) -> Tree:
    """Return {path: inode, size and time} of the files under a folder, to see what changes."""
    result = {}
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in (*files, *links):
            path = os.path.join(parent, name)
            info = os.lstat(path)
            result[os.path.relpath(path, folder)] = info.st_ino, info.st_size, info.st_mtime_ns
    return result


def leftovers(before: Tree, after: Tree, status: int | None, recipe: Recipe) -> list[str]:
    """Return what a command left that it should not have left, a line each, three at most."""
    changed = [path for path in after if before.get(path) != after[path]]
    wrong = [f'left {path}' for path in changed if re.search(r'partial|(^|/)\.[^/]*-', path)]
    if status == 2:
        for path in changed:
            allowed = recipe.leaves and re.fullmatch(recipe.leaves, path)
            if not allowed and not path.endswith('checksums.json'):
                wrong.append(f'failed and left {path}')
        for path in before:
            if path not in after and '/.partial' not in path:
                wrong.append(f'failed and took {path} away')
    return wrong[:3]
