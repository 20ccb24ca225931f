"""What the address of a remote may look like.

An address is shown, logged, written to configuration and sent in headers. One that could carry a
second line or a secret there is refused (CVE-2020-5260, CVE-2020-11008, CVE-2024-53263), and a
message never repeats it. Percent signs are decoded once, and only in URLs.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, unquote_to_bytes

from mlver.errors import UsageError

_SCHEME = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)")
_BREAKS = re.compile(r"[\r\n\0]|%0[aAdD0]")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def scheme_and_host(url: str) -> tuple[str, str]:
    """`("s3", "bucket")` for `s3://bucket/prefix`, `("", "")` for what is no URL."""
    found = _SCHEME.match(url)
    return (found.group(1).lower(), found.group(2)) if found else ("", "")


def refuse_unsafe(url: str) -> None:
    """Raise UsageError for line breaks and NULs, also %-encoded ones, and for credentials."""
    if _BREAKS.search(url):
        raise UsageError(
            "a remote's address holds a line break or a NUL",
            why="it would end a line early wherever the address is written",
            fix="write the address again, without %0A, %0D and %00",
        )
    if "@" in unquote(scheme_and_host(url)[1]):
        raise UsageError(
            "a remote's address holds a user name or a password",
            why="an address is shown, logged and committed; a secret must not be",
            fix="take what stands before the @ out of the address, and out of your shell's history",
        )


def directory_path(url: str) -> str:
    """The absolute path that `/a/path` or `file:///a/path` means. Raises UsageError."""
    refuse_unsafe(url)
    path = _decoded(url) if scheme_and_host(url)[0] == "file" else url
    if not os.path.isabs(path):
        raise UsageError(
            "a directory remote needs an absolute path",
            why="it must mean the same wherever git is run; ~ is not expanded",
            fix="write /a/path or file:///a/path",
        )
    return path


def _decoded(url: str) -> str:
    """The path of a file: URL."""
    host, slash, path = url[len("file://") :].partition("/")
    if host.lower() not in ("", "localhost") or not slash:
        raise UsageError(
            "a file: URL names a directory of this machine",
            why="after file:// comes the path, or localhost and the path",
            fix="mount what the other machine holds, then write file:///a/path",
        )
    if _BAD_PERCENT.search(path) or "?" in path or "#" in path:
        raise UsageError(
            "the address is no file: URL that can be read",
            why="%, ? and # in a path are written %25, %3F and %23 there",
            fix="write the path itself, which is not decoded: /a/path",
        )
    decoded = os.fsdecode(unquote_to_bytes(path))
    return decoded if os.name == "nt" else "/" + decoded
