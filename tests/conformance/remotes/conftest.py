"""The suites are no test modules by name; pytest is to explain their assertions all the same."""

from pathlib import Path

import pytest

from mlver.remotes.directory import DirectoryRemote

pytest.register_assert_rewrite(
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
