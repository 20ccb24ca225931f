"""What an S3 server really does, found with some ten small requests.

A server may take a header and ignore it (`If-None-Match`, Content-MD5), so nothing but a try tells.
"""

from __future__ import annotations

import secrets
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlver.errors import RemoteError
from mlver.remotes.base import Capabilities, TransientRemoteError
from mlver.remotes.s3_body import content_md5
from mlver.remotes.s3_errors import client_error, code_of, explained, status_of

if TYPE_CHECKING:
    from mlver.remotes.s3 import S3Remote

_CONTENT = b"0123456789"


def probe(remote: S3Remote) -> Capabilities:
    """See `base.Probed.probe`. A writer who may not delete leaves a few, always the same."""
    may_delete = _may_delete(remote)
    scratch = f"probe/{secrets.token_hex(8) if may_delete else 'writer'}/"
    here, wrong, other = (f"{scratch}{name}" for name in ("here", "wrong-md5", "wrong-body"))
    try:
        with explained("store", here, remote.settings):
            _put(remote, here, _CONTENT, content_md5([_CONTENT]))
        found = Capabilities(
            place=remote.place,
            conditional_put=_honours_condition(remote, here),
            content_md5=_refuses(remote, wrong, 400, _CONTENT, content_md5([b"something else"])),
            signed_body=_heeds_signature(remote, other),
            ranges=_answers_ranges(remote, here),
            consistent_listing=here in {row.name for row in remote.list(scratch)},
        )
    finally:
        with suppress(RemoteError):
            remote.delete_many([here, wrong, other] if may_delete else [])
    if may_delete and [*remote.list(scratch)]:
        return replace(found, consistent_listing=False)
    return found


def _may_delete(remote: S3Remote) -> bool:
    try:
        remote.delete("probe/none")
    except TransientRemoteError:
        raise
    except RemoteError:
        return False
    return True


def _honours_condition(remote: S3Remote, here: str) -> bool:
    """Only where the second write was refused, and for the right reason."""
    other = b"x" * len(_CONTENT)
    return _refuses(remote, here, 412, other, content_md5([other]), IfNoneMatch="*")


def _heeds_signature(remote: S3Remote, name: str) -> bool:
    """True where a body is refused that was changed after it was signed, as on a bad line."""
    from mlver.remotes import s3_client

    settings = replace(remote.settings, signed_body=True, probed=remote.place)
    client = s3_client.connect(settings)

    def spoil(request: Any, **_: object) -> None:
        request.body = _CONTENT[::-1]

    client.meta.events.register("before-send.s3.PutObject", spoil)
    with explained("store", name, remote.settings), closing(client):
        try:
            client.put_object(**remote.key(name), Body=_CONTENT)
        except client_error() as error:
            if status_of(error) in (400, 403, 501):
                return code_of(error) == "XAmzContentSHA256Mismatch"
            raise
    return False


def _refuses(
    remote: S3Remote, name: str, status: int, content: bytes, md5: str, **words: str
) -> bool:
    """True where the write is answered with `status`; False where it is done, or not understood."""
    with explained("store", name, remote.settings):
        try:
            _put(remote, name, content, md5, **words)
        except client_error() as error:
            if status_of(error) == status or status_of(error) in (400, 412, 501):
                return status_of(error) == status
            raise
    return False


def _put(remote: S3Remote, name: str, content: bytes, md5: str, **words: str) -> None:
    remote.client().put_object(**remote.key(name), Body=content, ContentMD5=md5, **words)


def _answers_ranges(remote: S3Remote, name: str) -> bool:
    try:
        return len(remote.read(name, 3, 4)) == 4 and len(remote.read(name, 8)) == 2
    except RemoteError:
        return False
