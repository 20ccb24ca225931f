"""What the S3 tests share: buckets, remotes with one client a process, a server behind a proxy."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from tests.support.fault_proxy import FaultProxy
from tests.support.s3_server import Endpoint

from mlver.remotes import s3_client
from mlver.remotes.s3 import S3Remote
from mlver.remotes.s3_settings import S3Settings, parse

PROVED = {"conditionalput": "true", "contentmd5": "true", "signedbody": "true"}
"""What a probe of Ceph records."""
MD5_ONLY = {**PROVED, "signedbody": "false"}


def admin_client(endpoint: Endpoint, service: str = "s3") -> Any:
    """A plain client with the keys of the server's owner."""
    return botocore.session.get_session().create_client(
        service, endpoint_url=endpoint.url, region_name="us-east-1",
        aws_access_key_id=endpoint.access_key, aws_secret_access_key=endpoint.secret_key,
    )  # fmt: skip


def make_bucket(endpoint: Endpoint, **words: Any) -> str:
    """A new bucket."""
    name = f"mlver-{uuid.uuid4().hex[:12]}"
    client = admin_client(endpoint)
    client.create_bucket(Bucket=name, **words)
    client.close()
    return name


def settings_of(url: str, bucket: str, options: dict[str, str] | None = None) -> S3Settings:
    """Settings of an empty prefix of a bucket at the server `url`, probed if any option says so."""
    options = {"probed": f"{url}/{bucket}", **options} if options else {}
    return parse(f"s3://{bucket}/{uuid.uuid4().hex}?endpoint={url}", options)


def opened(url: str, bucket: str, options: dict[str, str] | None = None) -> S3Remote:
    """A remote on an empty prefix, listed by small pages, its client shared within this process:
    to make one takes longer than most tests."""
    settings = settings_of(url, bucket, options)
    key = f"{url} {bucket} {sorted((options or {}).items())} {os.environ.get('AWS_ACCESS_KEY_ID')}"
    return S3Remote(settings, page=50, connect=lambda: _shared(key, os.getpid(), settings))


_clients: dict[tuple[str, int], Any] = {}


def _shared(key: str, pid: int, settings: S3Settings) -> Any:
    if (key, pid) not in _clients:
        _clients[key, pid] = s3_client.connect(settings)
    return _clients[key, pid]


@contextmanager
def behind_proxy(
    endpoint: Endpoint,
    bucket: str,
    *,
    options: dict[str, str] | None = PROVED,
    connect_timeout: float = 3.0,
    read_timeout: float = 30.0,
) -> Iterator[tuple[S3Remote, FaultProxy]]:
    """A remote whose requests go through a proxy, one attempt each."""
    parts = urlsplit(endpoint.url)
    with FaultProxy(parts.hostname or "", parts.port or 0) as proxy:
        settings = settings_of(proxy.url, bucket, options)
        connect: Callable[[], Any] = partial(
            s3_client.connect, settings, connect_timeout=connect_timeout, read_timeout=read_timeout
        )
        remote = S3Remote(settings, page=50, connect=connect)
        yield remote, proxy
        remote.close()
