"""What was derived is kept where it can be, in a bounded number of files, and never missed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlver.model.digest import digest_of
from mlver.store import derived

OID = digest_of(b"x")


def test_what_is_kept_comes_back_and_is_replaced_whole(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    assert derived.read(root, OID, "outline") is None
    for data in (b"a", b"b" * 1000):
        derived.write(root, OID, "outline", data)
        assert derived.read(root, OID, "outline") == data
    assert derived.read(root, OID, "other") is None
    assert len(os.listdir(tmp_path / "derived")) == 1


def test_nothing_fails_where_it_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "derived").write_bytes(b"in the way")
    for root in (tmp_path / "no-such", tmp_path / "file", tmp_path):
        derived.write(os.fsencode(root), OID, "outline", b"a")
        assert derived.read(os.fsencode(root), OID, "outline") is None
    assert not (tmp_path / "no-such").exists(), "no store is made for it"


def test_the_oldest_go_where_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derived, "_MOST", 8)
    root = os.fsencode(tmp_path)
    for number in range(9):
        derived.write(root, OID, str(number), b"a")
        os.utime(tmp_path / "derived" / f"{OID.hex()}-{number}", (number, number))
    derived.write(root, OID, "9", b"a")
    kept = {name.rpartition("-")[2] for name in os.listdir(tmp_path / "derived")}
    assert "0" not in kept and "1" not in kept and "9" in kept and len(kept) <= 8
