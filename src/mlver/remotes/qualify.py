"""Does a remote keep the promises of `base`? Each is tried on scratch objects, and timed.

For `git mlver testremote`: a server that is new to us is qualified by its user, where it runs. The
conformance suite tries more, on servers that the tests can start.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mlver.errors import MlverError, RemoteError
from mlver.remotes.base import NotFound, Probed, Remote

LARGE = 32 * 1024 * 1024  # A pack.
MANY = 1100  # More than a server lists in one page.
_RACERS = 8
_DIGITS = b"0123456789"


@dataclass(frozen=True, slots=True)
class Check:
    """One promise. `verdict`: "ok", "warning" (used with care), "failed". `seen`: for people.

    `speed`: bytes a second, where that was measured.
    """

    name: str
    verdict: str
    seen: str = ""
    seconds: float = 0.0
    speed: float | None = None


class Broken(Exception):
    """A promise that was not kept; the text says how."""


class Doubtful(Broken):
    """Not kept either, and no harm: objects are named by their content."""


def qualify(
    remote: Remote, scratch: str, *, probed: Probed | None = None, fast: bool = False
) -> Iterator[Check]:
    """One `Check` after the other. Objects are left below `scratch`, which ends in a slash.
    Raises RemoteError where the remote does not answer at all.

    `probed`: the same remote, where it can say more of its server. `fast` leaves out the large
    object and the long listing.
    """
    trial = _Trial(remote, scratch)
    yield trial.answers()
    checks: list[tuple[str, Callable[[], str]]] = [
        ("what is created reads back", trial.reads_back),
        ("create never replaces", trial.never_replaces),
        ("of 8 writers at once one creates", trial.race),
        ("what is not there is said to be missing", trial.missing),
        ("ranges are exact", trial.ranges),
        ("a listing is complete", lambda: trial.listing(20 if fast else MANY)),
        ("what is deleted is gone", trial.deletes),
    ]
    for name, act in checks:
        yield _tried(name, act)
    if not fast:
        yield from trial.large()
    if probed is not None:
        yield from _probed(probed)


def clean_up(remote: Remote, scratch: str) -> None:
    """Remove everything below `scratch`. Raises RemoteError."""
    remote.delete_many([row.name for row in remote.list(scratch)])


def _tried(name: str, act: Callable[[], str]) -> Check:
    began = time.monotonic()
    verdict, seen = "ok", ""
    try:
        seen = act()
    except Doubtful as doubtful:
        verdict, seen = "warning", str(doubtful)
    except Broken as broken:
        verdict, seen = "failed", str(broken)
    except MlverError as error:
        verdict, seen = "failed", f"{error.what}: {error.why}" if error.why else error.what
    return Check(name, verdict, seen, time.monotonic() - began)


def _probed(remote: Probed) -> Iterator[Check]:
    """What the server itself keeps, where git-mlver can help itself if it does not."""
    began = time.monotonic()
    try:
        found = remote.probe()
    except RemoteError as error:
        yield Check("the server's own guards", "failed", f"{error.what}: {error.why}")
        return
    seconds = time.monotonic() - began
    broken = "ignored: another digest guards what is sent"
    if not found.content_md5 and not found.signed_body:
        broken = "ignored: what breaks on the way up is found by readers"
    for name, kept, otherwise in (
        ("the server refuses to replace (If-None-Match)", found.conditional_put,
         "ignored or refused: a key is looked for before it is written"),
        ("the server refuses a wrong Content-MD5", found.content_md5, broken),
        ("the server refuses a body that is not the signed one", found.signed_body, broken),
    ):  # fmt: skip
        yield Check(name, "ok" if kept else "warning", "" if kept else otherwise, seconds / 2)


class _Trial:
    """The acts; each gives what was seen, or raises Broken or RemoteError."""

    def __init__(self, remote: Remote, scratch: str) -> None:
        self._remote, self._scratch = remote, scratch

    def answers(self) -> Check:
        began = time.monotonic()
        for _ in self._remote.list(self._scratch):
            raise RemoteError(f"a prefix that is new on {self._remote.url} is not empty")
        return Check("the remote answers", "ok", seconds=time.monotonic() - began)

    def reads_back(self) -> str:
        name = self._name("digits")
        _expect(self._remote.create(name, [_DIGITS[:4], _DIGITS[4:]]), "create answered False")
        _expect(self._remote.read(name) == _DIGITS, "other bytes came back")
        _expect(self._remote.size(name) == len(_DIGITS), "its length is another")
        return ""

    def never_replaces(self) -> str:
        name = self._name("digits")
        _expect(not self._remote.create(name, [b"x" * 10]), "the second writer was told: created")
        _expect(self._remote.read(name) == _DIGITS, "the object was replaced")
        return ""

    def race(self) -> str:
        name, start = self._name("race"), threading.Barrier(_RACERS)

        def run(number: int) -> bool:
            start.wait(60)
            return self._remote.create(name, [bytes([number]) * 10_000])

        with ThreadPoolExecutor(_RACERS) as pool:
            answers = [*pool.map(run, range(_RACERS))]
        content = self._remote.read(name)
        _expect(content == content[:1] * 10_000, "the object is a mixture of two")
        winners = [number for number, won in enumerate(answers) if won]
        if len(winners) > 1:
            raise Doubtful(f"{len(winners)} writers were told that they had created it")
        _expect(winners in ([], [content[0]]), "the content is not the winner's")
        return ""

    def missing(self) -> str:
        name = self._name("missing")
        _expect(self._remote.size(name) is None, "a length was given")
        try:
            self._remote.read(name)
        except NotFound:
            return ""
        raise Broken("bytes were given")

    def ranges(self) -> str:
        name = self._name("digits")
        for start, length in ((0, 1), (3, 4), (9, 1), (9, None), (10, None), (4, 0)):
            wanted = _DIGITS[start:] if length is None else _DIGITS[start : start + length]
            _expect(self._remote.read(name, start, length) == wanted, f"{start}+{length} differs")
        try:
            self._remote.read(name, 8, 3)
        except RemoteError:
            return ""
        raise Broken("a range beyond the end gave a short answer")

    def listing(self, count: int) -> str:
        names = {self._name(f"many/{number:05}") for number in range(count)}
        with ThreadPoolExecutor(_RACERS) as pool:
            list(pool.map(lambda name: self._remote.create(name, [b"x"]), sorted(names)))
        listed = [row.name for row in self._remote.list(self._name("many/"))]
        lost = len(names - {*listed})
        _expect(not lost, f"{lost} of {count} objects are missing in it")
        _expect(len(listed) == count, "it names objects twice, or others")
        return f"{count} objects"

    def deletes(self) -> str:
        name = self._name("digits")
        self._remote.delete(name)
        self._remote.delete(name)
        _expect(self._remote.size(name) is None, "it can still be looked at")
        self._remote.delete_many([row.name for row in self._remote.list(self._scratch)])
        _expect(not [*self._remote.list(self._scratch)], "it is still listed")
        return ""

    def large(self) -> Iterator[Check]:
        """A pack there and back."""
        name, content = self._name("large"), os.urandom(LARGE)

        def write() -> str:
            _expect(self._remote.create(name, [content]), "create answered False")
            return ""

        def read() -> str:
            _expect(self._remote.read(name) == content, "other bytes came back")
            return ""

        for label, act in (("a pack of 32 MiB is written", write), ("a pack is read", read)):
            check = _tried(label, act)
            speed = LARGE / max(check.seconds, 1e-6) if check.verdict == "ok" else None
            yield Check(check.name, check.verdict, check.seen, check.seconds, speed)

    def _name(self, name: str) -> str:
        return self._scratch + name


def _expect(kept: bool, otherwise: str) -> None:
    if not kept:
        raise Broken(otherwise)
