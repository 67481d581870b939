"""Chooses documents by their metadata: what a source's `where` says of a value."""

from collections.abc import Mapping
from typing import Any

AT_LEAST, ONE_OF = "at_least", "one_of"
SCALARS = (str, int, float, bool)


def check_where(where: Mapping[str, Any]) -> None:
    """Makes sure that each condition is a value, `{at_least: number}` or `{one_of: [values]}`.

    Raises:
        ValueError: for another one, with its key.
    """
    for key, wanted in where.items():
        match wanted:
            case str() | int() | float():
                continue
            case {"at_least": int() | float() as least} if len(wanted) == 1 and not isinstance(least, bool):
                continue
            case {"one_of": [*values]} if len(wanted) == 1 and all(isinstance(each, SCALARS) for each in values):
                continue
        raise ValueError(f"where.{key} is {wanted}, set a value, {{at_least: <number>}} or {{one_of: [<values>]}}")


def unmet(metadata: Mapping[str, Any], where: Mapping[str, Any]) -> str | None:
    """The first key whose value is not as a source wants it, or None.

    A value that is missing meets no condition; of a list, one that meets it is enough. Text that stands for a number
    counts as that number, as in CSV.
    """
    for key, wanted in where.items():
        value = metadata.get(key)
        if not any(_meets(each, wanted) for each in (value if isinstance(value, list) else [value])):
            return key
    return None


def _meets(value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, Mapping):
        return _equal(value, wanted)
    if ONE_OF in wanted:
        return any(_equal(value, each) for each in wanted[ONE_OF])
    number = _number(value)
    return number is not None and number >= wanted[AT_LEAST]


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted or str(value).lower() == str(wanted).lower()
    if isinstance(wanted, int | float):
        return _number(value) == wanted
    return value == wanted


def _number(value: Any) -> float | None:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            return None
    return None
