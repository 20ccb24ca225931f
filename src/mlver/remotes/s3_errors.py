"""What an S3 server's refusal means to the user: its code → what happened, why, what to do next.

Invariants: only the answers `NoSuchKey` and 404 without a code mean "not there", and those are the
caller's to judge; no message holds a key, a token, or an address with a password in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from mlver.errors import RemoteError
from mlver.remotes.base import TransientRemoteError
from mlver.remotes.s3_settings import S3Settings

_Reason = tuple[str, str]

_CREDENTIALS = (
    "make new ones (aws sso login, aws login, or your administrator), or name the profile that has"
    " them: git config mlver.remote.NAME.profile PROFILE"
)
_EXPIRED = ("the credentials have expired", _CREDENTIALS)
_REJECTED = ("the server does not know these credentials", _CREDENTIALS)
_REGION = (
    "the bucket is in another region",
    "set AWS_REGION, or the profile's region, or write ?region=REGION after the address",
)
_FULL = (
    "the storage there, or its quota, is full",
    "free space or have the quota raised, then run the same command again: what was stored is kept",
)
_BUSY = ("the server is busy", "run the same command again later")
_BROKEN = ("the server failed", "run the same command again; if it stays, ask who runs the server")
_ON_THE_WAY = (
    "the bytes that arrived are not those that were sent",
    "run the same command again; if it stays, look for a proxy in between",
)

# Why and next, by the code in the server's answer.
_REASONS: dict[str, _Reason] = {
    "AccessDenied": ("the server refused: {permission} is missing{owner}", "{grant}"),
    "AllAccessDisabled": ("the bucket is disabled", "ask who owns the bucket {bucket}"),
    "AuthorizationHeaderMalformed": _REGION,
    "BadDigest": _ON_THE_WAY,
    "ConditionalRequestConflict": ("another writer is at the same object", "run it again"),
    "EntityTooLarge": ("the server takes no object of this size", "ask who runs the server"),
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "IllegalLocationConstraintException": _REGION,
    "InsufficientCapacity": _FULL,
    "InsufficientStorage": _FULL,
    "InternalError": _BROKEN,
    "InvalidAccessKeyId": _REJECTED,
    "InvalidBucketName": ("{bucket} is no bucket's name there", "correct the remote's address"),
    "InvalidClientTokenId": _REJECTED,
    "InvalidObjectState": (
        "the object was moved to an archive class, and must be restored before it can be read",
        "restore it in the bucket, and keep lifecycle rules away from this prefix",
    ),
    "InvalidToken": _REJECTED,
    "NoSuchBucket": (
        "there is no bucket {bucket} at {endpoint}",
        "make it, or correct the remote's address: git mlver remote list",
    ),
    "NotImplemented": ("the server cannot do this", "git mlver testremote URL tells what it can"),
    "OperationAborted": _BUSY,
    "PermanentRedirect": _REGION,
    "QuotaExceeded": _FULL,
    "RequestTimeTooSkewed": (
        "this machine's clock and the server's differ by more than 15 minutes",
        "set the clock (timedatectl set-ntp true), then run the same command again",
    ),
    "RequestTimeout": ("the server waited too long for the bytes", "run the same command again"),
    "ServiceUnavailable": _BUSY,
    "SignatureDoesNotMatch": (
        "the secret key does not fit the access key, or a proxy changed the request",
        "check AWS_SECRET_ACCESS_KEY or the profile's aws_secret_access_key",
    ),
    "SlowDown": _BUSY,
    "TemporaryRedirect": _REGION,
    "TokenRefreshRequired": _EXPIRED,
    "XAmzContentSHA256Mismatch": _ON_THE_WAY,
    "XMinioStorageFull": _FULL,
}
_BY_STATUS: dict[int, str] = {
    301: "PermanentRedirect", 403: "AccessDenied", 409: "OperationAborted", 429: "SlowDown",
    501: "NotImplemented", 503: "ServiceUnavailable", 507: "InsufficientStorage",
}  # fmt: skip
_TRANSIENT = frozenset({
    "BadDigest", "ConditionalRequestConflict", "InternalError", "OperationAborted",
    "RequestTimeout", "ServiceUnavailable", "SlowDown", "XAmzContentSHA256Mismatch",
})  # fmt: skip
_FINAL_STATUS = frozenset({501, 505, 507})

_READING = (
    "s3:GetObject, or the object (and s3:ListBucket, without which a server does not say so),"
)
_PERMISSIONS: dict[str, tuple[str, str]] = {
    "delete": ("s3:DeleteObject", "s3:DeleteObject"),
    "list": ("s3:ListBucket", "s3:ListBucket"),
    "look at": (_READING, "s3:GetObject and s3:ListBucket"),
    "read": (_READING, "s3:GetObject and s3:ListBucket"),
    "store": ("s3:PutObject", "s3:PutObject"),
}
"""What is done → what may be missing, and the permissions that it takes."""

_SECRETS = re.compile(r"\b(?:A3T[A-Z0-9]|AKIA|ASIA)[A-Z0-9]{12,}\b|[A-Za-z0-9/+=_-]{40,}")
_LONGEST = 300


def client_error() -> type[Exception]:
    """The exception for what a server answers; imported when the library is."""
    from botocore.exceptions import ClientError

    kind: type[Exception] = ClientError
    return kind


def code_of(error: Any) -> str:
    """A ClientError's code; of an answer without a body, the one that its status stands for."""
    code = str(error.response.get("Error", {}).get("Code") or "")
    return _BY_STATUS.get(int(code), code) if code.isascii() and code.isdigit() else code


def status_of(error: Any) -> int:
    """The HTTP status of a ClientError, 0 where it has none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)


@contextmanager
def explained(act: str, what: str, settings: S3Settings) -> Iterator[None]:
    """Turn what botocore raises in this block into a RemoteError: "cannot `act` `what` on URL"."""
    from botocore.exceptions import BotoCoreError, ClientError

    from mlver.remotes.s3_connection_errors import of_connection

    sentence = f"cannot {act} {what} on {settings.url}"
    try:
        yield
    except ClientError as error:
        raise _of_answer(error, act, sentence, settings) from error
    except (BotoCoreError, OSError, ValueError) as error:
        raise of_connection(error, sentence, settings) from error


def _of_answer(error: Any, act: str, sentence: str, settings: S3Settings) -> RemoteError:
    code, status = code_of(error), status_of(error)
    transient = code in _TRANSIENT or (status >= 500 and status not in _FINAL_STATUS)
    why, fix = _REASONS.get(code) or (
        _BROKEN if status >= 500 else ("the server refused", "git mlver testremote URL")
    )
    if code in ("InvalidRequest", "InvalidArgument") and act == "store" and settings.retention_days:
        why = "the bucket takes no retention: Object Lock is not enabled on it"
        fix = (
            "make a bucket with Object Lock, or git config --unset mlver.remote.NAME.retentionDays"
        )
    words = _words(act, settings)
    said = _said(code, status, error)
    kind = TransientRemoteError if transient else RemoteError
    return kind(sentence, why=f"{why.format(**words)} ({said})", fix=fix.format(**words))


def _words(act: str, settings: S3Settings) -> dict[str, str]:
    """What the reasons may name. Listing is granted on the bucket, the rest on its objects."""
    missing, wanted = _PERMISSIONS.get(act, ("a permission", "what is missing"))
    if act == "store" and settings.retention_days:
        missing = wanted = f"{wanted} or s3:PutObjectRetention"
    owner = settings.expected_owner
    return {
        "bucket": settings.bucket,
        "endpoint": shown_endpoint(settings.endpoint) or "the endpoint in use",
        "grant": f"have {wanted} granted on the bucket {settings.bucket} and"
        f" {settings.prefix}* in it: docs/guides/s3.md",
        "owner": f", or the bucket is not that of {owner}" if owner else "",
        "permission": missing,
    }


def _said(code: str, status: int, error: Any) -> str:
    """The server's own words, shortened, on one line, and without anything like a key."""
    text = str(error.response.get("Error", {}).get("Message") or "")
    text = _SECRETS.sub("…", " ".join(text.split()))
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "…"
    head = f"{status} {code}".strip()
    return f"{head}: {text}" if text and text not in ("None", code) else head


def shown_endpoint(url: str | None) -> str:
    """Scheme, host and port; what else an address from the environment holds is not shown."""
    try:
        parts = urlsplit(url or "")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else ""
