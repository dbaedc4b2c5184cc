"""Turns masks in any coding into label PNGs, whose values are the numbers of the classes.

    fcn convert FROM TO                        masks in the VOC colours, or of numbers
    fcn convert FROM TO --legend legend.csv    masks in other colours: lines of name,red,green,blue

Each mask in FROM becomes a palette PNG of the same name in TO. Nothing needs to be converted to
train on it: `solve.py --data` reads the same masks as they are.
"""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fcn.cli import Parser, add_data_options, bar
from fcn.data_layers.images import ENDINGS, VOID, save_label
from fcn.data_layers.own.coding import Decision, Wishes, decide
from fcn.data_layers.own.describe import classes_of
from fcn.data_layers.own.facts import examine_all
from fcn.data_layers.own.legends import Legend, read_legend
from fcn.data_layers.own.masks import read_mask
from fcn.errors import DataError
from fcn.io import make_folder
from fcn.text import printable


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__)
    parser.add_argument('source', type=Path, metavar='FROM', help='folder of masks')
    parser.add_argument('target', type=Path, metavar='TO', help='folder for the label PNGs')
    add_data_options(parser)
    return parser.parse_args(arguments)


def find_masks(source: Path, target: Path) -> list[Path]:
    """Return the masks in a folder. Raises DataError if two would become one file."""
    if os.path.realpath(source) == os.path.realpath(target):
        raise DataError(f'{target}: would overwrite the originals; give another folder')
    if not source.is_dir():
        raise DataError(f'{os.path.abspath(source)}: no such folder; give that of the masks')
    files = sorted(
        file
        for file in source.iterdir()
        if file.suffix.lower() in ENDINGS and not file.name.startswith('.')
    )
    if not files:
        raise DataError(
            f'{os.path.abspath(source)}: no images lie there; give the folder of the masks'
        )
    if twice := [stem for stem, n in Counter(file.stem for file in files).items() if n > 1]:
        raise DataError(f'{source}: two masks are named {twice[0]}; rename one')
    return files


def decided(files: Sequence[Path], args: argparse.Namespace) -> Decision:
    """Return how the masks are coded. Raises DataError if one cannot be read or told."""
    if args.classes and args.legend:
        raise DataError('--classes and --legend both name the classes; give one of them')
    count, names = classes_of(args.classes)
    legend = read_legend(args.legend) if args.legend else Legend(names) if names else None
    facts = examine_all(files)
    for fact in facts:
        if fact.problem:
            raise DataError(fact.problem)
    nothing = VOID if args.unlabelled == 'void' else 0
    return decide(facts, legend, Wishes(count, args.foreground, nothing, args.unknown))


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse(arguments)
    files = find_masks(args.source, args.target)
    decision = decided(files, args)
    labels = Counter[int]()
    # All are read before one is written: what is refused leaves nothing half-done.
    for file in files:
        values, counts = np.unique(read_mask(file, decision.coding), return_counts=True)
        labels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    make_folder(args.target)
    colours = np.array(decision.colours, np.uint8)
    for file in bar('convert', 'mask')(files):
        save_label(read_mask(file, decision.coding), args.target / f'{file.stem}.png', colours)
    print(f'{len(files)} labels in {printable(args.target)}')
    for note in decision.notes:
        print(printable(note))
    width = max(map(len, (*decision.names, 'void')))
    for number, name in [*enumerate(decision.names), (VOID, 'void')]:
        print(f'{number:3}  {printable(name):<{width}}  {labels[number]:10} pixels')
    return 0
