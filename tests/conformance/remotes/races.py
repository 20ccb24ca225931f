"""The promises that only show when many come at once: threads, and processes of one place."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from mlver.remotes.base import NotFound, Remote

RACERS = 16


def race(act: Callable[[int], object]) -> list[object]:
    """`act(0)` to `act(15)` in a thread each, let go at one moment."""
    start = threading.Barrier(RACERS)

    def run(number: int) -> object:
        start.wait(30)
        return act(number)

    with ThreadPoolExecutor(RACERS) as pool:
        return [*pool.map(run, range(RACERS))]


def race_of_processes(act: Callable[[int], bool]) -> list[int]:
    """The exit codes of 16 processes: 1 where `act` was True, 0 where False, else a failure."""
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(RACERS)

    def run(number: int) -> None:
        start.wait(30)
        sys.exit(1 if act(number) else 0)

    processes = [fork.Process(target=run, args=(number,)) for number in range(RACERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    return [-99 if process.exitcode is None else process.exitcode for process in processes]


class RaceContract:
    """See `contract.RemoteContract`."""

    shared_by_processes = True

    def test_of_16_threads_at_one_name_exactly_one_creates(self, remote: Remote) -> None:
        for turn in range(4):
            name = f"turn/{turn}/one"
            answers = race(partial(self._create_mine, remote, name))
            assert sorted(map(str, answers)) == ["False"] * (RACERS - 1) + ["True"]
            assert remote.read(name) == bytes([answers.index(True)]) * 10_000

    def test_of_16_processes_at_one_name_exactly_one_creates(self, remote: Remote) -> None:
        if not self.shared_by_processes or sys.platform == "win32":
            pytest.skip("the remote is within one process, or the system has no fork")
        remote.create("race/before", [b"x"])  # what it keeps open is open when they begin
        codes = race_of_processes(partial(self._create_mine, remote, "race/one"))
        assert sorted(codes) == [0] * (RACERS - 1) + [1]
        assert remote.read("race/one") == bytes([codes.index(1)]) * 10_000

    @staticmethod
    def _create_mine(remote: Remote, name: str, me: int) -> bool:
        return remote.create(name, [bytes([me]) * 10_000])

    def test_16_threads_in_one_new_folder_all_create(self, remote: Remote) -> None:
        answers = race(lambda me: remote.create(f"new/deep/folder/{me}", [b"%d" % me]))
        assert answers == [True] * RACERS
        assert len([*remote.list("new/")]) == RACERS

    def test_a_reader_sees_the_whole_object_or_none(self, remote: Remote) -> None:
        content = bytes(range(256)) * (1 << 14)
        parts = [content[i : i + 4096] for i in range(0, len(content), 4096)]
        remote.create("b/first", [b"the remote is there"])
        seen: set[object] = set()
        done = threading.Event()

        def watch() -> None:
            while not done.is_set():
                seen.add(remote.size("a/whole"))
                try:
                    seen.add(remote.read("a/whole") == content)
                except NotFound:
                    seen.add(None)
                seen.update(row.size for row in remote.list("a/"))

        with ThreadPoolExecutor(2) as pool:
            watchers = [pool.submit(watch) for _ in range(2)]
            try:
                for _ in range(8):
                    remote.create("a/whole", parts)
                    remote.delete("a/whole")
            finally:
                done.set()
            for watcher in watchers:
                watcher.result()
        assert seen <= {None, True, len(content)}

    def test_threads_deleting_one_object_agree(self, remote: Remote) -> None:
        remote.create("a/b", [b"x"])
        assert race(lambda _: remote.delete("a/b")) == [None] * RACERS
        assert remote.size("a/b") is None
