"""Addresses of S3 remotes, the AWS settings, and what is said where something is not right."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.s3_server import Endpoint

from mlver.errors import RemoteError, UsageError
from mlver.remotes.base import NotFound, TransientRemoteError
from mlver.remotes.registry import open_remote
from mlver.remotes.s3_errors import explained
from mlver.remotes.s3_settings import S3Settings, parse

SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12"


# -- addresses


@pytest.mark.parametrize(
    ("url", "bucket", "prefix", "endpoint", "region"),
    [
        ("s3://bucket", "bucket", "", None, None),
        ("s3://bucket/", "bucket", "", None, None),
        ("S3://bucket/a/b/", "bucket", "a/b/", None, None),
        ("s3://my.bucket-1/me@home/x=1", "my.bucket-1", "me@home/x=1/", None, None),
        ("s3://b-b/p?region=eu-west-1", "b-b", "p/", None, "eu-west-1"),
        ("s3://b-b?endpoint=http://h:9000/", "b-b", "", "http://h:9000", None),
        ("s3://b-b/p?endpoint=https%3A%2F%2F[::1]:9", "b-b", "p/", "https://[::1]:9", None),
    ],
)
def test_an_address_is_read(
    url: str, bucket: str, prefix: str, endpoint: str | None, region: str | None
) -> None:
    found = parse(url, {})
    assert (found.bucket, found.prefix) == (bucket, prefix)
    assert (found.endpoint, found.region) == (endpoint, region)


@pytest.mark.parametrize(
    "url",
    [
        *("s3://", "s3:///p", "s3://b", "s3://bucket/a//b", "s3://bucket/../x", "s3://bucket/./x"),
        *("s3://bucket/a%2fb", "s3://bucket/p#f", "s3://bucket/p?profile=x", "s3://bucket/é"),
        f"s3://bucket/p?token={SECRET}",
        *("s3://bucket/p?region=a&region=b", "s3://bucket/p?region=eu west", "s3://bu_/x"),
        f"s3://bucket/p?endpoint=https://u:{SECRET}@host",
        f"s3://bucket/p?endpoint=https://u:{SECRET}%40host",
        *("s3://bucket/p?endpoint=ftp://h", "s3://bucket/p?endpoint=https://h/path"),
        "s3://bucket/p?endpoint=https://h?x=1",
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_remote(url)
    assert caught.value.why and caught.value.fix
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"retentiondays": "-1"}, {"retentiondays": "ten"}, {"retentionmode": "x"},
     {"expectedbucketowner": "a b"}],
)  # fmt: skip
def test_an_option_that_cannot_be_meant_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"mlver\.remote"):
        open_remote("s3://bucket/p", options)


def test_the_aws_library_is_imported_when_a_bucket_is_asked_and_not_before() -> None:
    code = (
        "import sys, mlver.remotes.registry as r\n"
        "r.open_remote('s3://bucket/p').url\n"
        "assert not {'boto3', 'botocore', 'urllib3'} & {*sys.modules}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


# -- what is said


def act_on(url: str, options: dict[str, str] | None = None) -> RemoteError:
    """The error of a listing."""
    with pytest.raises(RemoteError) as caught:
        list(open_remote(url, options).list("packs/"))
    error = caught.value
    assert error.why and error.fix and url in error.what
    return error


def test_a_bucket_that_is_not_there_is_never_an_empty_one(s3: Endpoint) -> None:
    remote = open_remote(f"s3://mlver-no-such/p?endpoint={s3.url}")
    acts: list[Callable[[], object]] = [
        lambda: remote.size("a"),
        lambda: remote.read("a"),
        lambda: list(remote.list("")),
        lambda: remote.create("a", [b"x"]),
        lambda: remote.delete_many(["a"]),
        lambda: remote.delete("a"),
    ]
    for act in acts:
        with pytest.raises(RemoteError, match="cannot") as caught:
            act()
        assert "no bucket mlver-no-such" in caught.value.why
        assert not isinstance(caught.value, NotFound | TransientRemoteError)


def test_credentials_missing_unknown_and_wrong_are_told_apart(
    needs_ceph: Endpoint, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"s3://{bucket}/p?endpoint={needs_ceph.url}"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert "secret key does not fit" in act_on(url).why
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    error = act_on(url)
    assert "does not know these credentials" in error.why
    assert SECRET not in str(error) and "AKIAIOSFODNN7" not in str(error)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "no AWS credentials were found" in act_on(url).why
    assert "AWS settings" in act_on(url, {"profile": "nobody"}).why


def test_a_clock_that_is_wrong_is_named(
    needs_ceph: Endpoint, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import botocore.auth

    def an_hour_ago(*_: object, **__: object) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)

    monkeypatch.setattr(botocore.auth, "get_current_datetime", an_hour_ago)
    assert "clock" in act_on(f"s3://{bucket}/p?endpoint={needs_ceph.url}").why


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("http://127.0.0.1:1", "nothing listens at http://127.0.0.1:1"),
        ("http://no-such-host.invalid", "the name of http://no-such-host.invalid is not known"),
    ],
)
def test_a_server_that_is_not_there_is_named(s3: Endpoint, endpoint: str, said: str) -> None:
    assert said in act_on(f"s3://bucket/p?endpoint={endpoint}").why


def test_http_where_https_is_asked_for_is_a_matter_of_certificates(s3: Endpoint) -> None:
    error = act_on(f"s3://bucket/p?endpoint={s3.url.replace('http:', 'https:')}")
    assert "certificate" in error.why and not isinstance(error, TransientRemoteError)


def test_a_password_in_the_environments_endpoint_is_not_shown(
    s3: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://user:{SECRET}@127.0.0.1:1")
    assert SECRET not in str(act_on("s3://bucket/p"))


def test_the_endpoint_of_the_aws_settings_is_used(
    s3: Endpoint, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.url)
    assert open_remote(f"s3://{bucket}/env").create("a", [b"x"])
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    config = tmp_path / "config"
    config.write_text(
        f"[profile mine]\nregion = us-east-1\nendpoint_url = {s3.url}\n"
        f"aws_access_key_id = {s3.access_key}\naws_secret_access_key = {s3.secret_key}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert open_remote(f"s3://{bucket}/env", {"profile": "mine"}).read("a") == b"x"
    monkeypatch.setenv("AWS_PROFILE", "mine")
    assert open_remote(f"s3://{bucket}/env").read("a") == b"x"


ANSWERS = [
    ("ExpiredToken", 400, "have expired", False),
    ("AuthorizationHeaderMalformed", 400, "another region", False),
    ("301", 301, "another region", False),
    ("SlowDown", 503, "busy", True),
    ("503", 503, "busy", True),
    ("QuotaExceeded", 403, "full", False),
    ("507", 507, "full", False),
    ("ConditionalRequestConflict", 409, "another writer", True),
    ("InvalidObjectState", 403, "archive", False),
    ("WhoKnows", 500, "failed", True),
    ("WhoKnows", 400, "refused", False),
]


@pytest.mark.parametrize(("code", "status", "said", "transient"), ANSWERS)
def test_each_answer_has_its_words(code: str, status: int, said: str, transient: bool) -> None:
    from botocore.exceptions import ClientError

    hostile = f"{SECRET} ASIAIOSFODNN7EXAMPLE\n\x1b[2J" + "long " * 200
    answer = {
        "Error": {"Code": code, "Message": hostile},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    settings = S3Settings(url="s3://bucket/p", bucket="bucket")
    with pytest.raises(RemoteError) as caught, explained("read", "packs/aa/x", settings):
        raise ClientError(answer, "GetObject")  # type: ignore[arg-type]
    error = caught.value
    assert said in error.why and error.fix
    assert isinstance(error, TransientRemoteError) is transient
    assert SECRET not in str(error) and "ASIA" not in str(error) and len(error.why) < 500
