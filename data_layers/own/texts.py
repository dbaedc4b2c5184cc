"""Texts, JSON and YAML of people's tools, read in bounded memory. What is none is a DataError."""

import codecs
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from fcn.errors import DataError
from fcn.text import printable, shortened

MAX_NAME = 200  # characters
MARKS = (
    (codecs.BOM_UTF8, 'utf-8'),
    (codecs.BOM_UTF16_LE, 'utf-16-le'),
    (codecs.BOM_UTF16_BE, 'utf-16-be'),
)


def load_text(path: Path, maximum: int) -> str:
    """Return a text of UTF-8, or of UTF-16 with a byte order mark, of at most `maximum` bytes.

    Raises DataError for what is no plain file, for a larger one, and for other bytes.
    """
    if not path.is_file():
        raise DataError(f'{path}: no such file')
    with path.open('rb') as file:
        # Python sets aside as much memory as it is asked to read.
        content = file.read(min(maximum, path.stat().st_size) + 1)
    if len(content) > maximum:
        raise DataError(f'{path}: is larger than {maximum / 2**20:g} MiB, which no such file is')
    coding = next((name for mark, name in MARKS if content.startswith(mark)), 'utf-8')
    try:
        return content.decode(coding).removeprefix('\ufeff')
    except UnicodeDecodeError as error:
        raise DataError(
            f'{path}: is no text in UTF-8 ({error.reason}); save it as UTF-8'
        ) from error


def load_lines(path: Path, maximum: int) -> list[tuple[int, str]]:
    """Return the lines of a text that are not empty, with their numbers, without blanks around."""
    lines = enumerate(re.split('\r\n|\r|\n', load_text(path, maximum)), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def load_json(
    path: Path, maximum: int, convert: Callable[[dict[str, Any]], Any] | None = None
) -> Any:
    """Return what a JSON file holds. Each object is replaced by what `convert` makes of it."""
    text = load_text(path, maximum)
    try:
        return json.loads(text, parse_constant=_refuse, object_hook=convert)
    except (ValueError, RecursionError) as error:
        raise DataError(f'{path}: is no JSON ({printable(error)}); export it again') from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f'{constant} is no number')


def load_yaml(path: Path, maximum: int) -> Mapping[Any, Any]:
    """Return the mapping in a YAML file, whose scalars are all texts: `no` is 'no', `1` is '1'."""
    try:
        import yaml  # an extra, for this alone
    except ImportError as error:
        raise DataError(
            f"{path}: needs PyYAML to be read; `pip install '.[yaml]'`, or write the names of the "
            'classes into classes.txt'
        ) from error
    text = load_text(path, maximum)
    try:
        data = yaml.BaseLoader(text).get_single_data()  # texts alone: no numbers, no objects
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = shortened(' '.join(printable(str(error)).split()), 200)
        raise DataError(f'{path}: is no YAML ({problem}); correct it') from error
    if not isinstance(data, Mapping):
        raise DataError(f'{path}: holds no keys such as `names`; write `names: [road, car]`')
    return data


def name_of(value: Any) -> str | None:
    """Return the name of a class, composed, without blanks around; None of what is no text, empty,
    not printable, or too long."""
    if not isinstance(value, str) or len(value) > MAX_NAME or not value.isprintable():
        return None
    return unicodedata.normalize('NFC', value).strip() or None


def head(path: Path, length: int = 1 << 16) -> str:
    """Return the beginning of a text, whatever its bytes: to see what it is."""
    with path.open('rb') as file:
        content = file.read(length)
    coding = next((name for mark, name in MARKS if content.startswith(mark)), 'utf-8')
    return content.decode(coding, 'replace')
