"""What an S3 remote is told: its address, and what git's configuration says of it.

`s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION` is the whole address, so that whoever
trusts it trusts the server too: another endpoint is another address. What belongs to a person or
a machine (profile, keys, proxy, certificates) is in the ordinary AWS settings and in
`mlver.remote.NAME.*` of git's configuration, never in an address. This module imports no AWS
library: most commands open a remote and never ask it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from mlver.errors import UsageError
from mlver.remotes.address import refuse_unsafe

_URL = re.compile(r"\As3://([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?\Z", re.IGNORECASE)
_BUCKET = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]\Z")
_PREFIX_PART = re.compile(r"\A[A-Za-z0-9!_.*'()=+,:$@&; -]+\Z")
_ENDPOINT = re.compile(r"\Ahttps?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/?\Z")
_REGION = re.compile(r"\A[A-Za-z0-9-]+\Z")
_OWNER = re.compile(r"\A[A-Za-z0-9_$-]+\Z")
_FORM = "s3://BUCKET/PREFIX, or s3://BUCKET/PREFIX?endpoint=https://HOST:PORT&region=REGION"
_TRUE = frozenset({"true", "yes", "on", "1"})
_MODES = ("GOVERNANCE", "COMPLIANCE")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """One remote's settings. `conditional_put`, `content_md5`, `signed_body`: what a probe of
    `probed` found."""

    url: str
    bucket: str
    prefix: str = ""  # empty, or ends in a slash
    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    expected_owner: str | None = None
    retention_days: int = 0
    retention_mode: str = _MODES[0]
    conditional_put: bool | None = None
    content_md5: bool | None = None
    signed_body: bool | None = None
    probed: str = ""

    def seen_at(self, endpoint: str | None) -> bool:
        """Was it this server that was probed? A profile or a variable may lead elsewhere now."""
        return bool(self.probed) and self.probed == f"{endpoint}/{self.bucket}"


def parse(url: str, options: Mapping[str, str]) -> S3Settings:
    """Settings of the remote at `url`; `options` by their names in git's configuration, which
    are lower case. Raises UsageError."""
    refuse_unsafe(url)
    found = _URL.match(url)
    if found is None:
        raise _unreadable("it is not of the form of an S3 address")
    bucket, path, query = found[1], found[2] or "", found[3] or ""
    if not _BUCKET.match(bucket):
        raise _unreadable("a bucket's name is 3 to 255 letters, digits, dots and hyphens")
    endpoint, region = _address_options(query)
    return S3Settings(
        url=url,
        bucket=bucket,
        prefix=_prefix(path),
        endpoint=endpoint,
        region=region,
        profile=options.get("profile") or None,
        expected_owner=_owner(options.get("expectedbucketowner", "")),
        retention_days=_days(options.get("retentiondays", "0")),
        retention_mode=_mode(options.get("retentionmode", _MODES[0])),
        conditional_put=_flag(options.get("conditionalput")),
        content_md5=_flag(options.get("contentmd5")),
        signed_body=_flag(options.get("signedbody")),
        probed=options.get("probed", ""),
    )


def _prefix(path: str) -> str:
    parts = path.strip("/").split("/") if path.strip("/") else []
    if any(part in (".", "..") or not _PREFIX_PART.match(part) for part in parts):
        raise _unreadable("a prefix is made of letters, digits, spaces and !_.*'()=+,:$@&;-")
    return "".join(part + "/" for part in parts)


def _address_options(query: str) -> tuple[str | None, str | None]:
    """Endpoint and region. What is not known is refused: it may be a secret, or a mistake."""
    found: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in ("endpoint", "region") or key in found:
            raise _unreadable("after the ? come endpoint= and region=, each once, and nothing else")
        found[key] = value
    endpoint, region = found.get("endpoint"), found.get("region")
    if endpoint is not None and not _ENDPOINT.match(endpoint):
        raise _unreadable("an endpoint is https://HOST or https://HOST:PORT, without user or path")
    if region is not None and not _REGION.match(region):
        raise _unreadable("a region is a word such as eu-west-1")
    return endpoint.rstrip("/") if endpoint else None, region


def _unreadable(why: str) -> UsageError:
    return UsageError("an S3 remote's address cannot be used", why=why, fix=f"write {_FORM}")


def _owner(text: str) -> str | None:
    if text and not _OWNER.match(text):
        raise _setting("expectedBucketOwner", "an account's number")
    return text or None


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 36_500:
        raise _setting("retentionDays", "a number of days, 0 for none")
    return int(text)


def _mode(text: str) -> str:
    if text.upper() not in _MODES:
        raise _setting("retentionMode", " or ".join(_MODES))
    return text.upper()


def _flag(text: str | None) -> bool | None:
    return None if text is None else text.lower() in _TRUE


def _setting(name: str, wanted: str) -> UsageError:
    return UsageError(
        f"mlver.remote.NAME.{name} cannot be used",
        why=f"it must be {wanted}",
        fix=f"git config mlver.remote.NAME.{name} VALUE",
    )
