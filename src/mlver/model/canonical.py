"""Canonical JSON (RFC 8785): one value, one text, so that equal records are equal bytes.

Members are sorted by their names' UTF-16 units, numbers are written as ECMAScript writes them,
strings escape only what must be. NaN and infinities have no JSON, and no canonical form.
"""

from __future__ import annotations

import json
from typing import Any

_SAFE = 2**53
_LARGEST = 10**21
_quoted = json.JSONEncoder(ensure_ascii=False).encode


def encode(value: Any) -> bytes:
    """UTF-8 of the value's one canonical text. Raises ValueError for what JSON cannot hold: NaN,
    infinities, integers that no double shows, lone surrogates, members that are not strings."""
    return _text(value).encode("utf-8")


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int):
        if abs(value) <= _SAFE:
            return str(value)
        if abs(value) > _LARGEST or number(float(value)) != str(value):
            raise ValueError("an integer is larger than JSON's numbers hold exactly")
        return str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise ValueError("a member's name is a string")
        names = sorted(value, key=_utf16)
        return "{" + ",".join(f"{_quoted(name)}:{_text(value[name])}" for name in names) + "}"
    raise ValueError(f"{type(value).__name__} has no JSON form")


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def number(value: float) -> str:
    """A float as ECMAScript's Number::toString writes it: `1`, `0.1`, `1e+21`, `1e-7`."""
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("NaN and infinities have no JSON form")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)  # where the decimal point is, from the digits' start
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0") or "0"
    return sign + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    power = point - 1
    head = digits if count == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{head}e{'+' if power > 0 else '-'}{abs(power)}"
