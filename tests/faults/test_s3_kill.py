"""`kill -9` of the client, and of the server, in the middle of what works on a bucket: the next run
comes to the same end, and whatever was acknowledged can be read by a fresh clone all along.

MLVER_KILLS=all kills at every request, before it, amid its body and after its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.faults.s3_kills import COMMANDS, Command, Site, address, chosen, killed, started
from tests.support import ceph
from tests.support.fault_proxy import FaultProxy, Trap
from tests.support.s3_server import Endpoint
from tests.support.sandbox import Clone, Sandbox

Point = tuple[int, str, str]
SAMPLE: dict[str, list[Point]] = {
    "compact": [(1, "after", "PUT .*/index/compacted/")],
    "gc": [(1, "after", "POST .*delete")],
    "push": [(1, "after", "PUT .*/packs/"), (1, "during", "PUT .*/packs/")],
    "fetch": [(1, "after", "GET .*/packs/")],
}
SERVER_DIES: dict[str, list[Point]] = {
    "gc": [(2, "after", "POST .*delete")],
    "push": [(1, "after", "PUT .*/packs/")],
}


def groups(names: Sequence[str]) -> list[list[str]]:
    """One after another in one place; each in a test of its own where it takes long."""
    return [[name] for name in names] if chosen() else [[*names]]


def each_point(sample: list[Point], kill_at: Callable[[int, str, str], bool]) -> None:
    """Kill at each; `kill_at` is False where the command came to its end before that."""
    if not chosen():
        for point in sample:
            assert kill_at(*point), f"no such request was made: {point}"
        return
    for when, match in (("before", ""), ("during", "PUT |POST "), ("after", "")):
        number = 1
        while kill_at(number, when, match):
            number += 1
        print(f"{number - 1} kills {when} a request")


def converges(site: Site, clone: Clone, command: Command) -> None:
    for _ in range(command.again):
        clone.mlver(*command.words)
        site.assert_sound(command.acknowledged)
    command.settled(site, clone)


@pytest.mark.long
@pytest.mark.parametrize("names", groups([*COMMANDS]), ids="-".join)
def test_a_command_that_is_killed_goes_on_and_nothing_acknowledged_is_lost(
    box: Sandbox, s3: Endpoint, names: list[str]
) -> None:
    with FaultProxy(*address(s3.url)) as proxy:
        site = Site(box, s3, proxy)
        for command, sample in [(COMMANDS[name], SAMPLE[name]) for name in names]:
            site.prepare(command)

            def kill_at(number: int, when: str, match: str, command: Command = command) -> bool:
                clone = site.fresh()
                if not killed(site, clone, command, number, when, match):
                    return False
                site.assert_sound(command.acknowledged)
                converges(site, clone, command)
                return True

            each_point(sample, kill_at)


@pytest.fixture
def gateway(needs_ceph: Endpoint) -> Iterator[ceph.Gateway]:
    made = ceph.Gateway(Path(needs_ceph.home))
    yield made
    made.stop()


@pytest.mark.long
@pytest.mark.parametrize("names", groups([*SERVER_DIES]), ids="-".join)
def test_a_server_that_is_killed_and_comes_back_loses_nothing(
    box: Sandbox, s3: Endpoint, gateway: ceph.Gateway, names: list[str]
) -> None:
    def cut() -> None:
        gateway.stop()
        gateway.start()

    with FaultProxy(*address(gateway.url)) as proxy:
        site = Site(box, s3, proxy)
        for command, sample in [(COMMANDS[name], SERVER_DIES[name]) for name in names]:
            site.prepare(command)

            def kill_at(number: int, when: str, match: str, command: Command = command) -> bool:
                clone = site.fresh()
                proxy.trap = trap = Trap(cut, number, when, match)
                started(site.box, clone, command).wait(300)
                proxy.trap = None
                if trap.sprung:
                    site.assert_sound(command.acknowledged)
                    converges(site, clone, command)
                return trap.sprung

            each_point(sample, kill_at)
