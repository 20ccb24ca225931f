"""The suites are no test modules by name; pytest is to explain their assertions all the same."""

from pathlib import Path

import pytest
from tests.support.s3_server import Endpoint

from mlver.remotes.directory import DirectoryRemote

pytest.register_assert_rewrite(
    "tests.conformance.remotes.compaction",
    "tests.conformance.remotes.contract",
    "tests.conformance.remotes.races",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a directory remote is to be; not there yet."""
    return tmp_path / "remote"


@pytest.fixture
def remote(root: Path) -> DirectoryRemote:
    return DirectoryRemote(root)


@pytest.fixture(scope="session")
def bucket(s3_endpoint: Endpoint) -> str:
    """One bucket for this process's tests; each of them has a prefix of its own in it."""
    from tests.conformance.remotes.s3_tools import make_bucket

    return make_bucket(s3_endpoint)
