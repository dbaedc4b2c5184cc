"""Runs every proof that no run is lost and no input crashes, and writes results/reliability.md.

    python -m tests.robustness

This takes an hour or two on two cores. Each proof's result is kept in --work, and a proof that has
one there is not run again: after an interruption the same command continues.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fcn.cli import Parser, run
from fcn.io import write_text
from fcn.text import markdown_table

from . import faults, fuzz, kills, sizes, truncation
from .setting import ROOT

PROOFS = {
    'kills': (kills, ['--kills', '100']),
    'faults': (faults, ['--points', '34']),
    'fuzz': (fuzz, ['--count', '20000']),
    'sizes': (sizes, ['--count', '10000']),
    'truncation': (truncation, []),
}
Results = dict[str, dict[str, Any]]

FOUND = """\
## Found on the way, and guarded against

In Caffe:

- A snapshot that cannot be written ends the process (`CHECK` in `WriteProtoToBinaryFile`), and the
  last kilobytes may be lost without a message. Here Caffe writes to pipes, and our own processes
  bring the bytes to the disk.
- A solver state is read without a check, and names its weights by a path. Hashes are compared
  first, and both files are read from their own folder.
- Neither the order of the data, nor the state of dropout, nor the smoothed loss is in a snapshot.
  Here all are functions of seed and iteration, or are in the manifest.
- Max pooling of NaN records no position, and its backward pass then writes outside its array. A
  loss that is not finite stops training before that.
- Building a net from a prototxt aborts on most mistakes. `group: 0` divides by zero, a stride of 0
  makes negative shapes, an `HDF5Output` layer empties the file it names, and a `Python` layer
  imports any module. A child process builds untrusted prototxts first, in bounded memory, without
  layers that write files or run code.
- A damaged caffemodel ends the process, and so does a picture that makes more than 2³¹ elements in
  a layer's buffer. Both are refused before.

In the libraries below:

- oneDNN's matrix product keeps the stack pointer inside the heap: a signal that arrived then
  (Ctrl-C) damaged the heap and ended the process. Signals have a stack of their own now.
- SciPy's reader of MATLAB files ends the process on an element of unknown type, and on an array
  without its numbers, and it inflates without bound. Files are checked, within bounds, before it
  reads them.
- Pillow takes a PNG without its end as complete, and 16 bits as 8.
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = Parser(__doc__, prog='python -m tests.robustness')
    work, out = Path('out/reliability'), ROOT / 'results'
    add = parser.add_argument
    add('--work', type=Path, default=work, metavar='DIR', help=f'(default: {work})')
    add('--out', type=Path, default=out, metavar='DIR', help='of the page (default: results)')
    return parser.parse_args(arguments)


def results(work: Path) -> Results:
    """Return {proof: its result}, from the folder `work` where the result is there already."""
    found = {}
    for name, (module, arguments) in PROOFS.items():
        file = work / f'{name}.json'
        if not file.exists():
            writes_folder = name == 'fuzz'  # which keeps failures next to its result
            module.main([*arguments, '--out', str(work if writes_folder else file)])
        found[name] = json.loads(file.read_text())
    real = work / 'real.json'  # of `real`, which needs photographs and weights
    found |= {'real': json.loads(real.read_text())} if real.exists() else {}
    # There may be more runs of the fuzzer, such as those after a fix.
    more = sorted(work.glob('fuzz-*.json'))
    return found | {file.stem: json.loads(file.read_text()) for file in more}


def rows(found: Results) -> Iterator[tuple[str, str]]:
    """Yield the rows of the page's table: what was tried, and how it ended."""
    killed, faulty, _, sized, cut = (found[name] for name in PROOFS)
    moments = ', '.join(f'{count} while {moment}' for moment, count in killed['moments'].items())
    yield (
        f'`kills`: training killed with SIGKILL ({moments}), then resumed',
        f'{killed["equal"]} of {killed["kills"]} ends equal to the last bit',
    )
    if real := found.get('real'):
        iterations = f'iteration {real["went_on_from"]} of {real["iterations"]}'
        different = ', '.join(real['differences'])
        yield (
            f'`real`: the same, once, with {real["net"]} on photographs, resumed at {iterations}',
            f'differs in {different}' if different else 'equal to the last bit',
        )
    errors, cases = ', '.join(faulty['errors']), faulty['cases']
    yield (
        f'`faults`: {errors} at {faulty["points"]} of the {faulty["uses"]} uses that a run makes '
        'of its folder, then the same command on a disk that works',
        f'{cases - len(faulty["failures"])} of {cases}: snapshots complete, end equal to the last '
        f'bit; {faulty["ended"]} ended the command, with exit code 2 and one line',
    )
    for name in found:
        if name.startswith('fuzz'):
            yield fuzz_row(name, found[name])
    yield (
        f'`sizes`: {sized["count"]:,} images of random sizes through {sized["net"]}',
        f'maximum {sized["most"] / 1e6:.0f} MB after the first 500, '
        f'{100 * sized["growth"]:+.1f} % of theirs',
    )
    yield (
        f'`truncation`: {len(cut["files"])} kinds of files cut off at {cut["lengths"]:,} lengths',
        f'{cut["undetected"]} not noticed',
    )


def fuzz_row(name: str, result: dict[str, Any]) -> tuple[str, str]:
    """Return the table's row of a run of the fuzzer."""
    tallies = result['rows']
    refused, good = (sum(row[status] for row in tallies) for status in ('refused', 'good'))
    slowest, peak = (max(row[figure] for row in tallies) for figure in ('slowest', 'peak'))
    kinds = {row['kind'] for row in tallies}
    what = f'damaged {kinds.pop()} files' if len(kinds) == 1 else 'damaged files'
    failures = ''.join(f' ({wrong})' for wrong in result['failures'].values())
    return (
        f'`{name}`: {result["count"]:,} {what} through the commands',
        f'{len(result["failures"])} failures{failures}; {refused:,} refused with exit code 2 and '
        f'one line, {good:,} taken; the slowest {slowest:.1f} s, the largest {peak / 1e6:.0f} MB',
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the proofs that have no result yet and write the page."""
    args = parse(arguments)
    args.work.mkdir(parents=True, exist_ok=True)
    found = results(args.work)
    origins = '\n'.join(
        f'- `{name}`: at commit {result["commit"]} on {result["date"]}, {result["machine"]}'
        for name, result in found.items()
    )
    page = f"""# No run lost, no crash on bad input

{markdown_table(['proof (`python -m tests.robustness.NAME`)', 'outcome'], rows(found))}

{origins}

`python -m tests.robustness` runs them all. The suite has short forms of all but `real`
(`tests/robustness`).

{FOUND}
## The fuzzer's cases

{fuzz.table_of(found['fuzz']['rows'])}
"""
    write_text(args.out / 'reliability.md', page)
    print(args.out / 'reliability.md')


if __name__ == '__main__':
    run(main)
