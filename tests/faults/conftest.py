"""One stage for all sweeps of a run: its worlds are built when first asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.faults.cli_scenarios import WORLDS
from tests.faults.sweep import Stage
from tests.unit.store_material import scratch_folder


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """In memory where that can be had: a kill or an errno asks nothing of the disk itself."""
    with scratch_folder(tmp_path_factory.mktemp("stage")) as folder:
        yield Stage(folder, WORLDS)
