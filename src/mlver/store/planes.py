"""Numbers of one width, taken apart into planes of bytes: the first byte of each, then the second…

The bytes of a float are of several kinds: sign and exponent repeat, the low bits of the mantissa
are noise. Apart, each kind gets its own statistics. Pure Python on purpose: slices and long
integers run at hundreds of megabytes a second, and importing NumPy would cost more than most
commands take.
"""

from __future__ import annotations

from collections.abc import Iterator

Buffer = bytes | memoryview

WIDTHS = (2, 4, 8)
"""Bytes of an element. Data may end with a part of one."""


def split(data: Buffer, width: int) -> Iterator[bytes]:
    """The planes, one after the other; together as long as `data`."""
    whole = bytes(data)
    return (whole[place::width] for place in range(width))


def join(data: Buffer, width: int) -> bytes:
    """What was split into these planes, given one after the other."""
    joined = bytearray(len(data))
    start = 0
    for place in range(width):
        length = len(range(place, len(data), width))
        joined[place::width] = data[start : start + length]
        start += length
    return bytes(joined)


def xor(one: Buffer, other: Buffer) -> bytes:
    """Byte by byte; both are of the same length."""
    number = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return number.to_bytes(len(one), "little")
