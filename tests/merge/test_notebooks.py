"""Notebooks: cells meet by id, or by their sources in notebooks that have none."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from tests.merge.merging import clean, merged, told

from mlver.merge.options import Choice, identity

Book = dict[str, Any]


def cell(name: str, source: str, output: str = "", count: int | None = 1) -> Book:
    text = [{"name": "stdout", "output_type": "stream", "text": [output]}] if output else []
    return {
        "cell_type": "code", "execution_count": count, "id": name, "metadata": {},
        "outputs": text, "source": source.splitlines(keepends=True),
    }  # fmt: skip


def book(*cells: Book, **metadata: Any) -> Book:
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def written(value: Book, ids: bool = True) -> bytes:
    value = copy.deepcopy(value)
    for item in value["cells"] if not ids else ():
        del item["id"]
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


A, B, C = cell("a", "x = 1\n", "é\n"), cell("b", "y = 2\nz"), cell("c", "print(x)", "1\n")
BASE = book(A, B, C, kernel="py")


@pytest.mark.parametrize("ids", [True, False])
def test_cells_of_both_sides_are_taken_in_order_and_in_the_form_of_ours(ids: bool) -> None:
    ours = book(A, cell("n", "ours"), B, cell("c", "print(x)", "1\n", 7), kernel="py", mine=1)
    theirs = book(cell("a", "x = 10\n", "é\n"), B, cell("m", "theirs"), C, kernel="py3")
    wanted = book(
        theirs["cells"][0], ours["cells"][1], B, theirs["cells"][2], ours["cells"][3],
        kernel="py3", mine=1,
    )  # fmt: skip
    texts = [written(b, ids) for b in (BASE, ours, theirs)]
    assert clean(*texts, "n.ipynb") == written(wanted, ids)


def test_outputs_follow_the_source_and_counts_are_no_change() -> None:
    ours = book(A, B, cell("c", "print(x)", "11\n", 9), kernel="py")
    theirs = book(A, B, cell("c", "print(x + 1)", "2\n", 5), kernel="py")
    data = clean(*map(written, (BASE, ours, theirs)), "n.ipynb")
    assert json.loads(data)["cells"][2] == theirs["cells"][2]
    theirs = book(A, B, cell("c", "print(x)", "12\n", 5), kernel="py")
    found = merged(*map(written, (BASE, ours, theirs)), "n.ipynb")[1]
    assert [(c.kind, c.key, c.column) for c in found.conflicts] == [
        ("notebook-cell", {"cell": "c"}, "outputs")
    ]


def test_two_changes_of_a_source_and_a_deletion_against_a_change() -> None:
    ours = book(cell("a", "x = 2\n", "é\n"), B, kernel="py")
    theirs = book(cell("a", "x = 3\n", "é\n"), B, cell("c", "print()", "1\n"), kernel="py")
    texts = [written(b) for b in (BASE, ours, theirs)]
    data, found = merged(*texts, "n.ipynb")
    assert data == texts[1]
    assert told(found)[0] == ("notebook-cell", "a", "source", "x = 1\n", "x = 2\n", "x = 3\n")
    assert (found.conflicts[1].key, found.conflicts[1].absent) == ({"cell": "c"}, ("ours",))
    assert clean(*texts, "n.ipynb", rest=Choice("theirs")) == texts[2]
    gone = book(A, C, kernel="py")
    assert clean(texts[0], texts[0], written(gone), "n.ipynb") == written(gone)


def test_metadata_of_a_cell_is_merged_by_path() -> None:
    texts = []
    for metadata in ({"k": 1}, {"k": 2, "m": 1}, {"k": 3, "t": 1}):
        texts.append(written(book({**A, "metadata": metadata})))
    data, found = merged(*texts, "n.ipynb")
    assert json.loads(data)["cells"][0]["metadata"] == {"k": 2, "m": 1, "t": 1}
    assert told(found) == [("notebook-cell", "a", "metadata.k", 1, 2, 3)]
    chosen = {identity({"cell": "a"}, "metadata.k"): Choice("theirs")}
    assert b'"k": 3' in clean(*texts, "n.ipynb", choices=chosen)


def test_what_is_no_notebook_is_one_conflict_of_the_file() -> None:
    data, found = merged(written(BASE), b'{"cells": 1}', written(book(A)), "n.ipynb")
    assert data == b'{"cells": 1}' and found.format == "opaque" and found.notes
