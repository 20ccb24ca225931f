"""What every test may use: a sandbox of its own, a copy of one that is installed once a process;
the run's S3 server, started when the first test asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import s3_server
from tests.support.s3_server import Endpoint
from tests.support.sandbox import Clone, Sandbox, copy_of, make_template
from tests.support.worlds import Worlds


def pytest_report_header() -> str:
    return s3_server.described()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


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


@pytest.fixture(scope="session")
def worlds(sandbox_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    """What `box` can be turned into, each made once a process."""
    return Worlds(sandbox_template, tmp_path_factory.mktemp("worlds"))


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Endpoint:
    """The S3 server of this run, one for all its processes."""
    if not s3_server.kind():
        pytest.skip(s3_server.described())
    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        return s3_server.shared(base.parent, os.getppid())
    return s3_server.shared(base, os.getpid())


@pytest.fixture
def s3(s3_endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """The same, with the keys in the environment, where the AWS library looks for them."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_endpoint.settings().items():
        monkeypatch.setenv(name, value)
    yield s3_endpoint


@pytest.fixture
def needs_ceph(s3: Endpoint) -> Endpoint:
    """For what moto's server does not keep: permissions, Content-MD5, one winner of a race."""
    if s3.kind != "ceph":
        pytest.skip("moto's server does not keep this; install radosgw, ceph-mon and ceph-osd")
    return s3
