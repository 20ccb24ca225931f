"""A pack of another boot is entered in two passes; whoever is killed in between begins anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.store_material import add, content, move_to_another_boot, open_store

from mlver.store import recovery
from mlver.store.pack import Entry
from mlver.store.record import DELTA

FIRST = content("catch up", 30_000)


def test_deltas_are_seen_after_a_kill_between_the_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(tmp_path) as store:
        delta = add(store, FIRST + b"second", previous=add(store, FIRST))
        place = store.locate(delta.oid)
        assert place is not None and place.codec == DELTA
    move_to_another_boot(tmp_path)
    checked = recovery.checked

    def killed(store: object, path: bytes, passing: str) -> list[Entry]:
        if passing is recovery.DELTAS:
            raise KeyboardInterrupt
        return checked(store, path, passing)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(recovery, "checked", killed)
        with open_store(tmp_path) as store:
            store.missing(delta)
    with open_store(tmp_path) as store:
        assert store.missing(delta) is None
