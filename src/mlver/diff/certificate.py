"""A diff that proves its own completeness: the sum of a digest of every row, mod 2^128, of one
version and of the other differ by the digests of the rows that the changes name.

The sums are taken while all rows are read; what is checked is what will be shown, after pairing and
sorting. A change that was lost, made up or told with another value does not add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mlver.model.change import Change, Value

Digest = Callable[[tuple[Value, ...]], bytes]
_MODULUS = 1 << 128


def number(digest: bytes) -> int:
    """A row's digest as what is added up."""
    return int.from_bytes(digest, "little")


def adds_up(old: int, new: int, changes: Iterable[Change], digest: Digest) -> bool:
    """True where the changes lead from the sum `old` to the sum `new`."""
    total = old
    for change in changes:
        row = tuple(change.row.values())
        if change.kind != "removed":
            total += number(digest(row))
        if change.kind == "removed":
            total -= number(digest(row))
        elif change.kind == "modified":
            before = dict(change.row)
            before.update({cell.column: cell.old for cell in change.cells})
            total -= number(digest(tuple(before.values())))
    return (total - new) % _MODULUS == 0
