"""The names, colours and numbers of classes, as tools write them next to the labels."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fcn.errors import DataError
from fcn.text import printable, shortened

from .texts import load_json, load_lines, load_yaml, name_of

MAX_BYTES = 1 << 20
MAX_CLASSES = 4096  # of a legend; a set learns at most 255 of them
Colour = tuple[int, int, int]
# In the order in which they are looked for: those with colours first.
FILES = (
    'labelmap.txt label_colors.txt class_dict.csv classes.csv legend.csv legend.json legend.txt '
    'classes.json class_names.txt classes.txt labels.txt data.yaml dataset.yaml data.yml '
    'dataset.yml'
)
# The heads of the columns of CSV, and the keys of JSON, that hold a part of a row.
NAME = 'name', 'class', 'label', 'title', 'class_name', 'label_name', 'category'
NUMBER = 'id', 'index', 'idx', 'value', 'number', 'class_id', 'label_id'
COLOUR = 'color', 'colour', 'rgb'
CHANNELS = ('r', 'red'), ('g', 'green'), ('b', 'blue')


class Legend(NamedTuple):
    """The names of classes; their colours, and the values that they have in masks of numbers, if
    the legend tells them. Without `numbers`, these are their places, 0, 1, …"""

    names: tuple[str, ...]
    colours: tuple[Colour, ...] | None = None
    numbers: tuple[int, ...] | None = None

    def values(self) -> tuple[int, ...]:
        """Return the values of the names in masks of numbers."""
        return tuple(range(len(self.names))) if self.numbers is None else self.numbers


class Row(NamedTuple):
    """A class, `where` in a legend, as 'line 3'; its parts are checked by `_legend`."""

    where: str
    name: Any
    colour: Any = None
    number: Any = None


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
    """Return the legend in a file.

    It is text of a name a line, CVAT's labelmap.txt, CamVid's label_colors.txt, CSV of name, r, g,
    b, JSON or YAML. Raises DataError, which names the line, for what is none of these.
    """
    path = Path(path)
    readers = {'.json': _of_json, '.yaml': _of_yaml, '.yml': _of_yaml, '.csv': _of_csv}
    rows = readers.get(path.suffix.lower(), _of_text)(path)
    if not rows:
        raise DataError(f'{path}: holds no classes; write a name a line')
    if len(rows) > MAX_CLASSES:
        raise DataError(f'{path}: holds {len(rows)} classes; {MAX_CLASSES} are allowed')
    return _legend(rows, path)


def _legend(rows: Sequence[Row], path: Path) -> Legend:
    """Return the legend of rows, in order of their numbers. Raises DataError for one that is no
    class, and for what comes twice, or is missing in some."""
    names, colours, numbers = [], [], []
    for row in rows:
        where = f'{path}: {row.where}'
        name, colour = name_of(row.name), colour_of(row.colour)
        shown = shortened(printable(row.name if name is None else row.colour), 80)
        if name is None:
            raise DataError(f"{where}: '{shown}' is no name of a class; write one")
        if row.colour is not None and colour is None:
            raise DataError(f'{where}: {shown} is no colour; write red, green and blue, 0 to 255')
        if row.number is not None and not re.fullmatch(r'-1|\d{1,5}', str(row.number)):
            shown = shortened(printable(row.number), 80)
            raise DataError(f'{where}: {shown} is no number of a class; write 0, 1, …')
        names.append(name)
        colours += [colour] if colour is not None else []
        numbers += [int(row.number)] if row.number is not None else []
    if names[0] == '__ignore__' and not numbers:  # in LabelMe's labels.txt, before what is 0
        numbers = list(range(-1, len(names) - 1))
    for values, what in ((names, 'name'), (colours, 'colour'), (numbers, 'number')):
        if values and len(values) < len(names):
            raise DataError(
                f'{path}: some classes have a {what} and some have none; give it to all'
            )
        for value, count in Counter(values).most_common(1):
            if count > 1:
                raise DataError(f"{path}: has the {what} '{value}' twice; remove one")
    order = sorted(range(len(names)), key=numbers.__getitem__) if numbers else range(len(names))
    return Legend(
        tuple(names[place] for place in order),
        tuple(colours[place] for place in order) if colours else None,
        tuple(numbers[place] for place in order) if numbers else None,
    )


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


def _of_text(path: Path) -> list[Row]:
    """Return the rows of names, of `road:128,64,128::`, of `128 64 128 road`, or of `0 road`."""
    lines = [(n, line) for n, line in load_lines(path, MAX_BYTES) if not line.startswith('#')]
    after = [re.match(r'^([^:]+):(\d+),\s*(\d+),\s*(\d+)(?::.*)?$', line) for _, line in lines]
    before = [re.match(r'^(\d+)\s+(\d+)\s+(\d+)\s+(\S.*)$', line) for _, line in lines]
    numbered = [re.match(r'^(\d+)(?:\s*[:;,=]\s*|\s+)(\D.*)$', line) for _, line in lines]
    rows = []
    for (line, text), coloured, first, number in zip(lines, after, before, numbered, strict=True):
        if coloured:
            rows.append(Row(f'line {line}', coloured[1], coloured.groups()[1:]))
        elif first:
            rows.append(Row(f'line {line}', first[4], first.groups()[:3]))
        elif number and all(numbered):
            rows.append(Row(f'line {line}', number[2], number=number[1]))
        else:
            rows.append(Row(f'line {line}', text))
    return rows


def _of_csv(path: Path) -> list[Row]:
    """Return the rows of CSV with a head in any order, or of name, r, g, b, or of names alone."""
    lines = load_lines(path, MAX_BYTES)
    if not lines:
        return []
    separator = max(',;\t', key=lines[0][1].count)
    try:
        cells = [next(csv.reader([line], delimiter=separator)) for _, line in lines]
    except csv.Error as error:
        raise DataError(f'{path}: is no CSV ({error}); write name,r,g,b a line') from error
    head = [cell.strip().lower() for cell in cells[0]]
    numbers = [line for line, _ in lines]
    if any(name in head for name in NAME):
        numbers, cells = numbers[1:], cells[1:]
    elif len(head) == 1:
        head = ['name']
    elif len(head) >= 4 and all(cell.isdecimal() for cell in head[1:4]):
        head = ['name', 'r', 'g', 'b']
    else:
        raise DataError(f'{path}: line {numbers[0]} is neither a head nor name,r,g,b; write one')
    rows = []
    for line, row in zip(numbers, cells, strict=True):
        if len(row) < len(head):
            raise DataError(f'{path}: line {line} has {len(row)} columns; it needs {len(head)}')
        held = {title: cell.strip() for title, cell in zip(head, row, strict=False)}
        channels = [_first(held, names) for names in CHANNELS]
        colour = None if channels == [None] * 3 else channels
        rows.append(Row(f'line {line}', _first(held, NAME), colour, _first(held, NUMBER)))
    return rows


def _first(held: Mapping[Any, Any], names: Sequence[str]) -> Any:
    return next((held[name] for name in names if name in held), None)


def _of_json(path: Path) -> list[Row]:
    """Return the rows of {"road": [128, 64, 128]}, {"road": 0}, {"0": "road"} or of a list of names
    or of objects."""
    data = load_json(path, MAX_BYTES)
    if isinstance(data, Mapping):
        inner = _first(data, ('classes', 'labels', 'legend', 'names', 'categories'))
        data = inner if isinstance(inner, (list, Mapping)) else data
    if isinstance(data, Mapping):
        data = [_named(name, value) for name, value in data.items()]
    if not isinstance(data, list):
        raise DataError(f'{path}: is no legend; write {{"road": [128, 64, 128], …}}')
    rows = []
    for count, one in enumerate(data, 1):
        where = f'class {count}'
        held = {'name': one} if isinstance(one, str) else one
        if not isinstance(held, Mapping):
            raise DataError(f'{path}: {where} is none; write a name and a colour')
        rows.append(Row(where, _first(held, NAME), _first(held, COLOUR), _first(held, NUMBER)))
    return rows


def _named(name: str, value: Any) -> Any:
    """Return the object of a class that is told by its name, or by its number."""
    if isinstance(value, Mapping):
        return {**value, 'name': name}
    if isinstance(value, int) and not isinstance(value, bool):
        return {'name': name, 'id': value}
    if name.isdecimal() and isinstance(value, str):
        return {'name': value, 'id': name}
    return {'name': name, 'color': [] if value is None else value}


def _of_yaml(path: Path) -> list[Row]:
    """Return the rows of the list, or of the numbered names, at `names` in YOLO's YAML."""
    names = load_yaml(path, MAX_BYTES).get('names')
    if isinstance(names, Mapping):
        rows = enumerate(names.items(), 1)
        return [Row(f'class {count}', name, number=number) for count, (number, name) in rows]
    if not isinstance(names, list):
        raise DataError(f'{path}: has no `names`; write `names: [road, car]`')
    return [Row(f'class {number}', name) for number, name in enumerate(names)]
