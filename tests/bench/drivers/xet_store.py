"""Stores files in a chunk store of Xet's own client: `python xet_store.py STORE PATH…`.

The client talks to a server as a rule; for an endpoint `local://FOLDER` it keeps its xorbs (packs
of chunks) and shards (recipes and chunk index) in that folder. The SHA-256 of the file, which the
client computes for git-lfs's sake, is left out: without it Xet is at its fastest. A folder stands
for the files under it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import hf_xet  # type: ignore[import-untyped,import-not-found,unused-ignore]


def files_under(path: str) -> Iterator[str]:
    """The path itself, or the files under it if it is a folder."""
    if not os.path.isdir(path):
        yield path
    for root, _, names in os.walk(path):
        yield from (os.path.join(root, name) for name in names)


def main() -> None:
    """Store what the arguments name, in one session."""
    store, paths = sys.argv[1], sys.argv[2:]
    session = hf_xet.XetSession()
    with session.new_upload_commit(endpoint=f"local://{os.path.abspath(store)}") as commit:
        for path in paths:
            for file in files_under(path):
                commit.start_upload_file(file, sha256=hf_xet.SKIP_SHA256)


if __name__ == "__main__":
    main()
