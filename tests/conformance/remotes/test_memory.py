"""The contract over a dict."""

import pytest
from tests.conformance.remotes.contract import RemoteContract

from mlver.remotes.base import Remote
from mlver.remotes.memory import MemoryRemote


class TestMemory(RemoteContract):
    shared_by_processes = False

    @pytest.fixture
    def remote(self) -> Remote:
        return MemoryRemote()


def test_the_clock_is_the_callers() -> None:
    now = [100.0]
    remote = MemoryRemote(clock=lambda: now[0])
    remote.create("old", [b"x"])
    now[0] = 200.0
    remote.create("young", [b"x"])
    assert [(row.name, row.modified) for row in remote.list("")] == [("old", 100), ("young", 200)]
