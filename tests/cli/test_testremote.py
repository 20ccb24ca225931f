"""`git mlver testremote`, and S3 from the command line: add, trust, push, clone."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from tests.cli.test_json_contract import checked
from tests.conformance.remotes.s3_tools import make_bucket
from tests.support.s3_server import Endpoint
from tests.support.sandbox import Clone, Sandbox, content

from mlver.errors import RefusedError, RemoteError, UsageError
from mlver.remotes.memory import MemoryRemote
from mlver.remotes.qualify import Check, qualify


@pytest.fixture(scope="module")
def bucket(s3_endpoint: Endpoint) -> str:
    return make_bucket(s3_endpoint)


@pytest.fixture
def url(s3: Endpoint, bucket: str) -> str:
    return f"s3://{bucket}/{uuid.uuid4().hex}?endpoint={s3.url}"


@pytest.fixture
def person(s3: Endpoint, sandbox_template: Path, tmp_path: Path) -> Sandbox:
    """As `box`, with the server's keys in the environment."""
    from tests.support.sandbox import copy_of

    return copy_of(sandbox_template, tmp_path / "person")


def verdicts(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.verdict for check in checks}


# -- what is found


def test_a_directory_is_qualified_and_left_as_it_was(box: Sandbox) -> None:
    folder = box.root / "shared"
    folder.mkdir()
    done = box.git("mlver", "testremote", str(folder))
    assert "✓ create never replaces" in done.out and "MB/s" in done.out
    assert [path.name for path in folder.iterdir()] == ["tmp"]


def test_a_bucket_is_qualified_and_left_as_it_was(person: Sandbox, url: str, s3: Endpoint) -> None:
    work = person.at("work")
    found = checked("testremote", work.json("testremote", "--fast", url))
    assert found["ok"] and found["url"] == url
    warned = [row["name"] for row in found["checks"] if row["verdict"] == "warning"]
    guards = {
        "the server refuses a wrong Content-MD5",
        "the server refuses a body that is not the signed one",
    }
    assert not guards & {*warned} if s3.kind == "ceph" else {*warned} == guards
    from mlver.remotes.registry import open_remote

    assert list(open_remote(url).list("")) == []


def test_a_remote_that_does_not_answer_is_exit_code_6(box: Sandbox) -> None:
    done = box.run(["git", "mlver", "testremote", str(box.root / "not" / "there")])
    assert done.code == RemoteError.exit_code and done.out == ""


def test_a_name_is_looked_up_and_an_untrusted_one_is_not_contacted(work: Clone) -> None:
    assert work.attempt("mlver", "testremote", "nobody").code == UsageError.exit_code
    with work.path(".mlver.toml").open("a") as file:
        file.write(f'[remotes.team]\nurl = "{work.box.root}/team"\n')
    assert work.attempt("mlver", "testremote", "team").code == RefusedError.exit_code
    folder = work.box.root / "mine"
    work.mlver("remote", "add", "mine", str(folder))
    assert "create never replaces" in work.mlver("testremote", "--fast", "mine").out


class Replacing(MemoryRemote):
    def create(self, name: str, parts: object) -> bool:
        self.delete(name)
        super().create(name, parts)  # type: ignore[arg-type]
        return True


class Forgetful(MemoryRemote):
    def list(self, prefix: str):  # type: ignore[no-untyped-def]
        return iter([*super().list(prefix)][:10])


class Cutting(MemoryRemote):
    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        whole = super().read(name)
        return whole[start:] if length is None else whole[start : start + length]


@pytest.mark.parametrize(
    ("remote", "broken"),
    [
        (Replacing, "create never replaces"),
        (Forgetful, "a listing is complete"),
        (Cutting, "ranges are exact"),
    ],
)
def test_a_remote_that_breaks_a_promise_is_found_out(
    remote: type[MemoryRemote], broken: str
) -> None:
    found = verdicts(list(qualify(remote(), "testremote/x/", fast=True)))
    assert found[broken] == "failed"
    assert verdicts(list(qualify(MemoryRemote(), "testremote/x/")))[broken] == "ok"


# -- S3 in daily use


def test_what_the_server_can_do_is_recorded_when_a_remote_is_added(
    person: Sandbox, url: str, s3: Endpoint
) -> None:
    work = person.at("work")
    done = work.mlver("remote", "add", "team", url)
    assert done.warnings == [] or s3.kind != "ceph"
    kept = work.git("config", "--get-regexp", r"^mlver\.remote\.team\.").out.lower()
    assert f"probed {s3.url}/" in kept and "conditionalput true" in kept
    work.mlver("remote", "remove", "team")
    assert work.attempt("config", "--get-regexp", r"^mlver\.remote\.team\.").out == ""


def test_options_are_set_and_a_wrong_one_is_refused(person: Sandbox, url: str) -> None:
    work = person.at("work")
    words = ("mlver", "remote", "add", "team", url, "--set")
    assert work.attempt(*words, "secret=x").code == UsageError.exit_code
    assert work.attempt(*words, "retentionDays=many").code == UsageError.exit_code
    assert work.attempt("config", "mlver.remote.team.url").out == ""
    work.git(*words, "expectedBucketOwner=")
    assert work.attempt("config", "mlver.remote.team.url").out.strip() == url


def test_what_is_pushed_to_a_bucket_comes_back_in_a_clone_that_trusts_it(
    person: Sandbox, url: str
) -> None:
    work, data = person.at("work"), content("a")
    work.mlver("remote", "add", "team", url, "--share")
    work.commit("data", {"a.bin": data})
    work.git("remote", "add", "origin", str(person.bare()))
    work.git("push", "-q", "origin", "main")
    clone = person.clone(person.root / "far.git", "clone")
    assert clone.read("a.bin") != data
    clone.mlver("remote", "trust", "team")
    clone.mlver("pull")
    assert clone.read("a.bin") == data


@pytest.mark.parametrize(
    ("old", "new"),
    [("endpoint=http://", "endpoint=http://evil.example#http://"), ("s3://", "s3://x")],
)
def test_another_endpoint_or_bucket_is_another_address_and_has_to_be_trusted_again(
    work: Clone, old: str, new: str
) -> None:
    """The endpoint is part of the address, so that no commit can send a request elsewhere."""
    path, url = work.path(".mlver.toml"), "s3://bucket/p?endpoint=http://127.0.0.1:1"
    before = path.read_text()
    path.write_text(f'{before}\n[remotes.team]\nurl = "{url}"\n')
    work.mlver("remote", "trust", "team")
    assert work.attempt("mlver", "testremote", "team").code == RemoteError.exit_code  # asked
    path.write_text(f'{before}\n[remotes.team]\nurl = "{url.replace(old, new)}"\n')
    assert work.attempt("mlver", "testremote", "team").code == RefusedError.exit_code
    (row,) = work.json("remote", "list")["remotes"]
    assert row["trusted"] is False
