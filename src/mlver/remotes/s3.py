"""A remote in an S3 bucket: AWS, and every server that speaks its language.

An object is one key, written by one PutObject with `If-None-Match: *`, so that of many writers one
creates it, and a reader sees it whole or not at all. Where the server was not seen to honour that,
the key is looked for first (names are made of contents, so two writers that slip through write the
same bytes). Nothing is tried again here: see `retry`.

Invariant: "there is no such object" is only ever said of a bucket that answered. A bucket that is
gone, or a permission that is missing, is an error, else collection would believe it empty.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from mlver.remotes import s3_client
from mlver.remotes.base import (
    Capabilities,
    NotFound,
    Remote,
    RemoteObject,
    TransientRemoteError,
    check_name,
)
from mlver.remotes.s3_answers import check_span, field, rows_of_pages, too_short, undeleted
from mlver.remotes.s3_body import body_of, content_md5
from mlver.remotes.s3_errors import client_error, code_of, explained, status_of
from mlver.remotes.s3_settings import S3Settings, parse

_BATCH = 1000  # Keys of one DeleteObjects; a server may refuse more.
_RETAINED = ("packs/", "index/")  # What Object Lock keeps, where a retention is set.


class ConditionUnknown(Exception):
    """The server refused a PutObject since it knows no `If-None-Match`."""


def from_url(url: str, options: Mapping[str, str]) -> S3Remote:
    """The remote at `s3://bucket/prefix`. Raises UsageError. Nothing is contacted yet."""
    return S3Remote(parse(url, options))


class S3Remote(Remote):
    """The contract of `base.Remote` over one prefix of a bucket.

    `page`: objects of a listing in one request. `connect` makes the client of a process.
    """

    def __init__(
        self,
        settings: S3Settings,
        *,
        page: int = 1000,
        connect: Callable[[], Any] | None = None,
    ) -> None:
        self.settings = settings
        self._page = page
        self._connect = connect or partial(s3_client.connect, settings)
        self._lock = threading.Lock()
        self._connected: tuple[int, Any] | None = None
        self._refuses_conditions = False
        self._bucket_answered = False
        self._hidden = 0

    @property
    def hidden(self) -> int:
        """See `Remote.hidden`: a versioned bucket (Object Lock needs one) writes a marker."""
        return self._hidden

    @property
    def url(self) -> str:
        """The address as a person would write it."""
        return self.settings.url

    @property
    def place(self) -> str:
        """Which server and bucket this is, whatever settings led there."""
        return f"{self.client().meta.endpoint_url}/{self.settings.bucket}"

    def client(self) -> Any:
        """This process's botocore client: a fork must not share its parent's connections."""
        with self._lock:
            if self._connected is None or self._connected[0] != os.getpid():
                with self._explained("open", "a connection"):
                    self._connected = (os.getpid(), self._connect())
            return self._connected[1]

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """See `Remote.read`."""
        check_name(name)
        if start < 0 or (length is not None and length < 0):
            raise ValueError(f"not a range: start {start}, length {length}")
        answer = None if length == 0 else self._get(name, start, length)
        if answer is None:  # Nothing is there to be read from `start` on; or is there no object?
            size = self.size(name)
            if size is None:
                raise self._not_found(name)
            if start + (length or 0) > size:
                raise too_short(self._named(name), size, start, length)
            return b""
        with self._explained("read", name), closing(answer["Body"]) as body:
            wanted = check_span(answer, self._named(name), start, length)
            data: bytes = body.read()
            if len(data) != wanted:
                raise ConnectionError(f"{len(data)} of {wanted} bytes came")
            return data

    def size(self, name: str) -> int | None:
        """See `Remote.size`."""
        check_name(name)
        with self._explained("look at", name):
            try:
                answer = self.client().head_object(**self.key(name))
                self._bucket_answered = True
                return int(field(answer, "ContentLength", self._named(name)))
            except client_error() as error:
                if self._is_missing(error):
                    return None
                if status_of(error) >= 500:
                    raise
            # A HEAD has no body that could say why: no key, no bucket, or no right to know.
            try:
                answer = self.client().get_object(**self.key(name))
                answer["Body"].close()
                return int(field(answer, "ContentLength", self._named(name)))
            except client_error() as error:
                if self._is_missing(error):
                    return None
                raise

    def create(self, name: str, parts: Sequence[bytes | memoryview]) -> bool:
        """See `Remote.create`. With `RetryRemote` False may mean: by our own first try."""
        check_name(name)
        if not self._is_conditional() and self.size(name) is not None:
            return False
        words = {**self.key(name), **self._retention(name)}
        if "ObjectLockMode" in words or not self._signs_bodies():  # AWS asks for it with a lock
            words["ContentMD5"] = content_md5(parts)
        try:
            # Also where it is not known whether the server heeds it: then it did no harm.
            return self._put(name, {**words, "IfNoneMatch": "*"}, parts)
        except ConditionUnknown:
            self._refuses_conditions = True
        if self.size(name) is not None:
            return False
        return self._put(name, words, parts)

    def list(self, prefix: str) -> Iterator[RemoteObject]:
        """See `Remote.list`. In the order of the bucket; one page is held in memory at a time."""
        if prefix and not prefix.endswith("/"):
            raise ValueError(f"a prefix ends in '/': {prefix!r}")
        if prefix:
            check_name(prefix[:-1])
        return self._list(prefix)

    def delete(self, name: str) -> None:
        """See `Remote.delete`."""
        check_name(name)
        with self._explained("delete", name):
            try:
                answer = self.client().delete_object(**self.key(name))
                self._hidden += bool(answer.get("DeleteMarker"))
            except client_error() as error:
                if code_of(error) != "NoSuchKey":
                    raise

    def delete_many(self, names: Iterable[str]) -> None:
        """See `Remote.delete_many`: a thousand a request."""
        waiting = iter([check_name(name) for name in names])
        while batch := [*islice(waiting, _BATCH)]:
            if not self._delete_batch(batch):
                super().delete_many(batch)

    def probe(self) -> Capabilities:
        """See `Probed.probe`."""
        from mlver.remotes.s3_probe import probe

        return probe(self)

    def close(self) -> None:
        """See `Remote.close`."""
        connected, self._connected = self._connected, None
        if connected is not None and connected[0] == os.getpid():
            connected[1].close()

    # -- requests ----------------------------------------------------------------------------

    def _get(self, name: str, start: int, length: int | None) -> dict[str, Any] | None:
        """The answer, or None for 416: from `start` on there are no bytes. Raises NotFound."""
        words = self.key(name)
        if start or length is not None:
            words["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        with self._explained("read", name):
            try:
                return dict(self.client().get_object(**words))
            except client_error() as error:
                if self._is_missing(error):
                    raise self._not_found(name) from None
                if status_of(error) != 416:
                    raise
                return None

    def _put(self, name: str, words: dict[str, Any], parts: Sequence[bytes | memoryview]) -> bool:
        with self._explained("store", name):
            try:
                answer = self.client().put_object(**words, Body=body_of(parts))
            except client_error() as error:
                if status_of(error) == 412:
                    return False
                if "IfNoneMatch" in words and code_of(error) == "NotImplemented":
                    raise ConditionUnknown from error
                raise
            field(answer, "ETag", self._named(name))
            return True

    def _list(self, prefix: str) -> Iterator[RemoteObject]:
        root = self.settings.prefix

        def ask(token: str | None) -> dict[str, Any]:
            words = {"Prefix": root + prefix, "MaxKeys": self._page, **self._bucket()}
            if token is not None:
                words["ContinuationToken"] = token
            with self._explained("list", prefix or "all objects"):
                return dict(self.client().list_objects_v2(**words))

        for rows in rows_of_pages(ask, root, prefix):
            yield from rows

    def _delete_batch(self, names: Sequence[str]) -> bool:
        """False where the server takes no batch. Raises RemoteError where any name is left."""
        keys = [self.settings.prefix + name for name in names]
        what = f"{len(names)} objects"
        with self._explained("delete", what):
            try:
                answer = self.client().delete_objects(
                    Delete={"Objects": [{"Key": key} for key in keys]}, **self._bucket()
                )
            except client_error() as error:
                # 403: Ceph asks for a right on the whole bucket; one by one, on the objects.
                if status_of(error) in (403, 405, 501):
                    return False
                raise
        self._hidden += sum(bool(row.get("DeleteMarker")) for row in answer.get("Deleted", []))
        left = undeleted(answer, keys)
        if left:
            # One of them alone, for its own words; where that now goes well, the batch is repeated.
            self.delete(next(iter(left))[len(self.settings.prefix) :])
            raise TransientRemoteError(
                f"cannot delete {len(left)} of {what} on {self.url}",
                why=f"the server said: {', '.join(sorted(set(left.values())))}",
                fix="run the same command again",
            )
        return True

    # -- their words -------------------------------------------------------------------------

    def _bucket(self) -> dict[str, Any]:
        owner = self.settings.expected_owner
        words = {"Bucket": self.settings.bucket}
        return words | {"ExpectedBucketOwner": owner} if owner else words

    def key(self, name: str) -> dict[str, Any]:
        """How a request names the object."""
        return {"Key": self.settings.prefix + name, **self._bucket()}

    def _retention(self, name: str) -> dict[str, Any]:
        days = self.settings.retention_days
        if not days or not name.startswith(_RETAINED):
            return {}
        until = datetime.now(UTC) + timedelta(days=days)
        return {
            "ObjectLockMode": self.settings.retention_mode,
            "ObjectLockRetainUntilDate": until.replace(microsecond=0),
        }

    def _is_conditional(self) -> bool:
        """Was this very server seen to honour `If-None-Match: *`?"""
        if self._refuses_conditions or not self.settings.conditional_put:
            return False
        return self.settings.seen_at(self.client().meta.endpoint_url)

    def _signs_bodies(self) -> bool:
        """Was this very server seen to refuse a body that is not the signed one?"""
        return bool(self.settings.signed_body) and self.settings.seen_at(
            self.client().meta.endpoint_url
        )

    def _is_missing(self, error: Exception) -> bool:
        """Does the answer say that the bucket is there, and the key is not?"""
        if code_of(error) == "NoSuchKey":
            self._bucket_answered = True
            return True
        return status_of(error) == 404 and code_of(error) == "404" and self._bucket_answered

    def _named(self, name: str) -> str:
        return f"{name} on {self.url}"

    def _not_found(self, name: str) -> NotFound:
        return NotFound(
            f"{self.url} holds no {name}", why="the server says that it has no such key"
        )

    def _explained(self, act: str, what: str) -> AbstractContextManager[None]:
        return explained(act, what, self.settings)
