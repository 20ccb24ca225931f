"""The promises of `mlver.remotes.base`, one test each; a remote is one subclass with a fixture.

    class TestMine(RemoteContract):
        @pytest.fixture
        def remote(self): return MyRemote(...)   # empty, and its own for each test

What needs several threads or processes is in `races`, and comes along by inheritance.
"""

from __future__ import annotations

import array
import random
import time
from collections.abc import Callable, Collection
from itertools import pairwise
from pathlib import Path

import pytest
from tests.conformance.remotes.races import RaceContract

from mlver.errors import MlverError, RemoteError
from mlver.remotes.base import NotFound, Remote

MIB = 1 << 20

HOSTILE_NAMES = [
    *("", "/", "a/", "/a", "a//b", ".", "..", "a/..", "../a", "a/../b", "./a", "a/.", "a/./b"),
    *("a\\b", "a b", "a\nb", "a\n", "a\rb", "a\0b", "a\0", "\x1b[2J", "C:a", "a:b", "~", "a*", "é"),
    *("%2e%2e/a", "..%2fa", "a?b", "a#b", "//host/a", "\u2215etc", "a\u202eb", "\udcff"),
]
HOSTILE_PREFIXES = ["a", "/", "//", "../", "./", "a//", "/a/", "a/../", "a b/", "a\n/", "a/\n"]
ODD_NAMES = ["...", "..a", "a..", ".a", "-x", "--", "a..b/c", "A-Z_0.9", "_", "d/...", "9" * 64]


def refused(call: Callable[[str], object], name: str) -> None:
    """`call` takes the name for a programming error."""
    try:
        call(name)
    except ValueError:
        return
    pytest.fail(f"{name!r} was taken")


def temporaries(root: Path) -> list[Path]:
    """What writers left in a directory remote."""
    return sorted((root / "tmp").iterdir()) if (root / "tmp").exists() else []


def plant_files(remote: Remote, names: Collection[str]) -> None:
    """As `RemoteContract.plant`, for a directory: plain files, as cp would bring them."""
    root = Path(remote.url)
    for folder in {(root / name).parent for name in names}:
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (root / name).write_bytes(name.encode())


class RemoteContract(RaceContract):
    """Everything that push, fetch and collection rely on."""

    many = 2000  # Objects in a long listing.

    def plant(self, remote: Remote, names: Collection[str]) -> None:
        """Objects whose content is their name; to be overridden where that can be had faster."""
        for name in names:
            remote.create(name, [name.encode()])

    def test_what_was_created_reads_back_whole(self, remote: Remote) -> None:
        assert remote.create("packs/aa/one", [b"hello ", memoryview(b"wide "), b"world"]) is True
        assert remote.read("packs/aa/one") == b"hello wide world"
        assert remote.size("packs/aa/one") == 16

    def test_an_object_may_lie_at_the_top(self, remote: Remote) -> None:
        assert remote.create("mlver.json", [b"{}"])
        assert remote.read("mlver.json") == b"{}"

    def test_create_never_replaces(self, remote: Remote) -> None:
        assert remote.create("a/b", [b"first"]) is True
        assert remote.create("a/b", [b"second"]) is False
        assert remote.create("a/b", []) is False
        assert remote.read("a/b") == b"first"

    @pytest.mark.parametrize("parts", [[], [b""], [b"", memoryview(b"")]])
    def test_an_object_may_be_empty(self, remote: Remote, parts: list[bytes | memoryview]) -> None:
        assert remote.create("a/empty", parts) is True
        assert remote.create("a/empty", [b"x"]) is False
        assert remote.size("a/empty") == 0
        assert remote.read("a/empty") == b""
        assert remote.read("a/empty", 0, 0) == b""
        assert [row.size for row in remote.list("a/")] == [0]

    def test_parts_are_joined_in_order_however_many(self, remote: Remote) -> None:
        parts = [b"%d," % number for number in range(5000)]
        assert remote.create("a/many", parts)
        assert remote.read("a/many") == b"".join(parts)

    def test_parts_may_be_views_of_anything(self, remote: Remote) -> None:
        numbers = array.array("I", range(7))
        window = memoryview(bytearray(b"0123456789"))[3:6]
        assert remote.create("a/views", [memoryview(numbers), window])
        assert remote.read("a/views") == numbers.tobytes() + b"345"

    def test_a_pack_of_32_mib_comes_back_byte_for_byte(self, remote: Remote) -> None:
        content = random.Random(32).randbytes(32 * MIB + 1)
        view = memoryview(content)
        steps = [*range(0, len(content), 70_001), len(content)]
        assert remote.create("packs/bb/big", [view[a:b] for a, b in pairwise(steps)])
        assert remote.size("packs/bb/big") == len(content)
        assert remote.read("packs/bb/big") == content
        assert remote.read("packs/bb/big", 31 * MIB) == content[31 * MIB :]

    def test_a_range_is_exact_at_its_edges(self, remote: Remote) -> None:
        digits = b"0123456789"
        remote.create("a/digits", [digits])
        for start in range(11):
            assert remote.read("a/digits", start) == digits[start:]
            for length in range(11 - start):
                assert remote.read("a/digits", start, length) == digits[start : start + length]

    def test_a_short_read_is_an_error_and_not_a_short_answer(self, remote: Remote) -> None:
        remote.create("a/digits", [b"0123456789"])
        for start, length in ((0, 11), (9, 2), (10, 1), (11, None), (11, 1), (0, 1 << 62)):
            with pytest.raises(RemoteError) as caught:
                remote.read("a/digits", start, length)
            assert not isinstance(caught.value, NotFound)

    def test_no_range_is_counted_from_the_end(self, remote: Remote) -> None:
        remote.create("a/digits", [b"0123456789"])
        for start, length in ((-1, None), (0, -1), (-1, 1)):
            with pytest.raises(ValueError):
                remote.read("a/digits", start, length)

    @pytest.mark.parametrize("name", ["gone", "packs/gone", "new/folder/gone", "packs"])
    def test_what_is_not_there_is_said_to_be_not_there(self, remote: Remote, name: str) -> None:
        remote.create("packs/here", [b"x"])
        with pytest.raises(NotFound):
            remote.read(name)
        with pytest.raises(NotFound):
            remote.read(name, 0, 0)
        assert remote.size(name) is None
        remote.delete(name)
        assert remote.read("packs/here") == b"x"

    def test_no_object_is_below_an_object(self, remote: Remote) -> None:
        remote.create("packs/here", [b"x"])
        with pytest.raises(NotFound):
            remote.read("packs/here/below")
        assert remote.size("packs/here/below") is None
        assert list(remote.list("packs/here/")) == []
        remote.delete("packs/here/below")

    def test_a_deleted_object_is_gone_and_can_be_created_anew(self, remote: Remote) -> None:
        remote.create("a/b", [b"old"])
        remote.delete("a/b")
        remote.delete("a/b")
        assert remote.size("a/b") is None
        assert list(remote.list("")) == []
        assert remote.create("a/b", [b"new"]) is True
        assert remote.read("a/b") == b"new"

    def test_a_hostile_name_is_refused_by_every_method(self, remote: Remote) -> None:
        remote.create("a/b", [b"x"])
        for name in HOSTILE_NAMES:
            refused(lambda n: remote.create(n, [b"evil"]), name)
            for call in (remote.read, remote.size, remote.delete):
                refused(call, name)
        assert [row.name for row in remote.list("")] == ["a/b"]

    def test_a_hostile_prefix_is_refused(self, remote: Remote) -> None:
        for prefix in HOSTILE_PREFIXES:
            refused(lambda p: list(remote.list(p)), prefix)

    def test_every_valid_name_can_be_used(self, remote: Remote) -> None:
        for name in ODD_NAMES:
            assert remote.create(name, [name.encode()]), name
            assert [row.name for row in remote.list("")] == [name]
            assert remote.read(name) == name.encode()
            remote.delete(name)
            assert remote.size(name) is None

    def test_a_listing_gives_name_size_and_time(self, remote: Remote) -> None:
        remote.create("packs/aa/one", [b"123"])
        (row,) = remote.list("packs/")
        assert (row.name, row.size) == ("packs/aa/one", 3)
        assert abs(row.modified - time.time()) < 3600

    def test_a_prefix_matches_whole_parts_at_any_depth(self, remote: Remote) -> None:
        names = ["packs/aa/1", "packs/bb/2", "packs2/3", "packsx", "index/packs/4"]
        self.plant(remote, names)
        assert sorted(row.name for row in remote.list("packs/")) == ["packs/aa/1", "packs/bb/2"]
        assert sorted(row.name for row in remote.list("packs/bb/")) == ["packs/bb/2"]
        assert list(remote.list("pack/")) == []
        assert sorted(row.name for row in remote.list("")) == sorted(names)

    def test_an_empty_remote_lists_nothing(self, remote: Remote) -> None:
        remote.create("a/b", [b"x"])
        remote.delete("a/b")
        assert list(remote.list("")) == []
        assert list(remote.list("a/")) == []

    def test_a_listing_of_thousands_is_complete(self, remote: Remote) -> None:
        names = {f"packs/{n % 64:02x}/{n:060x}" for n in range(self.many // 3)}
        names |= {f"index/1/{n:060x}" for n in range(self.many - len(names))}
        self.plant(remote, names)
        listed = [row.name for row in remote.list("")]
        assert len(listed) == len(names)
        assert set(listed) == names

    def test_each_object_is_listed_once_though_it_is_deleted_meanwhile(
        self, remote: Remote
    ) -> None:
        names = {f"packs/{n % 3}/{n}" for n in range(60)}
        self.plant(remote, names)
        listed = []
        for row in remote.list("packs/"):
            listed.append(row.name)
            remote.delete(row.name)
        assert sorted(listed) == sorted(names)
        assert list(remote.list("")) == []

    def test_every_error_tells_what_why_and_next(self, remote: Remote) -> None:
        remote.create("a/b", [b"x"])
        with pytest.raises(MlverError) as caught:
            remote.read("a/b", 0, 2)
        assert "a/b" in caught.value.what and remote.url in caught.value.what
        assert caught.value.why

    def test_the_address_is_one_line(self, remote: Remote) -> None:
        assert remote.url.isprintable() and remote.url

    def test_close_can_be_called(self, remote: Remote) -> None:
        remote.create("a/b", [b"x"])
        remote.close()
