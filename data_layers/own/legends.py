"""The names and colours of classes, as tools write them next to the labels."""

import csv
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fcn.errors import DataError
from fcn.text import printable, shortened

from .texts import is_name, load_json, load_lines, load_yaml

MAX_BYTES = 1 << 20
MAX_CLASSES = 4096  # of a legend; a set learns at most 255 of them
Colour = tuple[int, int, int]
# In the order in which they are looked for: those with colours first.
FILES = (
    'labelmap.txt label_colors.txt class_dict.csv classes.csv legend.csv legend.json legend.txt '
    'classes.json class_names.txt classes.txt labels.txt data.yaml dataset.yaml data.yml '
    'dataset.yml'
)


class Legend(NamedTuple):
    """The names of classes in their order, and their colours if the legend tells them."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...] | None = None


def find_legend(
    given: Path | None, root: Path, labels: Iterable[str] = ()
) -> tuple[str, Legend] | None:
    """Return the legend that the user gives, or else one in the set's folder or in those of its
    labels, in any case of its name, with its path; None if there is none."""
    if given is not None:
        return str(given), read_legend(given)
    for folder in ('', *sorted({label.rpartition('/')[0] for label in labels})):
        there = {path.name.lower(): path for path in sorted((root / folder).iterdir())}
        for name in FILES.split():
            if name in there and there[name].is_file():
                return str(there[name].relative_to(root)), read_legend(there[name])
    return None


def read_legend(path: str | Path) -> Legend:
    """Return the names, and colours if there are some, of a file of classes.

    It is text of a name a line, CVAT's labelmap.txt, CamVid's label_colors.txt, CSV of name, r, g,
    b, JSON or YAML. Raises DataError, which names the line, for what is none of these.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == '.json':
        legend = _of_json(path)
    elif suffix in ('.yaml', '.yml'):
        legend = _of_yaml(path)
    elif suffix == '.csv':
        legend = _of_csv(path)
    else:
        legend = _of_text(path)
    if not legend.names:
        raise DataError(f'{path}: holds no classes; write a name a line')
    if len(legend.names) > MAX_CLASSES:
        raise DataError(f'{path}: holds {len(legend.names)} classes; {MAX_CLASSES} are allowed')
    _check_once(path, legend.names, 'name')
    if legend.colours is not None:
        _check_once(path, legend.colours, 'colour')
    return legend


def _check_once(path: Path, values: Sequence[Any], what: str) -> None:
    twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
    if twice is not None:
        raise DataError(f"{path}: has the {what} '{printable(twice)}' twice; remove one")


def _of_text(path: Path) -> Legend:
    lines = [(n, line) for n, line in load_lines(path, MAX_BYTES) if not line.startswith('#')]
    colours = [_coloured(line) for _, line in lines]
    if not any(colours):
        return Legend(tuple(_name(line, path, number) for number, line in lines))
    wrong = next((number for (number, _), c in zip(lines, colours, strict=True) if not c), None)
    if wrong is not None:
        raise DataError(f'{path}: line {wrong} has no colour, and others have; write name:r,g,b')
    rows = [
        (_name(found[0], path, number), _colour(found[1], path, number))
        for (number, _), found in zip(lines, colours, strict=True)
        if found
    ]
    return _legend(rows)


def _coloured(line: str) -> tuple[str, list[str]] | None:
    """Return the name and the colour in `road:128,64,128::` or `128 64 128 road`, else None."""
    if found := re.match(r'^([^:]+):(\d+),\s*(\d+),\s*(\d+)(?::.*)?$', line):
        return found[1], list(found.groups()[1:])
    if found := re.match(r'^(\d+)\s+(\d+)\s+(\d+)\s+(\S.*)$', line):
        return found[4], list(found.groups()[:3])
    return None


def _of_csv(path: Path) -> Legend:
    lines = load_lines(path, MAX_BYTES)
    if not lines:
        return Legend(())
    separator = max(',;\t', key=lines[0][1].count)
    try:
        rows = [
            (number, [cell.strip() for cell in next(csv.reader([line], delimiter=separator))])
            for number, line in lines
        ]
    except csv.Error as error:
        raise DataError(f'{path}: is no CSV ({error}); write name,r,g,b a line') from error
    head = [cell.lower() for cell in rows[0][1]]
    columns: Sequence[int | None] = [_column(head, names) for names in COLUMNS]
    if columns[0] is not None:
        rows = rows[1:]
    elif len(head) == 1 or (len(head) >= 4 and all(cell.isdigit() for cell in head[1:4])):
        columns = [0, 1, 2, 3] if len(head) >= 4 else [0, None, None, None]
    else:
        raise DataError(f'{path}: line {rows[0][0]} is neither a head nor name,r,g,b; write one')
    found = []
    for number, cells in rows:
        try:
            chosen = [cells[place] for place in columns if place is not None]
        except IndexError as error:
            raise DataError(f'{path}: line {number} has {len(cells)} columns; add some') from error
        found.append((_name(chosen[0], path, number), chosen[1:4], number))
    if None in columns:
        return Legend(tuple(name for name, _, _ in found))
    return _legend([(name, _colour(cells, path, number)) for name, cells, number in found])


COLUMNS = (
    ('name', 'class', 'label', 'class_name', 'label_name', 'category'),
    ('r', 'red'),
    ('g', 'green'),
    ('b', 'blue'),
)


def _column(head: Sequence[str], names: Sequence[str]) -> int | None:
    return next((head.index(name) for name in names if name in head), None)


def _of_json(path: Path) -> Legend:
    data = load_json(path, MAX_BYTES)
    if isinstance(data, Mapping):
        for inner in ('classes', 'labels', 'legend', 'names', 'categories'):
            if isinstance(data.get(inner), (list, Mapping)):
                data = data[inner]
                break
    if isinstance(data, Mapping):
        data = [{'name': name, 'color': colour} for name, colour in data.items()]
    if not isinstance(data, list):
        raise DataError(f'{path}: is no legend; write {{"road": [128, 64, 128], …}}')
    rows = []
    for number, one in enumerate(data, 1):
        if isinstance(one, str):
            one = {'name': one}
        if not isinstance(one, Mapping):
            raise DataError(f'{path}: entry {number} is no class; write a name and a colour')
        name = one.get('name', one.get('label', one.get('title')))
        colour = one.get('color', one.get('colour', one.get('rgb')))
        shown = None if colour is None else _colour(colour, path, number)
        rows.append((_name(name, path, number), shown))
    with_colour = [colour for _, colour in rows if colour is not None]
    if with_colour and len(with_colour) < len(rows):
        raise DataError(f'{path}: some classes have a colour and some have none; give it to all')
    names = tuple(name for name, _ in rows)
    return Legend(names, tuple(with_colour) or None)


def _of_yaml(path: Path) -> Legend:
    names = load_yaml(path, MAX_BYTES).get('names')
    if isinstance(names, Mapping):
        try:
            names = [names[str(number)] for number in range(len(names))]
        except KeyError as error:
            raise DataError(f'{path}: `names` has no number {error}; number them from 0') from error
    if not isinstance(names, list):
        raise DataError(f'{path}: has no `names`; write `names: [road, car]`')
    return Legend(tuple(_name(name, path, number) for number, name in enumerate(names)))


def _name(name: Any, path: Path, number: int) -> str:
    if not is_name(name):
        shown = shortened(printable(name), 80)
        raise DataError(f"{path}: line {number}: '{shown}' is no name of a class; write one")
    return unicodedata.normalize('NFC', name).strip()


def colour_of(value: Any) -> Colour | None:
    """Return the colour that is '#RRGGBB' or three whole numbers of 0 to 255; None of others."""
    if isinstance(value, str) and re.fullmatch('#[0-9a-fA-F]{6}', value):
        return int(value[1:3], 16), int(value[3:5], 16), int(value[5:], 16)
    if not isinstance(value, Sequence) or len(value) != 3:
        return None
    texts = [str(number) for number in value]
    if not all(re.fullmatch('[0-9]{1,3}', text) and int(text) <= 255 for text in texts):
        return None
    red, green, blue = map(int, texts)
    return red, green, blue


def _colour(value: Any, path: Path, number: int) -> Colour:
    colour = colour_of(value)
    if colour is None:
        shown = shortened(printable(value), 80)
        raise DataError(
            f'{path}: line {number}: {shown} is no colour; write red, green and blue of 0 to 255'
        )
    return colour


def _legend(rows: Sequence[tuple[str, Colour]]) -> Legend:
    return Legend(tuple(name for name, _ in rows), tuple(colour for _, colour in rows))
