"""What a report is made of: tables in Markdown, the machine, how long a run took."""

import platform
import subprocess
from itertools import pairwise
from pathlib import Path

HEADS = ('pixel acc.', 'mean acc.', 'mean IU', 'f.w. IU')  # of solvers.METRICS


def table(head, rows):
    """A Markdown table of columns `head`. Numbers that are not whole get one decimal, None a dash."""
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join('| ' + ' | '.join(map(_cell, line)) + ' |' for line in lines)


def _cell(value):
    if value is None:
        return '–'
    return f'{value:.1f}' if isinstance(value, float) else str(value)


def claims(found):
    """Whether each of the paper's claims, {words: bool, or None if that cannot be told}, holds here, in Markdown."""
    verdicts = {True: 'so here too', False: '**not so here**', None: 'undecided here'}
    return '\n'.join(f'- {words}: {verdicts[holds]}.' for words, holds in found.items())


def exceeds(difference, noise=0.0):
    """Whether a difference is above zero; None if it is no more than `noise`, which may be None for unknown."""
    return None if abs(difference) <= (noise or 0.0) else difference > 0


def together(verdicts):
    """Of verdicts that may be None: False if one is, else None if one is, else True."""
    verdicts = list(verdicts)
    return False if False in verdicts else None if None in verdicts else True


def machine():
    """The processor and the cores this runs on."""
    models = {
        line.partition(': ')[2]
        for line in Path('/proc/cpuinfo').read_text().splitlines()
        if line.startswith('model name')
    }
    cores = subprocess.run(['nproc'], capture_output=True, text=True, check=True).stdout.strip()
    cores += ' core' if cores == '1' else ' cores'
    return f'{", ".join(sorted(models))}, {cores}, {platform.system()} {platform.machine()}'


def minutes(run):
    """How long a solvers.Run was at work, without the times that it was stopped."""
    return (
        sum(
            b['time'] - a['time']
            for a, b in pairwise(run.log.read())
            if b.get('event') != 'resumed'
        )
        / 60
    )


def clean(command):
    """A recorded command with folders outside the repository shortened to their last part."""

    def short(word):
        option, equals, value = word.rpartition('=')
        return option + equals + (Path(value).name if value.startswith(('/', '..')) else value)

    return ' '.join(map(short, command.split()))
