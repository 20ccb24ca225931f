"""What doctor tells of the remotes' servers, and how trusting one learns it."""

from __future__ import annotations

import json
import secrets
import uuid
from pathlib import Path

import pytest
from tests.cli.test_json_contract import checked
from tests.conformance.remotes.s3_tools import admin_client, make_bucket
from tests.support import ceph
from tests.support.s3_server import Endpoint
from tests.support.sandbox import Clone, Sandbox, content, copy_of

IAM = Path(__file__).parents[2] / "docs" / "guides" / "iam"


@pytest.fixture
def url(s3: Endpoint) -> str:
    return f"s3://{make_bucket(s3)}/{uuid.uuid4().hex}?endpoint={s3.url}"


@pytest.fixture
def person(s3: Endpoint, sandbox_template: Path, tmp_path: Path) -> Sandbox:
    """As `box`, with the server's keys in the environment."""
    return copy_of(sandbox_template, tmp_path / "person")


@pytest.fixture
def clone(person: Sandbox, url: str) -> Clone:
    """A clone of a repository that names a bucket, which it does not trust yet."""
    work = person.at("work")
    work.mlver("remote", "add", "team", url, "--share")
    work.commit("data", {"a.bin": content("a")})
    work.git("remote", "add", "origin", str(person.bare()))
    work.git("push", "-q", "origin", "main")
    return person.clone(person.root / "far.git", "clone")


def told(clone: Clone) -> dict[str, object]:
    (row,) = checked("doctor", clone.json("doctor"))["remotes"]
    return dict(row)


def test_doctor_tells_what_a_server_was_seen_to_do(clone: Clone, person: Sandbox) -> None:
    row = told(person.at("work"))
    assert row["trusted"] is True and row["needs_probe"] is False
    found = row["capabilities"]
    assert isinstance(found, dict) and found["conditional_put"] and found["consistent_listing"]
    said = person.at("work").attempt("mlver", "doctor").out
    assert "creates only if absent: yes, listings are up to date: yes" in said


def test_trusting_tries_a_server_once_for_each_address(clone: Clone, url: str) -> None:
    row = told(clone)
    assert (row["trusted"], row["needs_probe"], row["capabilities"]) == (False, True, None)
    clone.mlver("remote", "trust", "team")
    row = told(clone)
    assert row["trusted"] is True and row["needs_probe"] is False
    assert isinstance(row["capabilities"], dict)
    clone.git("config", "mlver.remote.team.conditionalPut", "false")  # what a second try would mend
    clone.mlver("remote", "trust", "team")
    assert clone.git("config", "mlver.remote.team.conditionalPut").out.strip() == "false"
    text = clone.path(".mlver.toml").read_text()
    clone.path(".mlver.toml").write_text(text.replace(url, url.replace("?", "/inner?")))
    clone.mlver("remote", "trust", "team")
    assert clone.git("config", "mlver.remote.team.conditionalPut").out.strip() == "true"


def test_what_was_seen_of_another_server_does_not_count(clone: Clone) -> None:
    clone.mlver("remote", "trust", "team")
    clone.git("config", "mlver.remote.team.probed", "https://elsewhere.example/bucket")
    row = told(clone)
    assert row["needs_probe"] is True and row["capabilities"] is None
    assert "is used the careful way" in clone.attempt("mlver", "doctor").out


def test_who_may_only_read_trusts_all_the_same_and_is_told(
    clone: Clone, person: Sandbox, url: str, needs_ceph: Endpoint
) -> None:
    user = "u" + secrets.token_hex(4)
    made = ceph.admin(Path(needs_ceph.home), "user", "create", f"--uid={user}", "--display-name=x")
    keys = json.loads(made)["keys"][0]
    bucket, _, prefix = url.removeprefix("s3://").partition("?")[0].partition("/")
    policy = (IAM / "reader.json").read_text().replace("BUCKET", bucket).replace("PREFIX", prefix)
    admin_client(needs_ceph, "iam").put_user_policy(
        UserName=user, PolicyName="mlver", PolicyDocument=policy
    )
    person.env |= {
        "AWS_ACCESS_KEY_ID": keys["access_key"],
        "AWS_SECRET_ACCESS_KEY": keys["secret_key"],
    }
    done = clone.mlver("remote", "trust", "team")
    assert any("for who only reads that is no harm" in text for text in done.warnings)
    clone.mlver("pull")
    assert clone.read("a.bin") == content("a")
    row = told(clone)
    assert row["trusted"] is True and row["needs_probe"] is True


def test_a_server_that_does_not_answer_is_trusted_with_a_warning(work: Clone) -> None:
    with work.path(".mlver.toml").open("a") as file:
        file.write('\n[remotes.team]\nurl = "s3://bucket/p?endpoint=http://127.0.0.1:1"\n')
    done = work.mlver("remote", "trust", "team")
    assert done.warnings and "Traceback" not in done.err
    (row,) = work.json("remote", "list")["remotes"]
    assert row["trusted"] is True


def test_a_directory_has_no_server_to_try(box: Sandbox, work: Clone) -> None:
    (box.root / "shared").mkdir()
    work.mlver("remote", "add", "team", str(box.root / "shared"))
    row = told(work)
    assert (row["needs_probe"], row["capabilities"]) == (False, None)
