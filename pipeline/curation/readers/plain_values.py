"""Turns what parsers give for the values of a table into what JSON has, so that any column can be stored."""

import base64
import datetime
import decimal
import math
import re
import uuid
from typing import Any

DEEPEST = 100
"""Levels of lists and objects in a value. orjson reads 1,024 but writes 254 only."""
INTEGERS = range(-(2**63), 2**64)
"""What orjson reads and writes as integers. It reads larger ones as floating-point numbers."""
SURROGATE = re.compile("[\ud800-\udfff]")


class BadValueError(ValueError):
    """A value for which a row cannot be a document; the message is the reason for the quarantine."""


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON has it.

    Dates and times become ISO 8601, durations seconds, decimals the text of their digits, bytes UTF-8 text or else
    base64, numbers that are none null, and halves of a surrogate pair U+FFFD. What is no data, such as a decoded image,
    becomes null.

    Args:
        value: of a row from JSON, Arrow or `datasets`.
        depth: levels above it.

    Raises:
        BadValueError: for a value that is nested too deep.
    """
    match value:
        case None | bool():
            return value
        case str():
            return _without_surrogates(value)
        case int():
            return value if value in INTEGERS else _finite(value)
        case float():
            return _finite(value)
        case bytes() | bytearray() | memoryview():
            return _text(bytes(value))
        case decimal.Decimal() | uuid.UUID():
            return str(value)
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta():
            return value.total_seconds()
    if depth >= DEEPEST:
        raise BadValueError("nested_too_deep")
    match value:
        case dict():
            return {plain(str(key)): plain(each, depth + 1) for key, each in value.items()}
        case list() | tuple():
            return [plain(each, depth + 1) for each in value]
    return None


def _without_surrogates(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return SURROGATE.sub("\ufffd", text)
    return text


def _finite(number: float) -> float | None:
    try:
        number = float(number)
    except OverflowError:  # an integer of more than 308 digits
        return None
    return number if math.isfinite(number) else None


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return base64.b64encode(content).decode()
