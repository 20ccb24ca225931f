"""Compaction over every kind of remote."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conformance.remotes.compaction import CompactionContract
from tests.conformance.remotes.s3_tools import PROVED, opened
from tests.support.s3_server import Endpoint

from mlver.remotes.base import Remote
from mlver.remotes.directory import DirectoryRemote
from mlver.remotes.memory import MemoryRemote


class TestMemoryCompacts(CompactionContract):
    @pytest.fixture
    def remote(self) -> Remote:
        return MemoryRemote()


class TestDirectoryCompacts(CompactionContract):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> Remote:
        (tmp_path / "remote").mkdir()
        return DirectoryRemote(tmp_path / "remote")


class TestS3Compacts(CompactionContract):
    @pytest.fixture
    def remote(self, s3: Endpoint, bucket: str) -> Remote:
        return opened(s3.url, bucket, PROVED)


class TestUnprobedS3Compacts(TestS3Compacts):
    """A server of which nothing is known."""

    @pytest.fixture
    def remote(self, s3: Endpoint, bucket: str) -> Remote:
        return opened(s3.url, bucket)

    test_who_has_listed_what_goes_looks_again = None
    test_a_push_beside_it_finds_and_names_everything = None
    test_a_large_object_goes_up_from_a_file_and_is_read_in_parts = None
    test_one_at_a_time = None
