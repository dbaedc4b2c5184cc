"""The page of `python -m benchmarks`: its tasks, their goals, and what is said of them."""

import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fcn.engine import versions
from fcn.text import markdown_table

from .contenders import CONTENDERS, FRAMED, OURS, PYTORCH, RIVALS, THREADS
from .floor import Floor
from .machine import processor
from .material import SIDE


class Task(NamedTuple):
    """A net and what it does, how often in a turn, and goals: our time against PyTorch's best and
    against the best of all, and our peak memory in GB."""

    net: str
    what: str
    times: int
    pytorch: float
    all: float | None = None
    memory: float | None = None


TASKS = {
    'FCN-8s VGG-16, forward': Task('voc-fcn8s', 'forward', 2, 0.35, 0.8, 1.1),
    'FCN-8s VGG-16, training iteration': Task('voc-fcn8s', 'train', 1, 0.28, None, 2.9),
    'FCN-GoogLeNet, forward': Task('voc-fcn-googlenet', 'forward', 5, 0.30, 0.8),
    'FCN-AlexNet, forward': Task('voc-fcn-alexnet', 'forward', 5, 0.45, 0.8),
}


@dataclass
class Measured:
    """The results of a task, of each contender in each round, why others have none, and the
    multiply-adds of a forward pass."""

    results: Mapping[str, list[dict[str, Any]]]
    failed: Mapping[str, str]
    work: int = 0

    def least(self, name: str, what: str = 'seconds') -> float:
        """Return a contender's minimum over all rounds."""
        return min(result[what] for result in self.results[name])

    def fastest(self, names: Iterable[str]) -> str | None:
        """Return the fastest of these contenders, of those that were measured."""
        return min((name for name in names if name in self.results), key=self.least, default=None)


def section(title: str, measured: Measured, floor: Floor) -> str:
    """Return a task's table, and lines on the goals, on who is missing, and on the floor."""
    task = TASKS[title]
    rows = []
    pytorch = measured.fastest(PYTORCH)
    for name in [name for name in CONTENDERS if name in measured.results]:
        results = measured.results[name]
        seconds = measured.least(name)
        median = statistics.median(result['median'] for result in results)
        against = f'{seconds / measured.least(pytorch):.2f}' if pytorch else '–'
        errors = [result['difference'] for result in results if 'difference' in result]
        error = f'{max(errors):.0e}' if errors and name != OURS else '–'
        cells = f'{seconds:.3f}', f'{median:.3f}', f'{measured.least(name, "cpu"):.2f}', against
        rows.append((name, *cells, f'{measured.least(name, "peak") / 1e9:.2f}', error))
    head = ['', 's', 'median', 'CPU s', 'against PyTorch', 'peak GB', 'difference']
    lines = [f'## {title}', '', markdown_table(head, rows), '', *verdicts(task, measured)]
    lines += [f'- {name} was not measured: {why}' for name, why in measured.failed.items()]
    if task.what == 'forward':
        lines.append(
            f'- At the rate of sgemm the {measured.work / 1e9:.0f} G multiply-adds alone would '
            f'take {measured.work / floor.sgemm[1]:.3f} s; Winograd makes do with fewer.'
        )
    return '\n'.join(lines) + '\n'


def verdicts(task: Task, measured: Measured) -> list[str]:
    """Return a line for each goal: whether it is met."""
    ours, found = measured.least(OURS), []
    if pytorch := measured.fastest(PYTORCH):
        found.append((f'against {pytorch}', ours / measured.least(pytorch), task.pytorch))
    other = measured.fastest(RIVALS) if task.all else None
    if other:
        found.append((f'against the fastest, {other}', ours / measured.least(other), task.all))
    if other and FRAMED in measured.results:
        framed = measured.least(FRAMED)
        found.append(
            (f'padding computed once, against {other}', framed / measured.least(other), task.all)
        )
    if task.memory:
        found.append(('peak GB', measured.least(OURS, 'peak') / 1e9, task.memory))
    return [
        f'- {what}: {value:.2f}, goal {goal:.2f}, {"met" if value <= goal else "missed"}'
        for what, value, goal in found
    ]


def heading(
    rounds: int,
    seconds: float,
    floor: Floor,
    loads: Iterable[float],
    measured: Mapping[str, Measured],
) -> str:
    """Return what was measured, where, how, and how long all of it took."""
    loads = sorted(loads)
    releases = {
        name.partition(',')[0]: results[0]['version']
        for task in measured.values()
        for name, results in task.results.items()
        if name not in (OURS, FRAMED, 'stock Caffe')
    }
    listed = ', '.join(f'{name} {version}' for name, version in releases.items())
    sgemm, memory = (
        ' and '.join(f'{scale * rate / 1e9:.0f}' for rate in rates)
        for rates, scale in ((floor.sgemm, 2), (floor.memory, 1))
    )
    return f"""# The engine on the CPU

`python -m benchmarks --rounds {rounds}` at commit {versions()['fcn']} on
{time.strftime('%Y-%m-%d')} took {seconds:.0f} s in all; {processor()}, {THREADS} threads; {listed};
images of {SIDE}×{SIDE}, one a batch, all in fp32.
Seconds are of one pass, the minimum of {rounds} round{'' if rounds == 1 else 's'} in turns, and the
median beside it; CPU seconds are user and system, of all threads. Before each other contender we
had a turn ourselves. The machine's load average was {loads[0]:.1f} to {loads[-1]:.1f}, of which
these processes make {THREADS}.
Memory is the process's largest from the first pass on, weights and libraries included. The
difference is the largest between a contender's scores and ours, as a share of the largest score.
With one and {THREADS} threads, sgemm computes {sgemm} GFLOP/s, and copying moves {memory} GB/s.
"""
