"""A repository with a bucket as the place of its content, commands that work there, and what must
hold when one of them, or the server, was killed in the middle.

Everything is put back before each kill: the bucket's prefix from a copy in memory, the repository
by copying its folder. So a kill costs no more than the command and the look at what it left.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.conformance.remotes.s3_tools import make_bucket
from tests.support.fault_proxy import FaultProxy, Trap
from tests.support.s3_server import Endpoint
from tests.support.sandbox import MAIN, Clone, Sandbox
from tests.unit.store_material import add, content, open_store

from mlver.exchange import layout
from mlver.exchange.catalog import Catalog
from mlver.exchange.fetch import Fetcher
from mlver.exchange.push import Pusher
from mlver.model.digest import Digest, digest_of
from mlver.model.pointer import Pointer
from mlver.remotes.base import Remote
from mlver.remotes.registry import open_remote
from mlver.workflows import fsck_remote

KEPT = {f"kept{i}.bin": content(f"kept {i}", 60_000) for i in range(2)}
NEW = {f"new{i}.bin": content(f"new {i}", 700_000) for i in range(2)}
DEAD = [content(f"dead {i}", 50_000) for i in range(3)]
COLLECT = ("gc", "--remote", "--yes", "--grace", "0")


def pointer_of(data: bytes) -> Pointer:
    return Pointer(digest_of(data), len(data))


class Site:
    """The bucket, the proxy before it, and `work`, which has pushed KEPT."""

    def __init__(self, box: Sandbox, server: Endpoint, proxy: FaultProxy) -> None:
        self.box, self.proxy = box, proxy
        bucket = make_bucket(server)
        box.env |= server.settings()
        self._direct = f"s3://{bucket}/team?endpoint={server.url}&region=us-east-1"
        self._objects: dict[str, bytes] = {}
        work = box.at("work")
        box.bare()
        work.git("remote", "add", "origin", "../far.git")
        far = f"s3://{bucket}/team?endpoint={proxy.url}&region=us-east-1"
        work.mlver("remote", "add", "team", far)
        work.given("kept", KEPT)
        work.git("push", "-q", "--no-verify", "-u", "origin", "main")
        work.mlver("push")
        self.keep()
        self._first = self._objects

    def prepare(self, command: Command) -> None:
        """The bucket as it was first, and then as the command finds it."""
        self._put(self._first)
        command.prepare(self)
        self.keep()

    def remote(self) -> Remote:
        """The prefix, not through the proxy."""
        return open_remote(self._direct, {})

    def names(self, prefix: str) -> list[str]:
        with closing(self.remote()) as remote:
            return sorted(row.name for row in remote.list(prefix))

    def push(self, *datas: bytes) -> None:
        """Content that no repository names, each in a push of its own."""
        with open_store(self.box.root / "nobody") as store, closing(self.remote()) as remote:
            for data in datas:
                add(store, data)
                Pusher(store, Catalog(remote, "remote"), lambda _: None).push([pointer_of(data)])

    def keep(self) -> None:
        """What is there now is what `fresh` puts back."""
        with closing(self.remote()) as remote:
            names = [row.name for row in remote.list("")]
            with ThreadPoolExecutor(8) as pool:
                self._objects = dict(zip(names, pool.map(remote.read, names), strict=True))

    def fresh(self) -> Clone:
        """The bucket as it was kept, and a new copy of `work`."""
        self._put(self._objects)
        copy = self.box.root / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.box.root / "work", copy, symlinks=True)
        return self.box.at("copy")

    def _put(self, objects: dict[str, bytes]) -> None:
        with closing(self.remote()) as remote, ThreadPoolExecutor(8) as pool:
            remote.delete_many([row.name for row in remote.list("")])
            list(pool.map(lambda row: remote.create(row[0], [row[1]]), objects.items()))

    def assert_sound(self, datas: Iterable[bytes]) -> None:
        """A fresh clone can have all of these, and nothing on the remote is damaged or missing."""
        wanted = {pointer_of(data): b"" for data in datas}
        home = self.box.root / "fresh"
        shutil.rmtree(home, ignore_errors=True)
        with open_store(home) as store, ThreadPoolExecutor(2) as pool:
            catalog = Catalog(self.remote(), "remote")
            with closing(catalog):
                done = Fetcher(store, [catalog], pool, lambda _: None).fetch(wanted)
                assert not done.failed and not [p for p in wanted if store.missing(p)]
                assert fsck_remote.check(catalog, wanted) == []

    def packs_in_index(self) -> set[Digest]:
        with closing(Catalog(self.remote(), "remote")) as catalog:
            return {row.pack for item in catalog.objects() for row in item}


@dataclass(frozen=True)
class Command:
    """A command that may die: what is there before it, what is acknowledged then, and what must
    have come of it when it was run `again` times more."""

    words: tuple[str, ...]
    prepare: Callable[[Site], None]
    settled: Callable[[Site, Clone], None]
    acknowledged: tuple[bytes, ...] = tuple(KEPT.values())
    again: int = 1


def _new_commit(site: Site) -> None:
    work = site.box.at("work")
    if not work.path("new0.bin").exists():
        work.given("new", NEW)


def _pushed(site: Site, clone: Clone) -> None:
    site.assert_sound([*KEPT.values(), *NEW.values()])
    assert len(site.names(layout.PACKS)) == 2, "what was there already was sent again"
    assert "0 file(s) pushed" in (done := clone.mlver("push")).out + done.err


def _nothing_here(site: Site) -> None:
    _new_commit(site)
    work = site.box.at("work")
    work.mlver("push")
    for name in ("packs", "incoming"):
        shutil.rmtree(work.store / name)
    (work.store / "index.sqlite").unlink()


def _fetched(_: Site, clone: Clone) -> None:
    assert clone.json("fsck")["ok"]
    for name, data in {**KEPT, **NEW}.items():
        clone.path(name).unlink()
        clone.git("checkout", "-q", "--", name)
        assert clone.read(name) == data


def _dead_packs(site: Site) -> None:
    """Two that are condemned, named by the index object that names what is live; one that is not
    condemned yet."""
    site.push(*DEAD[:2])
    work = site.box.at("work")
    work.mlver("remote", "compact")
    work.mlver(*COLLECT)
    site.push(DEAD[2])


def _collected(site: Site, clone: Clone) -> None:
    assert site.names("gc/condemned/") == site.names("gc/locks/") == []
    live = {layout.pack_object(pack) for pack in site.packs_in_index()}
    assert live == {*site.names(layout.PACKS)} and len(live) == 1
    assert not list((clone.store / "collecting").iterdir())


def _many_pushes(site: Site) -> None:
    site.push(*DEAD)


def _compacted(site: Site, clone: Clone) -> None:
    assert len(site.names(layout.INDEX)) == 1
    site.assert_sound([*KEPT.values(), *DEAD])
    clone.mlver("gc", "--remote", "--yes")
    assert site.names("gc/locks/") == []


COMMANDS = {
    "compact": Command(("remote", "compact"), _many_pushes, _compacted, (*KEPT.values(), *DEAD)),
    "gc": Command(COLLECT, _dead_packs, _collected, again=2),
    "push": Command(("push",), _new_commit, _pushed),
    "fetch": Command(("fetch",), _nothing_here, _fetched, (*KEPT.values(), *NEW.values())),
}
"""In an order in which the repository of one serves the next; "fetch" takes its store away."""


def killed(site: Site, clone: Clone, command: Command, number: int, when: str, match: str) -> bool:
    """Run the command and kill -9 it at a request; False if it came to its end without that."""
    process: subprocess.Popen[bytes] | None = None

    def kill() -> None:
        assert process is not None
        process.send_signal(signal.SIGKILL)
        process.wait(60)

    site.proxy.trap = trap = Trap(kill, number, when, match)
    process = started(site.box, clone, command)
    code = process.wait(120)
    site.proxy.trap = None
    assert code == (-signal.SIGKILL if trap.sprung else 0)
    return trap.sprung


def started(box: Sandbox, clone: Clone, command: Command) -> subprocess.Popen[bytes]:
    """The command, as git would start it."""
    program = [sys.executable, "-P", "-E", str(MAIN), *command.words]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    return subprocess.Popen(program, cwd=clone.top, env=box.env, stderr=subprocess.DEVNULL, **quiet)


def address(server: str) -> tuple[str, int]:
    parts = urlsplit(server)
    return parts.hostname or "", parts.port or 0


def chosen() -> bool:
    """Is every point asked for?"""
    return os.environ.get("MLVER_KILLS") == "all"
