"""Parts of a scoring: files of confusion matrices, which are integers and so add up exactly.

    python score.py NET … --part 2/4 --out DIR      writes DIR/part-2-of-4.json
    python score.py --merge DIR                     adds the parts in DIR

A part also says what was scored: parts of different weights, images or classes do not add up.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fcn.errors import DataError, FCNError
from fcn.evaluation import Evaluation, evaluation_of
from fcn.io import read_text, write_text
from fcn.mpi import Part
from fcn.text import few

MAX_PART = 64 << 20  # bytes; that of a thousand classes has some megabytes
# What parts must have in common, as the file names it and as a message does.
COMMON = {
    'of': 'number of parts',
    'net': 'net',
    'weights': 'weights',
    'list': 'list of images',
    'total': 'number of images',
    'classes': 'classes',
    'drop_absent': 'data set',
}


def write_part(folder: Path, part: Part, evaluation: Evaluation) -> Path:
    """Write the evaluation of a part to a file in `folder` and return its path."""
    each = {evaluation.label: evaluation, **evaluation.others}
    record = {
        'part': part.number + 1,
        'of': part.total,
        **evaluation.about,
        'images': evaluation.images,
        'drop_absent': evaluation.drop_absent,
        'classes': {label: one.classes for label, one in each.items()},
        'confusion': {label: one.confusion.tolist() for label, one in each.items()},
    }
    file = folder / f'part-{part.number + 1}-of-{part.total}.json'
    write_text(file, json.dumps(record) + '\n')
    return file


def part_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that paths mean: themselves, or the part-I-of-N.json of a folder.

    Raises DataError for a path that is nothing of both.
    """
    files: list[Path] = []
    for path in paths:
        found = [path]
        if path.is_dir():
            found = sorted(
                file for file in path.iterdir() if re.fullmatch(r'part-\d+-of-\d+\.json', file.name)
            )
        if not found:
            raise DataError(
                f'{path}: no part-I-of-N.json there; `--part I/N --out {path}` writes it'
            )
        files += found
    return files


def merge(paths: Sequence[Path]) -> Evaluation:
    """Return the Evaluation that all parts add up to; `paths` are their files and folders.

    Raises DataError, which names the file or the parts, for a file that is no part, for parts of
    different work, and where one is missing or there twice.
    """
    records = {file: _read(file) for file in part_files(paths)}
    first, *others = records
    for file in others:
        for key, name in COMMON.items():
            if (ours := records[first].get(key)) != (theirs := records[file].get(key)):
                raise DataError(
                    f'{file}: its {name} is {_short(theirs)}, that of {first} {_short(ours)}; '
                    'merge the parts of one scoring'
                )
    count = records[first]['of']
    found: dict[int, Path] = {}
    for file, record in records.items():
        if (number := record['part']) in found:
            raise DataError(
                f'{file}: part {number} of {count} is there twice, in {found[number]} too; remove '
                'one of them'
            )
        found[number] = file
    if missing := [number for number in range(1, count + 1) if number not in found]:
        raise DataError(
            f'{first.parent}: of {count} parts these are missing: {few(missing, 20)}; score them '
            f'with --part {missing[0]}/{count}'
        )
    images = sum(record['images'] for record in records.values())
    if images != records[first]['total']:
        raise DataError(
            f'{first.parent}: the parts have {images} images together, and the list '
            f'{records[first]["total"]}; score them again'
        )
    matrices = {}
    for label in records[first]['classes']:
        parts = np.array([record['confusion'][label] for record in records.values()], np.int64)
        matrices[label] = parts.sum(0)
    classes = {label: tuple(names) for label, names in records[first]['classes'].items()}
    return evaluation_of(matrices, classes, images, records[first]['drop_absent'])


def _short(value: Any) -> str:
    return repr(value) if len(repr(value)) < 40 else f'{repr(value)[:36]}…'


def _read(file: Path) -> dict[str, Any]:
    """Return what a file of a part holds. Raises DataError if it is none."""
    try:
        record = json.loads(read_text(file, MAX_PART))
        _check(record)
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
        told = f'{error}; ' if isinstance(error, FCNError) else f'{file}: '
        raise DataError(f'{told}not a part as --part writes it; score it again') from error
    return record


def _check(record: Mapping[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError unless a record is that of a part."""
    part, count, images, total = (record[key] for key in ('part', 'of', 'images', 'total'))
    whole = all(type(number) is int for number in (part, count, images, total))
    if not whole or not 1 <= part <= count or not 0 <= images <= total:
        raise ValueError
    if not record['classes'] or list(record['classes']) != list(record['confusion']):
        raise ValueError
    if type(record['drop_absent']) is not bool:
        raise ValueError
    for label, names in record['classes'].items():
        rows = record['confusion'][label]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError
        if len(rows) != len(names) or any(len(row) != len(names) for row in rows):
            raise ValueError
        cells = [cell for row in rows for cell in row]
        if not all(type(cell) is int and 0 <= cell < 2**53 for cell in cells):
            raise ValueError
