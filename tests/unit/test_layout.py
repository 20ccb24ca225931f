"""A remote's one object that is not immutable by name is made once, and read with suspicion."""

from __future__ import annotations

import json

import pytest

from mlver.errors import RemoteError
from mlver.exchange import layout
from mlver.model.digest import digest_of
from mlver.remotes.memory import MemoryRemote
from mlver.store.chunker import PARAMETERS


def test_the_first_push_writes_the_format_and_the_chunkers_parameters() -> None:
    remote = MemoryRemote()
    assert layout.read_meta(remote) is None
    made = layout.ensure_meta(remote)
    assert made["version"] == 1 and made["chunker"] == PARAMETERS
    assert layout.ensure_meta(remote) == made == layout.read_meta(remote)


def test_of_two_first_pushes_one_wins_and_both_go_on() -> None:
    remote = MemoryRemote()
    theirs = {"version": 1, "id": "theirs", "chunker": PARAMETERS}

    class Raced(MemoryRemote):
        def create(self, name: str, parts: object) -> bool:
            remote.create(name, [json.dumps(theirs).encode()])
            return False

        def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
            return remote.read(name, start, length)

    assert layout.ensure_meta(Raced()) == theirs


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"{}", b"\xff", b'"version"'])
def test_an_unreadable_format_is_an_error_and_not_an_empty_remote(text: bytes) -> None:
    remote = MemoryRemote()
    remote.create(layout.META, [text])
    with pytest.raises(RemoteError):
        layout.read_meta(remote)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_is_refused_with_the_way_out(version: object) -> None:
    remote = MemoryRemote()
    remote.create(layout.META, [json.dumps({"version": version}).encode()])
    with pytest.raises(RemoteError, match="upgrade"):
        layout.read_meta(remote)


@pytest.mark.parametrize("chunker", [{**PARAMETERS, "target": 131072}, {}, None, "fastcdc"])
def test_nothing_is_written_where_content_is_cut_in_another_way_and_all_is_read(
    chunker: object,
) -> None:
    remote = MemoryRemote()
    text = json.dumps({"version": 1, "id": "x", "chunker": chunker}).encode()
    remote.create(layout.META, [text])
    with pytest.raises(RemoteError, match="in another way") as raised:
        layout.ensure_meta(remote)
    assert json.dumps(chunker) in raised.value.why and "git mlver remote add" in raised.value.fix
    assert layout.read_meta(remote) == json.loads(text)


def test_a_name_ends_in_its_digest_or_is_no_object_of_ours() -> None:
    digest = digest_of(b"pack")
    assert layout.digest_in_name(layout.pack_object(digest)) == digest
    assert layout.digest_in_name(layout.index_object(digest)) == digest
    for name in ("packs/aa/README", "packs/aa/" + "A" * 64, "packs/aa/" + "a" * 63, "", "packs/"):
        assert layout.digest_in_name(name) is None
