"""How a remote is opened: tried again where a network lies before it, its index objects kept."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlver.remotes.directory import DirectoryRemote
from mlver.remotes.memory import MemoryRemote
from mlver.remotes.retry import RetryRemote
from mlver.workflows import places
from mlver.workflows.places import Place


@pytest.fixture
def ctx(tmp_path: Path) -> Any:
    return SimpleNamespace(store=SimpleNamespace(root=os.fsencode(tmp_path / "store")))


def test_a_remote_behind_a_network_is_tried_again(
    ctx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "open_remote", lambda url, _options: MemoryRemote(url))
    catalog = places.open_place(ctx, Place("team", "s3://bucket/prefix", "config"))
    assert isinstance(catalog.remote, RetryRemote) and catalog.remote.url == "s3://bucket/prefix"


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_folder_of_this_machine_is_asked_once(ctx: Any, tmp_path: Path, scheme: str) -> None:
    catalog = places.open_place(ctx, Place("disk", f"{scheme}{tmp_path}", "config"))
    assert isinstance(catalog.remote, DirectoryRemote)
