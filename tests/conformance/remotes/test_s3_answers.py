"""Servers that do less than AWS, answers that are not whole, and what is sent to them."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from tests.conformance.remotes.s3_tools import MD5_ONLY, PROVED, admin_client, make_bucket, opened
from tests.support.s3_server import Endpoint

from mlver.errors import RemoteError
from mlver.remotes.base import TransientRemoteError
from mlver.remotes.s3 import S3Remote

# -- servers that do less


def answering(remote: S3Remote, operation: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Let `change` alter what botocore makes of the answers to one operation."""
    remote.client().meta.events.register(
        f"after-call.s3.{operation}", lambda parsed, **_: change(parsed)
    )


@pytest.fixture
def own(s3: Endpoint, bucket: str) -> S3Remote:
    """A remote with a client of its own, to be spoiled."""
    return S3Remote(opened(s3.url, bucket, PROVED).settings, page=5)


def test_an_answer_without_its_fields_is_not_believed(own: S3Remote) -> None:
    own.create("packs/a", [b"x"])
    answering(own, "PutObject", lambda parsed: parsed.pop("ETag"))
    answering(own, "HeadObject", lambda parsed: parsed.pop("ContentLength"))
    for act in (lambda: own.create("packs/b", [b"x"]), lambda: own.size("packs/a")):
        with pytest.raises(TransientRemoteError, match="incomplete"):
            act()


@pytest.mark.parametrize(
    "change",
    [
        lambda parsed: parsed.pop("IsTruncated"),
        lambda parsed: parsed.update(KeyCount=7),
        lambda parsed: parsed.update(IsTruncated=True, NextContinuationToken=""),
        lambda parsed: parsed["Contents"][0].update(Key="elsewhere/x"),
        lambda parsed: parsed["Contents"][0].pop("Size"),
    ],
)
def test_a_listing_that_may_lack_something_is_an_error(
    own: S3Remote, change: Callable[[dict[str, Any]], None]
) -> None:
    own.create("packs/a", [b"x"])
    answering(own, "ListObjectsV2", change)
    with pytest.raises(RemoteError):
        list(own.list("packs/"))


def test_a_listing_that_turns_in_a_circle_ends(own: S3Remote) -> None:
    own.create("packs/a", [b"x"])
    answering(
        own,
        "ListObjectsV2",
        lambda parsed: parsed.update(IsTruncated=True, NextContinuationToken="same"),
    )
    with pytest.raises(RemoteError):
        list(own.list("packs/"))


def test_a_server_that_knows_no_ranges_is_an_error_and_no_wrong_bytes(own: S3Remote) -> None:
    own.create("packs/a", [b"0123456789"])
    own.client().meta.events.register(
        "before-parameter-build.s3.GetObject", lambda params, **_: params.pop("Range", None)
    )
    with pytest.raises(RemoteError, match="all of packs/a"):
        own.read("packs/a", 2, 3)
    assert own.read("packs/a") == b"0123456789"


def test_a_server_that_refuses_conditions_is_asked_first(own: S3Remote) -> None:
    from botocore.exceptions import ClientError

    def refuse(params: dict[str, Any], **_: object) -> None:
        if "IfNoneMatch" in params:
            answer = {
                "Error": {"Code": "NotImplemented"},
                "ResponseMetadata": {"HTTPStatusCode": 501},
            }
            raise ClientError(answer, "PutObject")  # type: ignore[arg-type]

    own.client().meta.events.register("before-parameter-build.s3.PutObject", refuse)
    assert own.create("packs/a", [b"first"]) is True
    assert own.create("packs/a", [b"second"]) is False
    assert own.read("packs/a") == b"first"


def test_a_server_without_batches_deletes_one_by_one(own: S3Remote) -> None:
    from botocore.exceptions import ClientError

    def refuse(**_: object) -> None:
        answer = {"Error": {"Code": "501"}, "ResponseMetadata": {"HTTPStatusCode": 501}}
        raise ClientError(answer, "DeleteObjects")  # type: ignore[arg-type]

    for name in ("packs/a", "packs/b"):
        own.create(name, [b"x"])
    own.client().meta.events.register("before-parameter-build.s3.DeleteObjects", refuse)
    own.delete_many(["packs/a", "packs/b", "packs/none"])
    assert list(own.list("")) == []


def test_a_batch_that_left_something_is_an_error(own: S3Remote) -> None:
    own.create("packs/a", [b"x"])
    answering(own, "DeleteObjects", lambda parsed: parsed.update(Deleted=[]))
    with pytest.raises(TransientRemoteError, match="cannot delete"):
        own.delete_many(["packs/a"])


# -- what is sent


Sent = list[tuple[str, dict[str, str]]]


def noted(remote: S3Remote) -> Sent:
    """The methods and headers of what the remote sends from now on."""
    sent: Sent = []

    def note(request: Any, **_: object) -> None:
        plain = {
            key.lower(): value if isinstance(value, str) else value.decode("latin-1")
            for key, value in request.headers.items()
        }
        sent.append((request.method, plain))

    remote.client().meta.events.register("before-send.s3", note)
    return sent


@pytest.mark.parametrize(
    ("options", "md5", "signed"),
    [
        (PROVED, False, True),  # the cheaper one of two that were seen to be checked
        (MD5_ONLY, True, False),
        (None, True, True),  # over http; botocore's choice
    ],
    ids=["signed-body", "md5", "not-probed"],
)
def test_every_write_carries_a_digest_of_its_body_and_a_create_its_condition(
    s3: Endpoint, bucket: str, options: dict[str, str] | None, md5: bool, signed: bool
) -> None:
    """And a batch delete Content-MD5: older servers refuse it otherwise."""
    remote = S3Remote(opened(s3.url, bucket, options).settings)
    sent = noted(remote)
    remote.create("packs/a", [b"x"])
    remote.create("packs/b", [b"x" * 2_000_000])
    remote.delete_many(["packs/a", "packs/b"])
    writes = [headers for method, headers in sent if method in ("PUT", "POST")]
    assert len(writes) == 3 and "content-md5" in writes[2]
    for headers, content in zip(writes, (b"x", b"x" * 2_000_000), strict=False):
        assert ("content-md5" in headers) is md5
        digest = hashlib.sha256(content).hexdigest()
        assert (headers["x-amz-content-sha256"] == digest) is signed
        assert headers["if-none-match"] == "*"


def test_a_lock_is_asked_for_with_content_md5(needs_ceph: Endpoint) -> None:
    """AWS refuses a PutObject with a lock and without it."""
    bucket = make_bucket(needs_ceph, ObjectLockEnabledForBucket=True)
    remote = S3Remote(opened(needs_ceph.url, bucket, {**PROVED, "retentiondays": "1"}).settings)
    sent = noted(remote)
    remote.create("packs/aa/x", [b"x"])
    assert "content-md5" in sent[0][1]


def test_a_pack_is_locked_for_the_days_that_are_set(needs_ceph: Endpoint) -> None:
    bucket = make_bucket(needs_ceph, ObjectLockEnabledForBucket=True)
    options = {"retentiondays": "3", "retentionmode": "governance"}
    remote = opened(needs_ceph.url, bucket, options)
    for name in ("packs/aa/x", "index/0/x", "gc/x"):
        assert remote.create(name, [b"x"])
    client = admin_client(needs_ceph)

    def kept(name: str) -> tuple[str | None, Any]:
        head = client.head_object(Bucket=bucket, Key=remote.settings.prefix + name)
        return head.get("ObjectLockMode"), head.get("ObjectLockRetainUntilDate")

    mode, until = kept("packs/aa/x")
    days = (until - datetime.datetime.now(datetime.UTC)).total_seconds() / 86_400
    assert mode == "GOVERNANCE" and 2.9 < days <= 3.0
    assert kept("index/0/x")[0] == "GOVERNANCE" and kept("gc/x") == (None, None)


def test_retention_on_a_bucket_without_object_lock_says_so(
    needs_ceph: Endpoint, bucket: str
) -> None:
    remote = opened(needs_ceph.url, bucket, {"retentiondays": "3"})
    with pytest.raises(RemoteError) as caught:
        remote.create("packs/aa/x", [b"x"])
    assert "Object Lock" in caught.value.why and "retentionDays" in caught.value.fix


def test_a_probe_finds_what_the_server_does_and_leaves_nothing(s3: Endpoint, bucket: str) -> None:
    remote = opened(s3.url, bucket)
    found = remote.probe()
    assert found.place == f"{s3.url}/{bucket}"
    assert found.conditional_put and found.ranges and found.consistent_listing
    assert found.content_md5 is found.signed_body is (s3.kind == "ceph")
    assert list(remote.list("")) == []


def test_a_probe_sees_that_a_versioned_bucket_of_ceph_takes_no_conditions(
    needs_ceph: Endpoint,
) -> None:
    bucket = make_bucket(needs_ceph)
    admin_client(needs_ceph).put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    remote = opened(needs_ceph.url, bucket)
    assert remote.probe().conditional_put is False
    assert remote.create("a", [b"first"]) is True
    assert remote.create("a", [b"second"]) is False
    assert remote.read("a") == b"first"


def test_what_was_recorded_of_another_server_is_not_believed(s3: Endpoint, bucket: str) -> None:
    remote = opened(s3.url, bucket, {**PROVED, "probed": "https://elsewhere.example/bucket"})
    seen: list[str] = []
    remote.client().meta.events.register(
        "before-call.s3", lambda model, **_: seen.append(model.name)
    )
    remote.create("packs/a", [b"x"])
    assert "HeadObject" in seen
