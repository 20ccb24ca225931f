"""What must be in a server's answer before it is believed.

A gateway that dies after its `200 OK` leaves an answer that botocore takes for a good one, with
fields missing; some servers ignore what they do not know (ranges, continuation). Whatever is not
there or does not fit is an error, and where another try may help, a transient one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mlver.errors import RemoteError
from mlver.remotes.base import RemoteObject, TransientRemoteError, check_name

_SPAN = re.compile(r"\Abytes (\d+)-(\d+)/(\d+)\Z")


def field(answer: dict[str, Any], name: str, what: str) -> Any:
    """One field of an answer. Raises TransientRemoteError where it is missing."""
    found = answer.get(name)
    if found is None:
        raise TransientRemoteError(
            f"the server's answer about {what} is incomplete",
            why=f"{name} is missing: the server, or a proxy, died in the middle",
            fix="run the same command again",
        )
    return found


def check_span(answer: dict[str, Any], what: str, start: int, length: int | None) -> int:
    """The number of bytes that follow, which are those asked for. Raises RemoteError."""
    if start == 0 and length is None:
        return int(field(answer, "ContentLength", what))
    span = _SPAN.match(str(answer.get("ContentRange") or ""))
    if span is None:
        raise RemoteError(
            f"the server gave all of {what} where a part was asked for",
            why="it knows no ranges (206, Content-Range)",
            fix="git mlver testremote URL; use a server, or a proxy, that answers ranges",
        )
    first, last, total = map(int, span.groups())
    if first == start and last + 1 == (total if length is None else start + length):
        return last + 1 - first
    raise too_short(what, total, start, length)


def too_short(what: str, size: int, start: int, length: int | None) -> RemoteError:
    """The error for a read that goes beyond the object's end."""
    return RemoteError(
        f"{what} is shorter than it must be",
        why=f"{size} bytes are there; {length or 'the rest'} from {start} were asked for",
        fix="git mlver fsck --remote tells what is damaged",
    )


def rows_of_pages(
    ask: Callable[[str | None], dict[str, Any]], root: str, prefix: str
) -> Iterator[Sequence[RemoteObject]]:
    """The pages of one listing, to its end. `ask` gives the page after a token, None the first.

    Raises RemoteError where it cannot be told that nothing was left out.
    """
    token: str | None = None
    while True:
        answer = ask(token)
        rows = answer.get("Contents", [])
        if answer.get("KeyCount") not in (None, len(rows)):
            raise _torn(prefix, f"{answer['KeyCount']} keys are said to follow, {len(rows)} do")
        yield [*_objects(rows, root, prefix)]
        if not field(answer, "IsTruncated", f"the objects below {prefix!r}"):
            return
        last, token = token, answer.get("NextContinuationToken")
        if not token or token == last:
            raise _torn(prefix, "it says that more follows, and not where")


def _objects(rows: Sequence[dict[str, Any]], root: str, prefix: str) -> Iterator[RemoteObject]:
    """Rows as objects; what no object can be named (a console's `folder/`) is none of ours."""
    for row in rows:
        key = str(field(row, "Key", "a listing"))
        if not key.startswith(root + prefix):
            raise _torn(prefix, "it names a key that is not below it")
        name = key[len(root) :]
        try:
            check_name(name)
        except ValueError:
            continue
        size, modified = field(row, "Size", name), field(row, "LastModified", name)
        yield RemoteObject(name, int(size), modified.timestamp())


def _torn(prefix: str, why: str) -> TransientRemoteError:
    return TransientRemoteError(
        f"the listing of {prefix or 'the remote'} is incomplete",
        why=why,
        fix="run the same command again; if it stays: git mlver testremote URL",
    )


def undeleted(answer: dict[str, Any], keys: Sequence[str]) -> dict[str, str]:
    """Key → the server's code, of those that one DeleteObjects did not say to be gone."""
    gone = {str(row.get("Key")) for row in answer.get("Deleted", [])}
    failed = {str(row.get("Key")): str(row.get("Code")) for row in answer.get("Errors", [])}
    found = {key: failed.get(key, "no answer") for key in keys if key not in gone}
    return {key: code for key, code in found.items() if code != "NoSuchKey"}
