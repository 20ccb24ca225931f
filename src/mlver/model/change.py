"""What changed between two versions of a file: values, no text. Renderers make text of them.

A cell's value is a JSON scalar, or a list or object of them for formats that nest; in a text table
it is the cell's text as written. `docs/schema/diff.json` is the shape for programs; members are
added, never taken away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Value = Any
"""A JSON value. Floats may be NaN or infinite: the JSON renderer writes those as strings."""


class Cell(NamedTuple):
    """One value of a row that is another now."""

    column: str
    old: Value
    new: Value


class Change(NamedTuple):
    """One row, tensor, parameter or notebook cell. `kind`: added, removed or modified.

    `key` names it; `row` holds all of it (the new one, or the old one where it was removed);
    `cells` is empty unless it was modified. `ambiguous`: its key stands more than once on a side
    among what changed, so that it could not be paired.
    """

    kind: str
    key: Mapping[str, Value]
    row: Mapping[str, Value]
    cells: tuple[Cell, ...] = ()
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns that came, went, were renamed (old, new) or have another type (name, old, new)."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    retyped: tuple[tuple[str, str, str], ...] = ()
    reordered: bool = False

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.renamed or self.retyped)


class RowCounts(NamedTuple):
    """Rows of either version, and of what kind the changes are. `added` and `removed` hold the
    ambiguous ones too."""

    old: int
    new: int
    added: int
    removed: int
    modified: int
    ambiguous: int


class TensorChange(NamedTuple):
    """A tensor whose values are others. `max_abs` and `rel_l2` (the norm of the difference by that
    of the old values): None where they were not computed, or the shape changed."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    max_abs: float | None = None
    rel_l2: float | None = None
    old_dtype: str = ""
    old_shape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Tensors:
    """Tensors by name."""

    added: tuple[TensorChange, ...] = ()
    removed: tuple[TensorChange, ...] = ()
    modified: tuple[TensorChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.modified)


@dataclass(frozen=True, slots=True)
class FileDiff:
    """All that changed in one file.

    `key_source`: attribute, option, config, inferred, or None where rows have no key. `method`:
    `recipes` where only changed chunks were read, `full` otherwise. `notes`: what a person should
    know, such as why a file was taken as opaque.
    """

    format: str
    key: tuple[str, ...] = ()
    key_source: str | None = None
    columns: Columns = field(default_factory=Columns)
    rows: RowCounts | None = None
    changes: tuple[Change, ...] = ()
    tensors: Tensors = field(default_factory=Tensors)
    truncated: bool = False
    method: str = "full"
    certificate: str = "unavailable"
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True where the versions say the same, if in other bytes."""
        return not (self.changes or self.columns or self.tensors)
