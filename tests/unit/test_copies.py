"""A record may lie in two packs: added by two processes at once, or stored again after damage.

Whichever copy the index names, one that is whole is found, also by an index that is made anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.store_material import add, content, drop_index, open_store, pack_paths

from mlver.errors import CorruptContent
from mlver.store import recovery
from mlver.store.assemble import read_blob
from mlver.store.record import DELTA

FIRST = content("bases", 30_000)
SECOND = FIRST + b"second"
OTHER = FIRST[:100] + b"other" + FIRST[100:]


@pytest.mark.parametrize("turn", range(4))
def test_a_damaged_copy_does_not_come_back_with_a_new_index(turn: int, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        pointer = add(store, FIRST)
        (old,) = pack_paths(tmp_path)
        old.write_bytes(old.read_bytes().replace(FIRST[500:510], b"0123456789"))
        store.forget(pointer.oid)
        assert add(store, FIRST) == pointer
        recovery.make_durable(store)
    names = ["aaaa.pack", "zzzz.pack"] if turn % 2 else ["zzzz.pack", "aaaa.pack"]
    for path, name in zip(pack_paths(tmp_path), names, strict=True):
        path.rename(path.with_name(name))
    drop_index(tmp_path)
    with open_store(tmp_path) as store:
        try:
            assert bytes(read_blob(store, pointer)) == FIRST
        except CorruptContent:
            store.forget(pointer.oid)  # as every caller does
        assert store.missing(pointer) is None
        assert bytes(read_blob(store, pointer)) == FIRST


@pytest.mark.parametrize("turn", range(2))
def test_a_base_is_the_copy_that_stands_alone(turn: int, tmp_path: Path) -> None:
    """Two processes at once: one stores FIRST whole and a delta upon it, one FIRST as a delta."""
    with open_store(tmp_path / "a") as store:
        first = add(store, FIRST)
        second = add(store, SECOND, previous=first)
        place = store.locate(second.oid)
        assert place is not None and place.codec == DELTA
    with open_store(tmp_path / "b") as store:
        add(store, FIRST, previous=add(store, OTHER))
        place = store.locate(first.oid)
        assert place is not None and place.codec == DELTA
    for path in pack_paths(tmp_path / "b"):
        prefix = "00" if turn else "zz"
        path.rename(tmp_path / "a" / "incoming" / f"{prefix}{path.name}")
    drop_index(tmp_path / "a")
    with open_store(tmp_path / "a") as store:
        assert bytes(read_blob(store, second)) == SECOND
        assert bytes(read_blob(store, first)) == FIRST
