"""The store of somebody else's repository is read, and not a byte of it is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.store_material import (
    add,
    content,
    drop_index,
    move_to_another_boot,
    open_store,
)

from mlver.exchange.sibling import Sibling
from mlver.exchange.source import has_blob
from mlver.model.pointer import Pointer
from mlver.store.local import LocalStore

DATA = [content("sibling", 200_000), content("small", 3000)]


@pytest.fixture
def theirs(tmp_path: Path) -> tuple[Path, list[Pointer]]:
    with open_store(tmp_path) as store:
        return tmp_path, [add(store, data) for data in DATA]


def everything(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def assert_has_all(folder: Path, pointers: list[Pointer]) -> None:
    before = everything(folder)
    sibling = Sibling(bytes(folder))
    try:
        assert all(has_blob(sibling, pointer.oid, pointer.size) for pointer in pointers)
        assert everything(folder) == before
    finally:
        sibling.close()
    assert everything(folder) == before


def test_reading_makes_no_index_there(theirs: tuple[Path, list[Pointer]]) -> None:
    drop_index(theirs[0])
    assert_has_all(*theirs)


@pytest.mark.parametrize("damage", [b"", b"garbage" * 1000])
def test_an_index_that_is_damaged_is_left_as_it_is(
    theirs: tuple[Path, list[Pointer]], damage: bytes
) -> None:
    drop_index(theirs[0])
    (theirs[0] / "index.sqlite").write_bytes(damage)
    assert_has_all(*theirs)


def test_packs_of_another_boot_are_looked_at_and_left_there(
    theirs: tuple[Path, list[Pointer]],
) -> None:
    move_to_another_boot(theirs[0])
    assert_has_all(*theirs)


def test_a_store_of_ones_own_keeps_its_index(theirs: tuple[Path, list[Pointer]]) -> None:
    drop_index(theirs[0])
    with LocalStore(bytes(theirs[0])) as store:
        assert store.missing(theirs[1][0]) is None
    assert (theirs[0] / "index.sqlite").exists()
