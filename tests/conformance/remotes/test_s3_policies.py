"""The IAM policies of the guide, as an S3 server enforces them; and what a refusal says."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conformance.remotes.s3_tools import admin_client, make_bucket
from tests.support import ceph
from tests.support.s3_server import Endpoint

from mlver.errors import RemoteError
from mlver.remotes.base import NotFound, TransientRemoteError
from mlver.remotes.s3 import S3Remote
from mlver.remotes.s3_settings import parse

POLICIES = Path(__file__).parents[3] / "docs" / "guides" / "iam"
PREFIX = "team/data"
As = Callable[..., S3Remote]


@pytest.fixture
def policy_bucket(needs_ceph: Endpoint) -> str:
    """A bucket with an object in the prefix and one beside it."""
    bucket = make_bucket(needs_ceph)
    client = admin_client(needs_ceph)
    for key in (f"{PREFIX}/packs/aa/here", f"{PREFIX}/index/0/here", "team/other/secret"):
        client.put_object(Bucket=bucket, Key=key, Body=b"0123456789")
    return bucket


@pytest.fixture
def as_role(needs_ceph: Endpoint, policy_bucket: str, monkeypatch: pytest.MonkeyPatch) -> As:
    """The remote as a new user sees it who has one policy of the guide and nothing else."""

    def enter(role: str, change: Callable[[str], str] = lambda text: text) -> S3Remote:
        user = "u" + secrets.token_hex(4)
        made = ceph.admin(Path(needs_ceph.home), "user", "create", f"--uid={user}",
                          "--display-name=x")  # fmt: skip
        keys = json.loads(made)["keys"][0]
        text = (POLICIES / f"{role}.json").read_text()
        text = change(text.replace("BUCKET", policy_bucket).replace("PREFIX", PREFIX))
        iam = admin_client(needs_ceph, "iam")
        iam.put_user_policy(UserName=user, PolicyName="mlver", PolicyDocument=text)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["access_key"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["secret_key"])
        return S3Remote(parse(f"s3://{policy_bucket}/{PREFIX}?endpoint={needs_ceph.url}", {}))

    return enter


def refused(act: Callable[[], object]) -> RemoteError:
    """What is said where the server answers 403."""
    with pytest.raises(RemoteError, match="cannot") as caught:
        act()
    assert not isinstance(caught.value, NotFound | TransientRemoteError)
    return caught.value


def reads(remote: S3Remote) -> None:
    assert remote.read("packs/aa/here", 2, 3) == b"234"
    assert remote.size("packs/aa/none") is None
    with pytest.raises(NotFound):
        remote.read("packs/aa/none")
    assert {row.name for row in remote.list("")} >= {"packs/aa/here", "index/0/here"}


def test_a_reader_reads_and_changes_nothing(as_role: As) -> None:
    remote = as_role("reader")
    reads(remote)
    assert "s3:PutObject" in refused(lambda: remote.create("packs/aa/new", [b"x"])).why
    assert "s3:DeleteObject" in refused(lambda: remote.delete("packs/aa/here")).why
    assert "s3:DeleteObject" in refused(lambda: remote.delete_many(["packs/aa/here"])).why
    assert remote.size("packs/aa/here") == 10


def test_a_writer_creates_and_never_deletes(as_role: As) -> None:
    remote = as_role("writer")
    reads(remote)
    assert remote.create("packs/aa/new", [b"x"]) is True
    assert remote.create("packs/aa/new", [b"y"]) is False
    assert remote.create("mlver.json", [b"{}"]) is True
    assert "s3:DeleteObject" in refused(lambda: remote.delete("packs/aa/new")).why
    assert remote.read("packs/aa/new") == b"x"


def test_a_writers_probe_tells_the_same_and_leaves_no_more_at_the_second_time(as_role: As) -> None:
    remote = as_role("writer")
    found = remote.probe()
    left = [row.name for row in remote.list("probe/")]
    assert (
        found.conditional_put
        and found.content_md5
        and found.signed_body
        and found.consistent_listing
    )
    assert remote.probe() == found
    assert [row.name for row in remote.list("probe/")] == left and len(left) <= 2


def test_a_reader_cannot_probe_and_is_told_why(as_role: As) -> None:
    remote = as_role("reader")
    assert "s3:PutObject" in refused(remote.probe).why


def test_a_collector_deletes_and_writes_no_packs(as_role: As) -> None:
    remote = as_role("gc")
    reads(remote)
    assert remote.create("gc/condemned", [b"x"]) is True
    assert remote.create("index/1/new", [b"x"]) is True
    assert "s3:PutObject" in refused(lambda: remote.create("packs/aa/new", [b"x"])).why
    remote.delete("index/0/here")
    remote.delete_many(["packs/aa/here", "packs/aa/none"])
    assert remote.size("packs/aa/here") is None


@pytest.mark.parametrize("role", ["reader", "writer", "gc"])
def test_nobody_reaches_what_is_beside_the_prefix(as_role: As, role: str) -> None:
    remote = as_role(role)
    settings = parse(remote.url.replace(PREFIX, "team/other"), {})
    beside = S3Remote(settings)
    refused(lambda: beside.read("secret"))
    refused(lambda: beside.create("new", [b"x"]))
    refused(lambda: beside.delete("secret"))


def test_without_the_right_to_list_a_missing_object_is_an_error_that_says_so(as_role: As) -> None:
    """The server then answers 403, and must not be taken to have said that it is not there."""
    remote = as_role("reader", lambda text: text.replace("s3:ListBucket", "s3:GetBucketLocation"))
    assert remote.read("packs/aa/here") == b"0123456789"
    for act in (remote.size, remote.read):
        error = refused(lambda act=act: act("packs/aa/none"))  # type: ignore[misc]
        assert "s3:ListBucket" in error.why and "s3:ListBucket" in error.fix
    assert "s3:ListBucket is missing" in refused(lambda: list(remote.list(""))).why


def test_another_owners_bucket_is_refused_where_the_owner_is_known(
    needs_ceph: Endpoint, policy_bucket: str
) -> None:
    """Ceph 16 takes no notice of the header; that it is sent, and named in errors, is seen here."""
    url = f"s3://{policy_bucket}/{PREFIX}?endpoint={needs_ceph.url}"
    remote = S3Remote(parse(url, {"expectedbucketowner": "123456789012"}))
    sent: list[str] = []
    remote.client().meta.events.register(
        "before-send.s3",
        lambda request, **_: sent.append(
            request.headers.get("x-amz-expected-bucket-owner", b"").decode()
        ),
    )
    remote.create("packs/aa/owned", [b"x"])
    list(remote.list(""))
    remote.delete_many(["packs/aa/owned"])
    assert set(sent) == {"123456789012"}
