"""What collection must ask beside the clone that runs it, kept on the remote itself.

- `gc/repositories/<id>`: a git repository whose commits name content here; one JSON object,
  `{"url": "…", "version": 1}`. A push to a git remote writes it. Its refs are roots.
- `gc/holds/<id>`: pointers that a clone names and git's remotes do not, one after another in their
  own encoding, sorted. Written where content goes to the remote, or is freed here since the remote
  has it, and no ref of a git remote names it. They are roots.

Both are immutable and named by their content. Nothing here deletes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

from mlver.errors import CorruptContent
from mlver.exchange import layout
from mlver.model import pointer as pointers
from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer
from mlver.remotes.base import Remote

_ONE = re.compile(rb"version mlver/1\n[^\n]*\n[^\n]*\n")


def without_secrets(url: str) -> str:
    """The URL without a password or token; the user's name stays where it is the login (ssh)."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    keep = user.partition(":")[0] + "@" if user and parts.scheme == "ssh" else ""
    return urlunsplit((parts.scheme, keep + host, parts.path, parts.query, ""))


def register(remote: Remote, url: str) -> None:
    """Name a git repository whose content is pushed here."""
    text = json.dumps({"url": without_secrets(url), "version": 1}, sort_keys=True) + "\n"
    data = text.encode("utf-8", "surrogateescape")
    name = f"{layout.REPOSITORIES}{digest_of(data).hex()}"
    if remote.size(name) is None:
        remote.create(name, [data])


def repositories(remote: Remote) -> dict[str, str]:
    """Name of the object → URL of each repository. Raises CorruptContent, RemoteError."""
    found = {}
    for name, data in _whole(remote, layout.REPOSITORIES):
        try:
            entry = json.loads(data)
            version, url = entry["version"], entry["url"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _damaged(remote, name) from error
        if version != 1 or not isinstance(url, str):
            raise _damaged(remote, name)
        found[name] = url
    return found


def hold(remote: Remote, held: Iterable[Pointer]) -> None:
    """Keep these blobs on the remote, though no ref of a git remote names them."""
    data = b"".join(pointer.encode() for pointer in sorted(set(held)))
    name = f"{layout.HOLDS}{digest_of(data).hex()}"
    if data and remote.size(name) is None:
        remote.create(name, [data])


def holds(remote: Remote) -> set[Pointer]:
    """Every pointer that is held. Raises CorruptContent, RemoteError."""
    found: set[Pointer] = set()
    for name, data in _whole(remote, layout.HOLDS):
        texts = _ONE.findall(data)
        parsed = [pointers.parse(text) for text in texts]
        if b"".join(texts) != data:
            raise _damaged(remote, name)
        for pointer in parsed:
            if pointer is None:
                raise _damaged(remote, name)
            found.add(pointer)
    return found


def _whole(remote: Remote, prefix: str) -> Iterable[tuple[str, bytes]]:
    for row in remote.list(prefix):
        digest = layout.digest_in_name(row.name)
        if digest is None:
            continue
        data = remote.read(row.name)
        if digest_of(data) != digest:
            raise _damaged(remote, row.name)
        yield row.name, data


def _damaged(remote: Remote, name: str) -> CorruptContent:
    return CorruptContent(
        f"{remote.url}: {name} cannot be read",
        why="it names content that is to be kept, and does not match its name or form",
        fix="git mlver push, in each clone, to write it again; then delete that object",
    )
