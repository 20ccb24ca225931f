"""Clones that push at once, with collection looping beside them: whatever a push acknowledged can
be fetched by a fresh clone.

MLVER_CROWD=16x200 makes it 16 clones and 200 rounds, at the S3 server alone; its figures go to
standard output. What stands for the grace: see `crowd`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.faults import crowd
from tests.support.s3_server import Endpoint
from tests.unit.store_material import open_store, scratch_folder

from mlver.exchange import layout
from mlver.exchange.catalog import Catalog
from mlver.exchange.fetch import Fetcher
from mlver.model.pointer import Pointer
from mlver.workflows import fsck_remote

ROOT = Path(__file__).resolve().parents[2]
SIZE = os.environ.get("MLVER_CROWD", "")
CLONES, ROUNDS = map(int, (SIZE or "4x6").split("x"))


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.crowd", *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def figures(process: subprocess.Popen[str]) -> Counter[str]:
    out, err = process.communicate()
    assert process.returncode == 0, err
    return Counter(json.loads(out))


def run(folder: Path, url: str) -> dict[str, int]:
    """All of it, until everybody has ended; what they did."""
    (folder / "refs").mkdir()
    settings = {"url": url, "options": {}, "rounds": ROUNDS, "seed": "crowd"}
    (folder / "settings.json").write_text(json.dumps(settings))
    remote = crowd.opened(settings)
    layout.ensure_meta(remote)
    remote.close()
    collector = start("collector", str(folder))
    clones = [start("clone", str(number), str(folder)) for number in range(CLONES)]
    try:
        done: Counter[str] = Counter()
        longest = 0
        for process in clones:
            found = figures(process)
            longest = max(longest, found.pop("longest_ms"))
            done += found
    finally:
        (folder / "done").touch()
        collected = figures(collector)
    return {**done, "longest_ms": longest, **collected}


def lost(folder: Path) -> int:
    """Blobs that a fresh clone cannot have, and what else is wrong on the remote."""
    settings = crowd.settings_in(folder)
    found = 0
    every: dict[Pointer, bytes] = {}
    for name, pointers in crowd.named_in(folder).items():
        assert pointers
        every |= dict.fromkeys(pointers, name.encode())
        with open_store(folder / f"fresh-{name}") as store, ThreadPoolExecutor(4) as pool:
            catalog = Catalog(crowd.opened(settings), "remote")
            done = Fetcher(store, [catalog], pool, lambda _: None).fetch(pointers)
            catalog.close()
            found += len(done.failed) + sum(store.missing(p) is not None for p in pointers)
    catalog = Catalog(crowd.opened(settings), "remote")
    problems = fsck_remote.check(catalog, every)
    left = list(catalog.remote.list(layout.CONDEMNED))
    catalog.close()
    assert not left, f"collection has not come to its end; lost: {found + len(problems)}"
    return found + len(problems)


@pytest.mark.parametrize("kind", ["directory", "s3"] if not SIZE else ["s3"])
def test_a_crowd_that_pushes_beside_collection_loses_nothing(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    with scratch_folder(tmp_path) as folder:
        url = str(folder / "remote")
        (folder / "remote").mkdir()
        if kind == "s3":
            url = _bucket(request.getfixturevalue("s3"))
        began = time.monotonic()
        done = run(folder, url)
        seconds = time.monotonic() - began
        gone = lost(folder)
    if SIZE:
        with capsys.disabled():
            print(f"\n{CLONES} clones, {ROUNDS} rounds, {seconds:.0f} s, lost {gone}: {done}")
    assert gone == 0, done
    assert done["after"] + done["beside"] > 0, "nothing was deleted: nothing was tried"


def _bucket(server: Endpoint) -> str:
    import boto3

    name = f"crowd-{uuid.uuid4().hex[:12]}"
    boto3.client("s3", endpoint_url=server.url).create_bucket(Bucket=name)
    return f"s3://{name}/team?endpoint={server.url}&region=us-east-1"
