"""Jupyter notebooks: cell by cell, by id; in older ones, which have none, by their sources.

Within a cell, source, outputs and metadata are merged apart. Counts of executions are no change.
Outputs that both sides changed follow the source that was changed. The result is written in the
form of ours: its indent, order of names and escapes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mlver.diff import notebook as compared
from mlver.diff.rows import hashable
from mlver.diff.typed import ABSENT
from mlver.formats.base import NotThisFormat
from mlver.merge.base import Merged, Versions
from mlver.merge.notebook_cells import Cell, identified
from mlver.merge.options import Options
from mlver.merge.parameters import Walk
from mlver.model.change import Value
from mlver.model.conflict import Conflict

_PARTS = ("cell_type", "source", "outputs", "metadata", "attachments")


def merge(versions: Versions, name: str, options: Options) -> Merged:
    """The three versions merged. Raises NotThisFormat."""
    if not versions.ours.size or not versions.theirs.size:
        raise NotThisFormat("one side emptied the file")
    books = [compared.read(source) for source in versions]
    cells = identified([book["cells"] for book in books])
    work = _Merge(cells, options)
    merged_cells = work.cells()
    walk = Walk(options)
    rest = [{k: v for k, v in book.items() if k != "cells"} for book in books]
    around = walk.value((), *(rest if versions.base.size else ({}, *rest[1:])))
    book = {k: merged_cells if k == "cells" else around.get(k) for k in _names(books[1], around)}
    data = versions.ours.read(0, versions.ours.size)
    conflicts = (*work.conflicts, *walk.conflicts)
    return Merged("notebook", [_written(book, data)], conflicts, ("cell",), "format")


def _names(ours: dict[str, Any], around: dict[str, Any]) -> list[str]:
    names = [name for name in ours if name == "cells" or name in around]
    return [*names, *(name for name in around if name not in names)]


def _written(book: dict[str, Any], ours: bytes) -> bytes:
    """The book in the form of ours."""
    text = ours.decode("utf-8-sig")
    second = text[text.find("\n") + 1 :] if "\n" in text.strip() else ""
    indent = len(second) - len(second.lstrip(" ")) if second else None
    names = list(json.loads(text))
    made = json.dumps(
        book,
        indent=indent,
        ensure_ascii=text.isascii() and "\\u" in text,
        sort_keys=names == sorted(names),
        separators=(",", ": ") if indent is not None or '": ' in text else (",", ":"),
    )
    return (made + ("\n" if text.endswith("\n") else "")).encode("utf-8", "surrogatepass")


class _Merge:
    """The cells of three notebooks, by their names."""

    def __init__(self, cells: Sequence[Sequence[Cell]], options: Options) -> None:
        self._sides = [{cell.name: cell for cell in side} for side in cells]
        self._orders = [[cell.name for cell in side] for side in cells]
        self._options = options
        self.conflicts: list[Conflict] = []

    def cells(self) -> list[dict[str, Any]]:
        """The merged cells: ours' order, what theirs put in behind the cell that it follows."""
        order = list(self._orders[1])
        before: str | None = None
        for name in self._orders[2]:
            if name not in order:
                if name in self._sides[0] and not self._stands(name):
                    continue
                at = order.index(before) + 1 if before in order else 0
                while at < len(order) and order[at] not in {*self._sides[0], *self._sides[2]}:
                    at += 1
                order.insert(at, name)
            before = name
        made = [self._cell(name) for name in order]
        return [cell for cell in made if cell is not None]

    def _stands(self, name: str) -> bool:
        """Whether a cell that ours deleted, and theirs has, is of any matter."""
        base, _, theirs = self._three(name)
        return not _same(base, theirs)

    def _three(self, name: str) -> tuple[Value, Value, Value]:
        base, ours, theirs = (side.get(name) for side in self._sides)
        return tuple([ABSENT if c is None else c.value for c in (base, ours, theirs)])  # type: ignore[return-value]

    def _cell(self, name: str) -> dict[str, Any] | None:
        raw = [None if cell is None else cell.raw for cell in (s.get(name) for s in self._sides)]
        base, ours, theirs = self._three(name)
        if _same(ours, theirs) or _same(base, theirs):
            return raw[1]
        if _same(base, ours):
            return raw[2]
        if base is ABSENT or ours is ABSENT or theirs is ABSENT:
            chosen = self._decided(name, None, (base, ours, theirs))
            return raw[("base", "ours", "theirs").index(chosen)]
        return self._parts(name, raw, (base, ours, theirs))

    def _parts(
        self, name: str, raw: Sequence[dict[str, Any] | None], values: tuple[Value, Value, Value]
    ) -> dict[str, Any]:
        base, ours, theirs = values
        made = dict(raw[1] or {})
        for part in _PARTS:
            x, y, z = (value.get(part, ABSENT) for value in (base, ours, theirs))
            side = 1
            if not (_same(y, z) or _same(x, z)):
                if _same(x, y):
                    side = 2
                elif part == "outputs" and (follows := _follows(values)) is not None:
                    side = follows
                elif part == "metadata":
                    made[part] = self._metadata(name, (x, y, z))
                    continue
                else:
                    side = ("base", "ours", "theirs").index(self._decided(name, part, (x, y, z)))
            self._take(made, raw[side] or {}, part, side)
        return made

    @staticmethod
    def _take(made: dict[str, Any], source: dict[str, Any], part: str, side: int) -> None:
        if side == 1:
            return
        names = (part, "execution_count") if part == "outputs" else (part,)
        for name in names:
            if name in source:
                made[name] = source[name]
            else:
                made.pop(name, None)

    def _metadata(self, name: str, values: tuple[Value, Value, Value]) -> Value:
        def told(conflict: Conflict) -> Conflict:
            column = f"metadata.{conflict.key['path']}"
            return conflict._replace(kind="notebook-cell", key={"cell": name}, column=column)

        walk = Walk(self._options, told)
        found = walk.value((), *values)
        self.conflicts += walk.conflicts
        return found

    def _decided(self, name: str, part: str | None, values: tuple[Value, Value, Value]) -> str:
        sides = dict(zip(("base", "ours", "theirs"), values, strict=True))
        absent = tuple([side for side, value in sides.items() if value is ABSENT])
        shown = {side: None if value is ABSENT else value for side, value in sides.items()}
        conflict = Conflict("notebook-cell", {"cell": name}, part, **shown, absent=absent)
        choice = self._options.choice(conflict)
        if choice is None or choice.side is None:
            self.conflicts.append(conflict)
            return "ours"
        return choice.side


def _follows(values: tuple[Value, Value, Value]) -> int | None:
    """The side that alone changed the source."""
    base, ours, theirs = (value.get("source") for value in values)
    if (ours == base) == (theirs == base):
        return None
    return 2 if ours == base else 1


def _same(a: Value, b: Value) -> bool:
    if a is ABSENT or b is ABSENT:
        return a is b
    return bool(hashable(a) == hashable(b))
