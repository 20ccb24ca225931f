"""Tensors by name: those that came, went, and whose values, type or shape are others.

Two tensors of one type and shape are the same where their bytes are. Bytes in pieces with equal
ids (chunks of the store, at the same distance from the tensor's start) are equal without being
read. How far values moved costs a look at every number, so it is computed up to a bound of numbers
in all, or with `--all` for all.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Mapping, Sequence
from operator import mul
from typing import NamedTuple

from mlver.diff.options import Options
from mlver.formats.base import Piece, Source
from mlver.formats.numeric import WIDTH, values
from mlver.formats.tensors import Tensor
from mlver.model.change import Cell, Change, TensorChange, Tensors

_BLOCK = 1024 * 1024
_MOST_NUMBERS = 4_000_000
"""Numbers of changed tensors that are looked at."""


class Compared(NamedTuple):
    """The tensors that differ, the same as changes, and notes."""

    tensors: Tensors
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def compare(old: Mapping[str, Tensor], new: Mapping[str, Tensor], options: Options) -> Compared:
    """What changed between two sets of tensors."""
    added = [_alone(new[name]) for name in new if name not in old]
    removed = [_alone(old[name]) for name in old if name not in new]
    modified: list[TensorChange] = []
    left = math.inf if options.thorough else _MOST_NUMBERS
    skipped, unread = 0, 0
    for name, tensor in new.items():
        before = old.get(name)
        if before is None or name in options.ignore:
            continue
        unread += tensor.source is None
        if same(before, tensor):
            continue
        change = TensorChange(
            name, tensor.dtype, tensor.shape, None, None, before.dtype, before.shape
        )
        if before.shape == tensor.shape and _is_numeric(before) and _is_numeric(tensor):
            count = math.prod(tensor.shape)
            if count <= left:
                left -= count
                moved = _moved(before, tensor)
                if before.dtype == tensor.dtype and _is_near(moved, options):
                    continue
                change = change._replace(max_abs=moved.max_abs, rel_l2=moved.rel_l2)
            else:
                skipped += 1
        modified.append(change)
    notes = []
    if skipped:
        notes.append(f"how far {skipped:,} large tensors moved is not computed: --all does it")
    if unread:
        notes.append(f"the values of {unread:,} tensors are not in this file, or no plain numbers")
    tensors = Tensors(tuple(added), tuple(removed), tuple(modified))
    return Compared(tensors, tuple(as_changes(tensors)), tuple(notes))


def _alone(tensor: Tensor) -> TensorChange:
    return TensorChange(tensor.name, tensor.dtype, tensor.shape)


def as_changes(tensors: Tensors) -> Iterator[Change]:
    """The same, one change a tensor."""
    for kind in ("removed", "modified", "added"):
        for item in getattr(tensors, kind):
            row = {"tensor": item.name, "dtype": item.dtype, "shape": list(item.shape)}
            cells = []
            if item.old_shape is not None:
                if item.old_dtype != item.dtype:
                    cells.append(Cell("dtype", item.old_dtype, item.dtype))
                if item.old_shape != item.shape:
                    cells.append(Cell("shape", list(item.old_shape), list(item.shape)))
            yield Change(kind, {"tensor": item.name}, row, tuple(cells))


def _is_numeric(tensor: Tensor) -> bool:
    return tensor.source is not None and tensor.dtype in WIDTH


def same(old: Tensor, new: Tensor) -> bool:
    """True where type, shape and bytes are; bytes are read last, up to the first other block."""
    if (old.dtype, old.shape) != (new.dtype, new.shape):
        return False
    if old.source is None or new.source is None:
        return old.source is new.source and old.layout == new.layout
    if (old.layout, old.big) != (new.layout, new.big) or old.length != new.length:
        return False
    return same_bytes(old.source, old.offset, new.source, new.offset, new.length)


def same_bytes(old: Source, at: int, new: Source, to: int, length: int) -> bool:
    """True where both ranges hold the same; what equal pieces cover is not read."""
    for start, end in _unproven(old, at, new, to, length):
        while start < end:
            size = min(_BLOCK, end - start)
            if old.read(at + start, size) != new.read(to + start, size):
                return False
            start += size
    return True


def _unproven(old: Source, at: int, new: Source, to: int, length: int) -> Iterator[tuple[int, int]]:
    """Parts of the range that no equal piece covers."""
    if not (getattr(old, "is_cut", False) and getattr(new, "is_cut", False)):
        yield 0, length
        return
    there = _by_start(new)
    done = 0
    for piece in _overlapping(old, at, length):
        other = there.get(piece.offset - at + to)
        if other == (piece.id, piece.length):
            start, end = piece.offset - at, piece.offset - at + piece.length
            if start > done:
                yield done, min(start, length)
            done = max(done, end)
    if done < length:
        yield done, length


_starts: dict[int, tuple[Source, dict[int, tuple[bytes, int]]]] = {}


def _by_start(source: Source) -> dict[int, tuple[bytes, int]]:
    """Offset → (id, length) of its pieces; made once for the source asked last."""
    kept = _starts.get(0)
    if kept is None or kept[0] is not source:
        kept = source, {piece.offset: (piece.id, piece.length) for piece in source.pieces()}
        _starts[0] = kept
    return kept[1]


def _overlapping(source: Source, at: int, length: int) -> Iterator[Piece]:
    pieces = source.pieces()
    first = bisect.bisect_right(pieces, at, key=lambda piece: piece.offset) - 1
    for place in range(max(0, first), len(pieces)):
        if pieces[place].offset >= at + length:
            return
        yield pieces[place]


class _Moved(NamedTuple):
    max_abs: float | None
    rel_l2: float | None
    is_nan: bool


def _moved(old: Tensor, new: Tensor) -> _Moved:
    """How far the values moved, the largest step and the whole by its norm; None where it is no
    number, because a value became NaN or infinite."""
    largest, squares, norm = 0.0, 0.0, 0.0
    finite = True
    for a, b in _blocks(old, new):
        norm += sum(map(mul, a, a))
        if b is None:
            continue
        steps = [x - y if x == x or y == y else 0.0 for x, y in zip(b, a, strict=True)]
        for place, step in enumerate(steps):
            if not math.isfinite(step):
                same = b[place] == a[place]  # both infinite
                finite = finite and same
                steps[place] = 0.0
        largest = max(largest, max(map(abs, steps)))
        squares += sum(map(mul, steps, steps))
    if not finite:
        return _Moved(None, None, True)
    relative = math.sqrt(squares / norm) if norm > 0 and math.isfinite(norm) else None
    return _Moved(float(largest), 0.0 if not squares else relative, False)


def _blocks(old: Tensor, new: Tensor) -> Iterator[tuple[Sequence[float], Sequence[float] | None]]:
    """Numbers of both, block by block; None for the new ones that are written as the old ones."""
    assert old.source is not None and new.source is not None
    count, done = math.prod(new.shape), 0
    while done < count:
        size = min(65536, count - done)
        widths = WIDTH[old.dtype], WIDTH[new.dtype]
        a = old.source.read(old.offset + done * widths[0], size * widths[0])
        b = new.source.read(new.offset + done * widths[1], size * widths[1])
        same = a == b and (old.dtype, old.big) == (new.dtype, new.big)
        yield (
            values(old.dtype, a, big=old.big),
            None if same else values(new.dtype, b, big=new.big),
        )
        done += size


def _is_near(moved: _Moved, options: Options) -> bool:
    """Within the tolerance, as far as the largest step tells it: the relative one by the norm."""
    bounds = options.tolerance
    if moved.is_nan or moved.max_abs is None:
        return False
    if moved.max_abs == 0.0:
        return True  # NaN written in other bits, -0.0 for 0.0
    near = bounds.absolute > 0 and moved.max_abs <= bounds.absolute
    return near or (bounds.relative > 0 and (moved.rel_l2 or math.inf) <= bounds.relative)
