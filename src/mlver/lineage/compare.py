"""Two contents of one file: the same numbers within a tolerance, or where they differ.

Understood are JSON, and tensors as NumPy (.npy) and safetensors write them; anything else is equal
or it is not. Nothing is unpickled. `None` for what cannot be told; floats are compared as numpy's
isclose does: |new - old| <= atol + rtol * |old|.
"""

from __future__ import annotations

import ast
import json
import math
import struct
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

LIMIT = 256 << 20
"""Bytes; larger files are not compared number by number."""
_MOST = 20
_FLOATS = {"F64": "d", "F32": "f", "<f8": "d", "<f4": "f"}
_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "<f8": 8, "<f4": 4, "<f2": 2}


class Compared(NamedTuple):
    """`within`: no number differs by more than the tolerance. `differences`: where, in words."""

    within: bool
    differences: list[str]


class Tolerance(NamedTuple):
    rtol: float = 1e-5
    atol: float = 1e-8

    def holds(self, old: float, new: float) -> bool:
        if old == new or (math.isnan(old) and math.isnan(new)):
            return True
        if math.isinf(old) or math.isinf(new):
            return False
        return abs(new - old) <= self.atol + self.rtol * abs(old)


def compare(path: str, old: bytes, new: bytes, tolerance: Tolerance) -> Compared | None:
    """Compare by the file's type; None for one that is not understood, or cannot be read."""
    try:
        if path.endswith(".json"):
            return compare_values(json.loads(old), json.loads(new), tolerance)
        if path.endswith(".npy"):
            return _tensors({"": _npy(old)}, {"": _npy(new)}, tolerance)
        if path.endswith(".safetensors"):
            return _tensors(_safetensors(old), _safetensors(new), tolerance)
        if path.endswith((".txt", ".csv", ".md", ".log", ".yaml", ".toml")):
            return Compared(False, _text(old, new))
    except (ValueError, KeyError, TypeError, RecursionError, struct.error, SyntaxError):
        return None
    return None


def compare_values(old: Any, new: Any, tolerance: Tolerance) -> Compared:
    """JSON values: objects by their names, lists by position, numbers within the tolerance."""
    found = []
    for where, why in _values("", old, new, tolerance):
        found.append(f"{where or 'the whole'}: {why}")
        if len(found) >= _MOST:
            break
    return Compared(not found, found)


def _values(where: str, old: Any, new: Any, tolerance: Tolerance) -> Iterator[tuple[str, str]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            inner = f"{where}.{name}" if where else str(name)
            if name not in old or name not in new:
                yield inner, "only now" if name in new else "only then"
            else:
                yield from _values(inner, old[name], new[name], tolerance)
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield where, f"{len(old)} items then, {len(new)} now"
        for at, (before, after) in enumerate(zip(old, new, strict=False)):
            yield from _values(f"{where}[{at}]", before, after, tolerance)
    elif _is_number(old) and _is_number(new):
        if not tolerance.holds(old, new):
            yield where, f"{old!r} then, {new!r} now"
    elif old != new or type(old) is not type(new):
        yield where, f"{json.dumps(old)[:60]} then, {json.dumps(new)[:60]} now"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Tensor(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    data: memoryview


def _npy(data: bytes) -> _Tensor:
    if data[:6] != b"\x93NUMPY":
        raise ValueError("no .npy")
    size = 2 if data[6] == 1 else 4
    length = int.from_bytes(data[8 : 8 + size], "little")
    start = 8 + size + length
    head = ast.literal_eval(data[8 + size : start].decode("latin-1").strip())
    order = "F" if head["fortran_order"] else ""
    shape = tuple(map(int, head["shape"]))
    return _Tensor(str(head["descr"]) + order, shape, memoryview(data)[start:])


def _safetensors(data: bytes) -> dict[str, _Tensor]:
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        raise ValueError("no safetensors")
    body = memoryview(data)[8 + length :]
    found = {}
    for name, row in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            start, end = row["data_offsets"]
            found[name] = _Tensor(str(row["dtype"]), tuple(row["shape"]), body[start:end])
    return found


def _tensors(
    old: dict[str, _Tensor], new: dict[str, _Tensor], tolerance: Tolerance
) -> Compared | None:
    found = []
    for name in sorted(old.keys() | new.keys()):
        label = name or "the array"
        if name not in old or name not in new:
            found.append(f"{label}: {'only now' if name in new else 'only then'}")
            continue
        before, after = old[name], new[name]
        if (before.dtype, before.shape) != (after.dtype, after.shape):
            found.append(
                f"{label}: {before.dtype}{list(before.shape)} then,"
                f" {after.dtype}{list(after.shape)} now"
            )
        elif before.data != after.data:
            why = _numbers(before, after, tolerance)
            if why:
                found.append(f"{label}: {why}")
    return Compared(not found, found[:_MOST])


def _numbers(old: _Tensor, new: _Tensor, tolerance: Tolerance) -> str:
    """Why two tensors of one type and shape are not within the tolerance; "" where they are."""
    dtype = old.dtype.removesuffix("F") if old.dtype.startswith("<") else old.dtype
    if dtype not in _SIZES or len(old.data) != len(new.data) or len(old.data) > LIMIT:
        return f"{dtype} values differ"
    count, worst = 0, 0.0
    for before, after in zip(_floats(dtype, old.data), _floats(dtype, new.data), strict=True):
        if not tolerance.holds(before, after):
            count += 1
            worst = max(worst, abs(after - before))
    total = len(old.data) // _SIZES[dtype]
    return f"{count} of {total} values differ, by at most {worst:.3g}" if count else ""


def _floats(dtype: str, data: memoryview) -> Sequence[float]:
    if dtype in _FLOATS:
        values = array(_FLOATS[dtype])
        values.frombytes(data)
        return values
    if dtype == "BF16":  # the upper half of a float32
        wide = bytearray(2 * len(data))
        wide[2::4], wide[3::4] = data[0::2], data[1::2]
        return _floats("F32", memoryview(wide))
    return struct.unpack(f"<{len(data) // 2}e", data)


def _text(old: bytes, new: bytes) -> list[str]:
    import difflib

    if max(len(old), len(new)) > 1 << 20:
        return []
    lines = difflib.unified_diff(
        old.decode("utf-8", "replace").splitlines(),
        new.decode("utf-8", "replace").splitlines(),
        "then", "now", lineterm="", n=1,
    )  # fmt: skip
    return [line for line, _ in zip(lines, range(_MOST), strict=False)]
