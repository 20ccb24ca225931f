"""A sandbox for each test: a copy of one that is installed once a process."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.sandbox import Clone, Sandbox, copy_of, make_template


@pytest.fixture(scope="session")
def sandbox_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "box"
    root.mkdir()
    make_template(root)
    return root


@pytest.fixture
def box(sandbox_template: Path, tmp_path: Path) -> Sandbox:
    return copy_of(sandbox_template, tmp_path / "box")


@pytest.fixture
def work(box: Sandbox) -> Clone:
    """A repository that tracks `*.bin`, with one commit."""
    return box.at("work")
