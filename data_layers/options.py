"""The options of a Python layer: its `param_str`, a JSON object, is checked before it is used."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fcn.errors import DataError

INT64 = 2**63 - 1
REQUIRED = object()


class Option(NamedTuple):
    """A key of a param_str: `fits` tells which values it may have, and `about` says so in words.

    Without a default the key must be there.
    """

    fits: Callable[[Any], bool]
    about: str
    default: Any = REQUIRED


def whole_number(minimum: int, default: int | None, maximum: int = INT64) -> Option:
    """Return an option that is a whole number, or may be null if `default` is None."""

    def fits(value: Any) -> bool:
        if value is None:
            return default is None
        return (
            isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum
        )

    return Option(fits, f'a whole number from {minimum} to {maximum}', default)


def are_numbers(value: Any, count: int) -> bool:
    """Return whether a value is a list of so many whole numbers from 0 on."""
    fits = whole_number(0, default=0).fits
    return isinstance(value, list) and len(value) == count and all(map(fits, value))


def share() -> Option:
    """Return an option that says which `count` of every `of` things are meant, or null for all."""

    def fits(value: Any) -> bool:
        if value is None:
            return True
        return are_numbers(value, 3) and value[1] > 0 and value[0] + value[1] <= value[2]

    return Option(fits, '[first, count, of], with first + count at most of', None)


def flag(default: bool) -> Option:
    """Return an option that is true or false."""
    return Option(lambda value: isinstance(value, bool), 'true or false', default)


def text() -> Option:
    """Return an option that is a string and must be there."""
    return Option(lambda value: isinstance(value, str), 'a string')


def parse(param_str: str, options: Mapping[str, Option]) -> dict[str, Any]:
    """Return the options in a param_str, with defaults filled in.

    Raises DataError, which names the key and the value, for a text that is not a JSON object, for
    unknown and missing keys, and for values that do not fit.
    """
    try:
        given = json.loads(param_str)
    except (ValueError, RecursionError) as error:
        raise DataError(f"param_str is not JSON ({error}): '{param_str[:80]}'") from error
    if not isinstance(given, dict):
        raise DataError(f"param_str is not a JSON object: '{param_str[:80]}'")
    if unknown := sorted(set(given) - set(options)):
        raise DataError(
            f"param_str has an unknown key '{unknown[0][:40]}'; it knows {', '.join(options)}"
        )
    spec = {key: option.default for key, option in options.items()} | given
    for key, option in options.items():
        if spec[key] is REQUIRED:
            raise DataError(f"param_str has no '{key}'; give {option.about}")
        if not option.fits(spec[key]):
            raise DataError(f'param_str: {key} is {repr(spec[key])[:40]}; give {option.about}')
    return spec
