"""Numbers of tensors from their bytes, by the standard library alone. Types are called as
safetensors calls them, whatever format they come from."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Sequence
from functools import cache
from struct import unpack

WIDTH = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
"""Bytes of one value. Types that are not here (packed ones, strings, objects) are compared as bytes
alone."""

_CODES = {
    "BOOL": "B", "U8": "B", "I8": "b", "I16": "h", "U16": "H",
    "I32": "i", "U32": "I", "I64": "q", "U64": "Q", "F32": "f", "F64": "d",
}  # fmt: skip


def values(dtype: str, data: bytes, *, big: bool = False) -> Sequence[float]:
    """The numbers that these bytes are. `dtype` is one of WIDTH, `data` a whole number of them."""
    if dtype == "F16":
        return unpack(f"{'>' if big else '<'}{len(data) // 2}e", data)
    if dtype == "BF16":
        return _bf16(data, big)
    if dtype.startswith("F8"):
        table = _float8(dtype)
        return [table[byte] for byte in data]
    found: array[float] = array(_CODES[dtype])
    found.frombytes(data)
    if found.itemsize > 1 and big != (sys.byteorder == "big"):
        found.byteswap()
    return found


def _bf16(data: bytes, big: bool) -> Sequence[float]:
    """The upper halves of 32-bit floats."""
    wide = bytearray(len(data) * 2)
    high, low = (0, 1) if big else (1, 0)
    wide[3::4], wide[2::4] = data[high::2], data[low::2]
    return unpack(f"<{len(data) // 2}f", wide)


@cache
def _float8(dtype: str) -> tuple[float, ...]:
    return tuple(_one_float8(byte, dtype) for byte in range(256))


def _one_float8(byte: int, dtype: str) -> float:
    """OCP 8-bit floats: E4M3 has no infinity, E5M2 is as IEEE."""
    bits = 3 if dtype == "F8_E4M3" else 2
    exponent, fraction = (byte & 0x7F) >> bits, byte & ((1 << bits) - 1)
    bias, top = (7, 15) if bits == 3 else (15, 31)
    sign = -1.0 if byte & 0x80 else 1.0
    if bits == 3 and exponent == top and fraction == 7:
        return math.nan
    if bits == 2 and exponent == top:
        return sign * math.inf if fraction == 0 else math.nan
    part = fraction / (1 << bits)
    if exponent == 0:
        return float(sign * part * 2.0 ** (1 - bias))
    return float(sign * (1 + part) * 2.0 ** (exponent - bias))
