"""The inputs of the benchmark, made from a fixed seed: the same bytes on every machine.

Random content comes from the raw 64-bit output of PCG64, which NumPy promises never to change
(the distributions built on top of it may). The table is built as a matrix of bytes, a block of
rows at a time, with unused places left 0 and dropped at the end: a CSV writer that formats cell
by cell would take minutes for three million rows, and this takes seconds.

Every file gets a fixed modification time well in the past. Git compares that time with the time
of its index to the second, and reads a file again when it cannot tell them apart: files made just
before the benchmark would measure that doubt.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SEED = 20_240_101
LARGE_BYTES = 1 << 30
SMALL_FILES = 10_000
SMALL_BYTES = 10 * 1024
CSV_ROWS = 3_000_000
CSV_CHANGED_ROWS = 151
BLOCK_ROWS = 100_000
BLOCK_WORDS = 1 << 20
OLD_TIME = 1_704_067_200
"""2024-01-01T00:00:00Z, in seconds."""

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

HEADER = (
    b"id,customer,ordered,country,category,price,quantity,score,latitude,longitude,session,status\n"
)
COUNTRIES = ("DE", "FR", "US", "GB", "IN", "JP", "BR", "KE", "AU", "CA", "SE", "ZA", "MX", "KR")
CATEGORIES = (
    "electronics", "books", "groceries", "furniture", "clothing", "toys", "garden", "sports",
    "stationery", "automotive", "music", "health",
)  # fmt: skip
STATUSES = ("paid", "paid", "paid", "open", "sent", "void", "")


def large_file(path: Path, scale: float) -> Path:
    """One file of random bytes, 1 GiB at scale 1: nothing to compress, nothing to deduplicate."""
    source = np.random.PCG64(SEED)
    words = max(1, round(LARGE_BYTES * scale)) // 8
    with path.open("wb") as out:
        for start in range(0, words, BLOCK_WORDS):
            out.write(source.random_raw(min(BLOCK_WORDS, words - start)).tobytes())
    return _aged(path, OLD_TIME)


def small_files(folder: Path, scale: float) -> Path:
    """A folder of random files of 10 KiB each, 10,000 at scale 1, in subfolders of 1,000."""
    source = np.random.PCG64(SEED + 1)
    for number in range(max(1, round(SMALL_FILES * scale))):
        path = folder / f"part{number // 1000:03d}" / f"item{number:06d}.bin"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(source.random_raw(SMALL_BYTES // 8).tobytes())
        _aged(path, OLD_TIME)
    return folder


def table(path: Path, scale: float, version: int) -> Path:
    """The table, 309 MB and 3M rows at scale 1. Version 2 has another price in 151 of the rows.

    The changed rows are spread evenly, and the new price may be shorter or longer than the old
    one: what follows moves.
    """
    rows = max(CSV_CHANGED_ROWS, round(CSV_ROWS * scale))
    with path.open("wb") as out:
        out.write(HEADER)
        for block in _table_blocks(rows, changed=version == 2):
            out.write(block)
    return _aged(path, OLD_TIME + version)


def _table_blocks(rows: int, *, changed: bool) -> Iterator[bytes]:
    source = np.random.PCG64(SEED + 2)
    edited = np.arange(CSV_CHANGED_ROWS) * rows // CSV_CHANGED_ROWS
    for start in range(0, rows, BLOCK_ROWS):
        count = min(BLOCK_ROWS, rows - start)
        words = source.random_raw(count * 8).reshape(8, count).astype(np.uint64)
        inside = edited[(edited >= start) & (edited < start + count)] - start
        matrix = _rows(start, words, inside if changed else inside[:0])
        yield matrix[matrix != 0].tobytes()


def _rows(start: int, words: Words, edited: NDArray[np.int64]) -> Bytes:
    """The bytes of a block of rows, 0 where a place is unused. `words`: 8 random words a row."""
    count = words.shape[1]
    number = np.arange(start, start + count, dtype=np.uint64)
    price = _long_tailed(words[0])
    price[edited] += 777
    cells = [
        _integer(number + 1),
        np.hstack([_constant(b"C", count), _digits(words[1] % 600_000_000, 9)]),
        _date(number // 2400 + words[2] % 60),
        _choice(COUNTRIES, words[2] >> 8),
        _choice(CATEGORIES, words[3]),
        _decimal(price, 2),
        _integer(1 + words[3] // 64 % 12),
        _decimal(words[4] % 100_000_000, 8),
        _signed(words[5], 90_000_000),
        _signed(words[6], 180_000_000),
        _hexadecimal(words[7], 16),
        _choice(STATUSES, words[4] >> 32),
    ]
    parts: list[Bytes] = []
    for position, cell in enumerate(cells):
        parts += [cell, _constant(b"\n" if position == len(cells) - 1 else b",", count)]
    return np.hstack(parts)


def _long_tailed(words: Words) -> Words:
    """Prices in cents: most of them small, some large."""
    share = (words >> 40).astype(np.float64) / (1 << 24)
    cents: Words = (99 + 120_000 * share**4).astype(np.uint64)
    return cents


def _constant(text: bytes, count: int) -> Bytes:
    return np.tile(np.frombuffer(text, np.uint8), (count, 1))


def _digits(values: Words, width: int) -> Bytes:
    """Each value in decimal, with leading zeros, in `width` places."""
    places = np.empty((values.size, width), np.uint8)
    for place in range(width - 1, -1, -1):
        places[:, place] = values % 10 + ord("0")
        values = values // 10
    return places


def _integer(values: Words) -> Bytes:
    """Each value in decimal, without leading zeros."""
    width = len(str(int(values.max())))
    places = _digits(values, width)
    limits = 10 ** np.arange(width - 1, 0, -1, dtype=np.uint64)
    places[:, :-1][values[:, None] < limits] = 0
    return places


def _decimal(values: Words, places: int) -> Bytes:
    """Each value divided by 10**places, with all the decimals."""
    unit = np.uint64(10**places)
    point = _constant(b".", values.size)
    return np.hstack([_integer(values // unit), point, _digits(values % unit, places)])


def _signed(words: Words, limit: int) -> Bytes:
    """Degrees, positive or negative, with six decimals."""
    sign = np.where(words >> 63, ord("-"), 0).astype(np.uint8)
    return np.hstack([sign[:, None], _decimal(words % limit, 6)])


def _choice(texts: tuple[str, ...], words: Words) -> Bytes:
    width = max(len(text) for text in texts)
    joined = b"".join(text.encode().ljust(width, b"\0") for text in texts)
    lines = np.frombuffer(joined, np.uint8).reshape(len(texts), width)
    chosen: Bytes = lines[words % len(texts)]
    return chosen


def _hexadecimal(words: Words, width: int) -> Bytes:
    alphabet = np.frombuffer(b"0123456789abcdef", np.uint8)
    shifts = np.arange(width, dtype=np.uint64) * 4
    chosen: Bytes = alphabet[(words[:, None] >> shifts) & 15]
    return chosen


def _date(days: Words) -> Bytes:
    """2021-01-01 and so many days, as text."""
    moments = np.datetime64("2021-01-01", "D") + days.astype("timedelta64[D]")
    months = moments.astype("datetime64[M]")
    month = months.astype(np.int64)
    day = (moments - months.astype("datetime64[D]")).astype(np.int64) + 1
    dash = _constant(b"-", days.size)
    year = _digits((1970 + month // 12).astype(np.uint64), 4)
    month_of_year = _digits((month % 12 + 1).astype(np.uint64), 2)
    return np.hstack([year, dash, month_of_year, dash, _digits(day.astype(np.uint64), 2)])


def _aged(path: Path, seconds: int) -> Path:
    os.utime(path, (seconds, seconds))
    return path
