"""Jupyter notebooks: cell by cell, by id; in older ones, which have none, by their source.

Counts of executions are none, as order of keys is none: they change whenever a cell is run.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any

from mlver.diff.options import Options
from mlver.diff.parameters import compare
from mlver.diff.rows import hashable
from mlver.formats import parameters
from mlver.formats.base import NotThisFormat, Source
from mlver.model.change import Cell, Change, FileDiff

_COLUMNS = ("cell_type", "source", "outputs", "metadata")
_MOST_CELLS = 10_000


def diff(old: Source, new: Source, old_name: str, new_name: str, options: Options) -> FileDiff:
    """What changed from `old` to `new`. Raises NotThisFormat."""
    before, after = read(old), read(new)
    cells_old, cells_new = ([cell_of(c) for c in book["cells"]] for book in (before, after))
    changes = []
    for a, b in _pairs(cells_old, cells_new):
        if a is None or b is None:
            cell = a or b
            assert cell is not None
            kind = "added" if a is None else "removed"
            changes.append(Change(kind, {"cell": cell["cell"]}, cell))
        else:
            parts = tuple(
                Cell(name, a[name], b[name])
                for name in _COLUMNS
                if name not in options.ignore and hashable(a[name]) != hashable(b[name])
            )
            if parts:
                changes.append(Change("modified", {"cell": b["cell"]}, b, parts))
    meta = [book.get("metadata", {}) for book in (before, after)]
    changes += compare(meta[0], meta[1], options, "metadata")
    moved = _moved(cells_old, cells_new)
    notes = (f"{moved:,} cells moved",) if moved else ()
    return FileDiff("notebook", ("cell",), "format", changes=tuple(changes), notes=notes)


def read(source: Source) -> dict[str, Any]:
    """The notebook; one without cells for an empty file. Raises NotThisFormat."""
    book = parameters.read(source, "x.json")
    if book is None:
        return {"cells": []}
    if not isinstance(book, dict) or not isinstance(book.get("cells"), list):
        raise NotThisFormat("it is no notebook", why="it has no cells (nbformat 4 has)")
    if len(book["cells"]) > _MOST_CELLS:
        raise NotThisFormat("it has too many cells", why=f"{len(book['cells']):,}")
    if not all(isinstance(cell, dict) for cell in book["cells"]):
        raise NotThisFormat("it is no notebook", why="a cell is no object")
    return book


def cell_of(cell: dict[str, Any]) -> dict[str, Any]:
    """What counts of a cell, with its id as `cell`."""
    return {
        "cell": cell.get("id") if isinstance(cell.get("id"), str) else None,
        "cell_type": cell.get("cell_type"),
        "source": _text(cell.get("source", "")),
        "outputs": [_output(output) for output in _list(cell.get("outputs"))],
        "metadata": cell.get("metadata", {}),
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value


def _output(output: Any) -> Any:
    if not isinstance(output, dict):
        return output
    found = {name: part for name, part in output.items() if name != "execution_count"}
    if "text" in found:
        found["text"] = _text(found["text"])
    if isinstance(found.get("data"), dict):
        found["data"] = {name: _text(part) for name, part in found["data"].items()}
    return found


_Cell = dict[str, Any]


def _pairs(old: list[_Cell], new: list[_Cell]) -> list[tuple[_Cell | None, _Cell | None]]:
    """Cells of one id, then those of one source, then what stands between the same neighbours."""
    ids = [{c["cell"]: c for c in side if c["cell"] is not None} for side in (old, new)]
    by_id = {name for name in ids[0] if name in ids[1]}
    unique = all(len(found) == len(side) for found, side in zip(ids, (old, new), strict=True))
    if unique:
        pairs: list[tuple[_Cell | None, _Cell | None]]
        pairs = [(ids[0].get(cell["cell"]), cell) for cell in new]
        return [*((cell, None) for cell in old if cell["cell"] not in by_id), *pairs]
    for side in (old, new):
        for number, cell in enumerate(side):
            cell["cell"] = f"#{number + 1}"
    sources = [[str(cell["source"]) for cell in side] for side in (old, new)]
    matcher = SequenceMatcher(None, sources[0], sources[1], autojunk=False)
    pairs = []
    for _, i, i_end, j, j_end in matcher.get_opcodes():
        both = min(i_end - i, j_end - j)
        pairs += zip(old[i : i + both], new[j : j + both], strict=True)
        pairs += [(cell, None) for cell in old[i + both : i_end]]
        pairs += [(None, cell) for cell in new[j + both : j_end]]
    return pairs


def _moved(old: list[_Cell], new: list[_Cell]) -> int:
    """Cells of both that do not follow one another as before."""
    there = {cell["cell"]: place for place, cell in enumerate(old)}
    order = [there[cell["cell"]] for cell in new if cell["cell"] in there]
    if order == sorted(order) or any(str(cell["cell"]).startswith("#") for cell in new):
        return 0
    matcher = SequenceMatcher(None, sorted(order), order, autojunk=False)
    return len(order) - sum(block.size for block in matcher.get_matching_blocks())
