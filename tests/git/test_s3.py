"""Ordinary git with a bucket as the place of content, against a real S3 server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.s3_server import Endpoint
from tests.support.sandbox import Clone, Sandbox, content

KIB = 1024


@pytest.fixture
def bucket(box: Sandbox, s3: Endpoint, tmp_path: Path) -> Iterator[str]:
    """The address of an empty prefix in a bucket; the sandbox has the keys."""
    import boto3

    name = "git-" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]
    boto3.client("s3", endpoint_url=s3.url).create_bucket(Bucket=name)
    box.env |= s3.settings()
    yield f"s3://{name}/project?endpoint={s3.url}&region=us-east-1"


@pytest.fixture
def far(box: Sandbox) -> Path:
    return box.bare()


@pytest.fixture
def team(work: Clone, far: Path, bucket: str) -> Clone:
    """A repository whose content goes to the bucket, for whoever trusts it."""
    work.mlver("remote", "add", "team", bucket, "--share")
    work.git("remote", "add", "origin", str(far))
    work.git("add", ".mlver.toml")
    work.commit("one", {"a.bin": content(1, 300 * KIB), "b.bin": content(2)})
    work.git("push", "-q", "-u", "origin", "main")
    return work


def trusting(box: Sandbox, far: Path, name: str) -> Clone:
    """A clone whose owner trusts the bucket, without the pusher's own store to fall back upon."""
    clone = box.clone(far, name)
    clone.mlver("remote", "trust", "team")
    return clone


def test_what_was_pushed_comes_back_in_a_fresh_clone(box: Sandbox, far: Path, team: Clone) -> None:
    clone = trusting(box, far, "second")
    assert b"mlver" in clone.read("a.bin")  # not trusted while git checked it out
    clone.mlver("pull")
    assert clone.read("a.bin") == content(1, 300 * KIB) and clone.read("b.bin") == content(2)
    clone.settled()
    assert clone.json("fsck", "--remote")["ok"]


def test_a_second_version_sends_what_is_new_and_reads_one_index_object(
    box: Sandbox, far: Path, team: Clone
) -> None:
    clone = trusting(box, far, "second")
    clone.mlver("pull")
    kept = {path.name for path in (clone.store / "remote-index").iterdir()}
    data = bytearray(content(1, 300 * KIB))
    data[150_000:150_010] = b"0123456789"
    team.commit("two", {"a.bin": bytes(data)})
    team.git("push", "-q")
    clone.git("pull", "-q")
    assert clone.read("a.bin") == bytes(data)
    after = {path.name for path in (clone.store / "remote-index").iterdir()}
    assert kept < after and len(after - kept) == 1


def test_a_push_is_repeated_without_sending_again(team: Clone) -> None:
    again = team.mlver("push")
    assert "0 file(s) pushed" in again.out + again.err


def test_a_bucket_that_is_gone_refuses_the_push_and_loses_nothing(
    box: Sandbox, far: Path, team: Clone, s3: Endpoint
) -> None:
    before = box.run(["git", "rev-parse", "main"], far).out
    team.commit("two", {"c.bin": content(3)})
    done = team.attempt("push", "-q", AWS_SECRET_ACCESS_KEY="wrong")
    assert done.code != 0 and "Traceback" not in done.err
    assert box.run(["git", "rev-parse", "main"], far).out == before
    team.git("push", "-q")
    clone = trusting(box, far, "second")
    clone.mlver("pull")
    assert clone.read("c.bin") == content(3)


def test_a_compacted_index_in_a_bucket_serves_clones_and_pushes(
    box: Sandbox, far: Path, team: Clone
) -> None:
    team.commit("two", {"c.bin": content(3)})
    team.git("push", "-q")
    done = team.json("remote", "compact")
    assert (done["objects_before"], done["objects_after"]) == (2, 1)
    team.commit("three", {"d.bin": content(4)})
    team.git("push", "-q")
    clone = trusting(box, far, "second")
    clone.mlver("pull")
    assert clone.read("a.bin") == content(1, 300 * KIB) and clone.read("d.bin") == content(4)
    assert clone.json("fsck", "--remote")["ok"]
    assert team.json("remote", "compact", "team")["objects_after"] == 1


def test_a_clone_whose_store_keeps_nothing_holds_the_data_once(
    box: Sandbox, far: Path, team: Clone
) -> None:
    team.commit("two", {"a.bin": content(2, 300 * KIB)})
    team.git("push", "-q")
    clone = trusting(box, far, "second")
    clone.git("config", "mlver.cacheSize", "0")
    clone.mlver("pull")
    assert clone.read("a.bin") == content(2, 300 * KIB) and clone.read("b.bin") == content(2)
    clone.git("checkout", "-q", "HEAD~1")
    assert clone.read("a.bin") == content(1, 300 * KIB)
    clone.git("checkout", "-q", "-")
    assert not list(clone.store.rglob("*.pack"))
    clone.settled()
    clone.commit("three", {"a.bin": content(3, 300 * KIB)})
    clone.git("push", "-q")
    clone.mlver("pull")
    assert not list(clone.store.rglob("*.pack"))
    again = clone.attempt("checkout", "-q", "HEAD~1", AWS_SECRET_ACCESS_KEY="wrong")
    assert again.code == 0 and len(again.warnings) == 1, again.err
    clone.mlver("pull")
    assert clone.read("a.bin") == content(2, 300 * KIB)
