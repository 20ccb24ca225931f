"""Which remotes are tried again: those that a network lies before."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlver.remotes.directory import DirectoryRemote
from mlver.remotes.memory import MemoryRemote
from mlver.remotes.retry import RetryRemote
from mlver.workflows import places
from mlver.workflows.places import Place


def test_a_remote_behind_a_network_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "open_remote", lambda url, _options: MemoryRemote(url))
    catalog = places.open_place(Place("team", "s3://bucket/prefix", "config"))
    assert isinstance(catalog.remote, RetryRemote) and catalog.remote.url == "s3://bucket/prefix"


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_folder_of_this_machine_is_asked_once(tmp_path: Path, scheme: str) -> None:
    catalog = places.open_place(Place("disk", f"{scheme}{tmp_path}", "config"))
    assert isinstance(catalog.remote, DirectoryRemote)
