"""A remote wrapped by retry keeps the contract, also where calls fail twice before they work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import pytest
from tests.conformance.remotes.contract import RemoteContract, plant_files

from mlver.errors import RemoteError
from mlver.remotes.base import NotFound, Remote, RemoteObject, TransientRemoteError
from mlver.remotes.directory import DirectoryRemote
from mlver.remotes.memory import MemoryRemote
from mlver.remotes.retry import RetryRemote


class Failing(MemoryRemote):
    """Fails `times` times before each call that works; a listing fails in its middle."""

    def __init__(self, times: int, error: Callable[[], Exception]) -> None:
        super().__init__()
        self.times = times
        self.error = error
        self.calls: dict[object, int] = {}

    def fail(self, key: object) -> None:
        self.calls[key] = self.calls.get(key, 0) + 1
        if self.calls[key] % (self.times + 1):
            raise self.error()

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        self.fail(("read", name, start, length))
        return super().read(name, start, length)

    def size(self, name: str) -> int | None:
        self.fail(("size", name))
        return super().size(name)

    def list(self, prefix: str) -> Iterator[RemoteObject]:
        for number, row in enumerate(super().list(prefix)):
            if number == 1:
                self.fail(("list", prefix))
            yield row


def transient() -> TransientRemoteError:
    return TransientRemoteError("cannot read a/b", why="timeout", fix="wait")


class TestRetryOverMemory(RemoteContract):
    shared_by_processes = False

    @pytest.fixture
    def remote(self) -> Remote:
        return RetryRemote(MemoryRemote(), sleep=lambda _: None)


class TestRetryOverDirectory(RemoteContract):
    many = 300

    @pytest.fixture
    def remote(self, tmp_path: Path) -> Remote:
        return RetryRemote(DirectoryRemote(tmp_path / "remote"), sleep=lambda _: None)

    def plant(self, remote: Remote, names: Collection[str]) -> None:
        plant_files(remote, names)


def test_a_failure_that_passes_is_not_seen() -> None:
    remote = RetryRemote(Failing(2, transient), sleep=lambda _: None)
    assert remote.create("a/b", [b"x"])
    assert remote.create("a/c", [b"yy"])
    assert remote.read("a/b") == b"x"
    assert remote.size("a/b") == 1


def test_a_listing_that_failed_midway_repeats_and_loses_no_row() -> None:
    remote = RetryRemote(Failing(2, transient), sleep=lambda _: None)
    for name in "abc":
        remote.create(name, [b"x"])
    assert [row.name for row in remote.list("")] == ["a", "b", "c"]


def test_tries_are_bounded_and_the_last_error_counts_them() -> None:
    inner = Failing(10**9, transient)
    with pytest.raises(TransientRemoteError, match=r"tried 3 times") as caught:
        RetryRemote(inner, attempts=3, sleep=lambda _: None).size("a/b")
    assert inner.calls[("size", "a/b")] == 3
    assert (caught.value.what, caught.value.fix) == ("cannot read a/b", "wait")


@pytest.mark.parametrize("error", [NotFound("no"), RemoteError("refused"), ValueError("name")])
def test_an_answer_is_never_tried_again(error: Exception) -> None:
    inner = Failing(10**9, lambda: error)
    pauses: list[float] = []
    with pytest.raises(type(error)):
        RetryRemote(inner, sleep=pauses.append).read("a/b")
    assert pauses == []
    assert sum(inner.calls.values()) == 1


def test_pauses_double_to_a_bound_and_are_drawn_below_it() -> None:
    def pauses(chance: float) -> Sequence[float]:
        slept: list[float] = []
        remote = RetryRemote(
            Failing(10**9, transient),
            attempts=6,
            first_pause=1,
            longest_pause=4,
            sleep=slept.append,
            chance=lambda: chance,
        )
        with pytest.raises(TransientRemoteError):
            remote.size("a")
        return slept

    assert pauses(1.0) == [1, 2, 4, 4, 4]
    assert pauses(0.25) == [0.25, 0.5, 1, 1, 1]
    assert pauses(0.0) == [0, 0, 0, 0, 0]


def test_no_try_at_all_is_a_programming_error() -> None:
    with pytest.raises(ValueError):
        RetryRemote(MemoryRemote(), attempts=0)


def test_a_delete_is_not_tried_again_after_the_machine_slept() -> None:
    """Its lock may be another's by then, and what is there now too."""

    class Gone(Failing):
        def delete(self, name: str) -> None:
            self.fail(("delete", name))

    now = [0.0]
    inner = Gone(3, transient)
    remote = RetryRemote(inner, sleep=lambda _: None, clock=lambda: now[0])
    remote.delete("a/b")
    assert inner.calls["delete", "a/b"] == 4

    def asleep(_: float) -> None:
        now[0] += 601

    remote = RetryRemote(inner, sleep=asleep, clock=lambda: now[0])
    for act in (remote.delete, lambda name: remote.delete_many([name])):
        with pytest.raises(TransientRemoteError, match="tried 1 times"):
            act("a/c")
    assert remote.size("a/c") is None, "what changes nothing is tried as ever"
