"""Measures the engine against other libraries on this CPU and writes a table.

    make bench                                   all, to results/bench-cpu.md (twenty minutes)
    python -m benchmarks --rounds 1 --out FILE   faster, and to another file
    python -m benchmarks --only alexnet MNN      tasks and contenders of these words alone, printed

Contenders run in turns, each in a process of its own, we before each of them: ours, PyTorch, ours,
MNN, ours, … Of each the minimum over all rounds counts: other work on the machine then hardly
shows. `make bench` installs the other libraries, as benchmarks/requirements.txt lists them, into
build/bench-venv. One that is not there, or does not take the net, is named.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fcn.cli import Parser, integer, run
from fcn.errors import FCNError
from fcn.io import write_text

from . import amortization, contenders, floor, pages
from .contenders import CONTENDERS, OURS, ROOT, Failed
from .material import prepare
from .pages import TASKS, Measured


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__, prog='python -m benchmarks')
    add = parser.add_argument
    add('--rounds', type=integer(1, 1000), default=2, metavar='N', help='turns (default: 2)')
    add('--only', nargs='+', metavar='WORD', help='parts of titles of tasks, and contenders')
    add('--out', type=Path, default=ROOT / 'results/bench-cpu.md', metavar='FILE')
    add('--peers', type=Path, default=contenders.PEERS, metavar='PYTHON', help='theirs')
    args = parser.parse_args(arguments)
    for word in args.only or []:
        if not selected([*TASKS, *CONTENDERS], [word], orelse=[]):
            parser.error(f'--only {word}: part of no task or contender')
    return args


def selected(
    names: Sequence[str], only: Sequence[str] | None, orelse: Sequence[str] | None = None
) -> list[str]:
    """Return the names with one of the words in them, in any case; if none has, `orelse`, which is
    all by default."""
    words = [word.lower() for word in only or []]
    chosen = [name for name in names if any(word in name.lower() for word in words)]
    return chosen or [*(names if orelse is None else orelse)]


def rivals(title: str, only: Sequence[str] | None) -> list[str]:
    """Return the contenders of a task but us."""
    what = TASKS[title].what
    others = [name for name, each in CONTENDERS.items() if what in each.tasks and name != OURS]
    return selected(others, only)


def compare(
    title: str, folder: Path, args: argparse.Namespace, failed: dict[str, str], progress: tqdm
) -> Measured:
    """Measure a task in turns and return the results of each contender.

    A contender that fails, or that computed another net or an image of another size, has no
    results, and is added to `failed`. Raises FCNError if we are that.
    """
    what, times = TASKS[title].what, TASKS[title].times
    results: dict[str, list[dict[str, Any]]] = {}
    for index in range(args.rounds):
        for rival in rivals(title, args.only):
            if rival not in failed and not (index and CONTENDERS[rival].once):
                for name in (OURS, rival):
                    progress.set_postfix_str(f'{title}: {name}')
                    try:
                        result = contenders.contend(name, folder, what, times, args.peers)
                        contenders.check_shape(name, result)
                        if what == 'forward':
                            result['difference'] = contenders.difference(name, folder)
                    except (Failed, FCNError) as error:
                        if name == OURS:
                            raise FCNError(f'{name} failed at {title}: {error}') from error
                        failed[name] = str(error)
                        results.pop(name, None)
                    else:
                        results.setdefault(name, []).append(result)
            progress.update()
    chosen = rivals(title, args.only)
    return Measured(results, {name: why for name, why in failed.items() if name in chosen})


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    began = time.monotonic()
    titles = selected([*TASKS], args.only)
    measured: dict[str, Measured] = {}
    floors, loads = [floor.measure()], [os.getloadavg()[0]]
    runs = args.rounds * sum(len(rivals(title, args.only)) for title in titles)
    with tqdm(total=runs, unit='pair', dynamic_ncols=True) as progress:
        for net in dict.fromkeys(TASKS[title].net for title in titles):
            with tempfile.TemporaryDirectory(prefix='bench-') as scratch:
                folder = Path(scratch)
                work = prepare(net, folder)
                failed = contenders.convert(folder, net, args.peers)
                for title in titles:
                    if TASKS[title].net == net:
                        measured[title] = compare(title, folder, args, dict(failed), progress)
                        measured[title].work = work
                        floors.append(floor.measure())
                        loads.append(os.getloadavg()[0])
    best = floor.best(floors)
    sections = [pages.section(title, results, best) for title, results in measured.items()]
    if not args.only:
        sections.append(amortization.report())
    head = pages.heading(args.rounds, time.monotonic() - began, best, loads, measured)
    text = '\n'.join([head, *sections])
    if not args.only:
        write_text(args.out, text)
    print(text)


if __name__ == '__main__':
    run(main)
