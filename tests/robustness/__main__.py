"""Runs every proof that no run is lost and no input crashes, and writes results/reliability.md.

    python -m tests.robustness

An hour or two on two cores. Each proof's result is kept in --work, and a proof that has one there is not
run again, so that it goes on where it was interrupted.
"""

import json
from pathlib import Path

from experiments.report import table
from fcn.cli import Parser, run
from fcn.io import write_text

from . import faults, fuzz, kills, sizes, truncation

ROOT = Path(__file__).resolve().parents[2]
PROOFS = {
    'kills': (kills, ['--kills', '100']),
    'faults': (faults, ['--points', '34']),
    'fuzz': (fuzz, ['--count', '20000']),
    'sizes': (sizes, ['--count', '10000']),
    'truncation': (truncation, []),
}

FOUND = """\
## Found on the way, and guarded against

In Caffe:

- A snapshot that cannot be written ends the process (`CHECK` in `WriteProtoToBinaryFile`), and the last kilobytes
  may be lost without a word. Caffe writes to pipes here; processes of ours bring them to the disk.
- A solver state is read without a check, and names its weights by a path. Hashes are compared first, and both
  files are read from their own folder.
- Neither the order of the data, nor the state of dropout, nor the smoothed loss is in a snapshot. All are functions
  of seed and iteration here, or in the manifest.
- Max pooling of NaN notes no place, and its backward pass then writes outside its array. A loss that
  is not finite stops training before it.
- Building a net of a prototxt aborts on most mistakes; `group: 0` divides by zero, a stride of 0 makes
  negative shapes, an `HDF5Output` layer empties the file it names, a `Python` layer imports any module. Prototxts
  of others are built by a child process first, in bounded memory, without layers that write or run code.
- A caffemodel that is damaged ends the process, as does a picture that makes more than 2³¹ elements in a layer's
  buffer. Both are refused before.

In what it stands on:

- oneDNN's matrix product keeps the stack pointer inside the heap: a signal that arrived then (Ctrl-C) damaged it and
  ended the process. Signals have a stack of their own now.
- SciPy's reader of MATLAB files ends the process on an element of a type that there is not, and on an array without
  its numbers, and inflates without bound. Files are gone over in bounds before it.
- Pillow takes a PNG without its end for whole, and 16 bits for 8.
"""


def parse(arguments=None):
    parser = Parser(__doc__, prog='python -m tests.robustness')
    add = parser.add_argument
    add(
        '--work',
        type=Path,
        default=Path('out/reliability'),
        metavar='DIR',
        help='(default: out/reliability)',
    )
    add(
        '--out',
        type=Path,
        default=ROOT / 'results',
        metavar='DIR',
        help='where the page goes (default: results)',
    )
    return parser.parse_args(arguments)


def results(work):
    """{proof: its result}, from `work` where it is there."""
    found = {}
    for name, (module, arguments) in PROOFS.items():
        file = work / f'{name}.json'
        if not file.exists():
            folder = name == 'fuzz'  # which keeps failures beside its result
            module.main([*arguments, '--out', str(work if folder else file)])
        found[name] = json.loads(file.read_text())
    real = work / 'real.json'  # of reliability.real, which needs real photographs and weights
    found |= {'real': json.loads(real.read_text())} if real.exists() else {}
    # Of the fuzzer there may be more runs, such as those after a mend.
    return found | {
        file.stem: json.loads(file.read_text()) for file in sorted(work.glob('fuzz-*.json'))
    }


def rows(found):
    """The table of the page: what was tried, and how it ended."""
    killed, faulty, _, sized, cut = (found[name] for name in PROOFS)
    moments = ', '.join(f'{count} while {moment}' for moment, count in killed['moments'].items())
    yield (
        f'`kills`: training killed with SIGKILL ({moments}), then started again',
        f'{killed["equal"]} of {killed["kills"]} ends equal to the last bit',
    )
    if real := found.get('real'):
        yield (
            f'`real`: the same, once, of {real["net"]} on photographs, which went on from iteration '
            f'{real["went_on_from"]} of {real["iterations"]}',
            'differs in ' + ', '.join(real['differences'])
            if real['differences']
            else 'equal to the last bit',
        )
    yield (
        f'`faults`: {", ".join(faulty["errors"])} at {faulty["points"]} of the {faulty["uses"]} uses that a run '
        'makes of its folder, then the same command on a disk that works',
        f'{faulty["cases"] - len(faulty["failures"])} of {faulty["cases"]}: snapshots whole, end equal to the last '
        f'bit; {faulty["ended"]} ended the command, with exit code 2 and one line',
    )
    for name in (name for name in found if name.startswith('fuzz')):
        fuzzed = found[name]
        refused, good = (
            sum(row[status] for row in fuzzed['rows']) for status in ('refused', 'good')
        )
        slowest, peak = (
            max(row[figure] for row in fuzzed['rows']) for figure in ('slowest', 'peak')
        )
        kinds = {row['kind'] for row in fuzzed['rows']}
        what = f'damaged {kinds.pop()} files' if len(kinds) == 1 else 'damaged files'
        failures = ''.join(f' ({words})' for words in fuzzed['failures'].values())
        yield (
            f'`{name}`: {fuzzed["count"]:,} {what} through the commands',
            f'{len(fuzzed["failures"])} failures{failures}; {refused:,} refused with exit code 2 and one line, '
            f'{good:,} taken; the slowest {slowest:.1f} s, the largest {peak / 1e6:.0f} MB',
        )
    yield (
        f'`sizes`: {sized["count"]:,} images of random sizes through {sized["net"]}',
        f'{sized["most"] / 1e6:.0f} MB at most after the first 500, {100 * sized["growth"]:+.1f} % of those',
    )
    yield (
        f'`truncation`: {len(cut["files"])} kinds of files cut off at {cut["lengths"]:,} lengths',
        f'{cut["undetected"]} not noticed',
    )


def main(arguments=None):
    args = parse(arguments)
    args.work.mkdir(parents=True, exist_ok=True)
    found = results(args.work)
    made = [
        f'- `{name}`: at commit {result["commit"]} on {result["date"]}, {result["machine"]}'
        for name, result in found.items()
    ]
    page = f"""# No run lost, no crash on bad input

{table(['proof (`python -m tests.robustness.NAME`)', 'outcome'], rows(found))}

{chr(10).join(made)}

`python -m tests.robustness` runs them all. Short forms of all but `real` are in the suite (`tests/robustness`).

{FOUND}
## The fuzzer's cases

{fuzz.table_of(found['fuzz']['rows'])}
"""
    write_text(args.out / 'reliability.md', page)
    print(args.out / 'reliability.md')


if __name__ == '__main__':
    run(main)
