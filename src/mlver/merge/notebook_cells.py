"""The cells of three versions of a notebook, each under a name that it has in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from mlver.diff import notebook as compared


class Cell(NamedTuple):
    """`value`: what counts of it; `raw`: all of it as it stands in the file."""

    name: str
    value: dict[str, Any]
    raw: dict[str, Any]


def identified(versions: Sequence[list[dict[str, Any]]]) -> list[list[Cell]]:
    """Base's, ours' and theirs' cells: by id where all have one, else by what they follow from."""
    sides = [[_value(cell) for cell in cells] for cells in versions]
    ids = [[cell.get("id") for cell in cells] for cells in versions]
    if all(all(isinstance(i, str) for i in side) and len({*side}) == len(side) for side in ids):
        names: list[list[str]] = [[str(i) for i in side] for side in ids]
    else:
        base = [f"#{number + 1}" for number in range(len(versions[0]))]
        names = [base, *(_matched(base, sides[0], side) for side in sides[1:])]
    return [
        [Cell(*item) for item in zip(names[n], sides[n], versions[n], strict=True)]
        for n in range(3)
    ]


def _value(cell: dict[str, Any]) -> dict[str, Any]:
    found = compared.cell_of(cell)
    del found["cell"]
    if "attachments" in cell:
        found["attachments"] = cell["attachments"]
    return found


def _matched(
    names: Sequence[str], base: Sequence[dict[str, Any]], side: Sequence[dict[str, Any]]
) -> list[str]:
    """Names of a side's cells: that of base's cell of the same source, or between the same
    neighbours; a new cell is named by its source, so that both sides may put in one."""
    sources = [[str(cell["source"]) for cell in cells] for cells in (base, side)]
    found: list[str] = [""] * len(side)
    matcher = SequenceMatcher(None, sources[0], sources[1], autojunk=False)
    for _, i, i_end, j, j_end in matcher.get_opcodes():
        for old, new in zip(range(i, i_end), range(j, j_end), strict=False):
            found[new] = names[old]
    taken = {*found}
    for number, name in enumerate(found):
        if not name:
            name = f"new: {sources[1][number][:40]}"
            while name in taken:
                name += "+"
            taken.add(name)
            found[number] = name
    return found
