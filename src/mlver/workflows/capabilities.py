"""What a remote's server can do: tried when the remote is added, and kept in git's configuration.

A server of which nothing is kept, or of which another address is kept, is used the careful way:
see `mlver.remotes.s3`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlver.errors import RemoteError

if TYPE_CHECKING:
    from mlver.remotes.base import Capabilities, Remote
    from mlver.workflows.context import Context


def tried(ctx: Context, name: str, remote: Remote) -> dict[str, str]:
    """Settings of `mlver.remote.NAME.*` that a probe gives; empty where there is nothing to try."""
    from mlver.remotes.base import Probed

    if not isinstance(remote, Probed):
        return {}
    try:
        found = remote.probe()
    except RemoteError as error:
        ctx.warn(
            f"what the server of {name!r} can do could not be tried: {error.why}"
            "; for who only reads that is no harm"
        )
        return {}
    for doubt in doubts(found):
        ctx.warn(f"{remote.url}: {doubt}; next: git mlver testremote {name}")
    return settings_of(found)


def settings_of(found: Capabilities) -> dict[str, str]:
    """What is kept: by whom it was seen, and what."""
    return {
        "probed": found.place,
        "conditionalPut": str(found.conditional_put).lower(),
        "contentMd5": str(found.content_md5).lower(),
        "signedBody": str(found.signed_body).lower(),
        "ranges": str(found.ranges).lower(),
        "consistentListing": str(found.consistent_listing).lower(),
    }


def kept(options: Mapping[str, str]) -> Capabilities | None:
    """What `settings_of` has put among a remote's options (names in lower case), or None."""
    from mlver.remotes.base import Capabilities

    if not options.get("probed"):
        return None

    def flag(name: str) -> bool:
        return options.get(name, "").lower() in ("true", "yes", "on", "1")

    return Capabilities(
        place=options["probed"],
        conditional_put=flag("conditionalput"),
        content_md5=flag("contentmd5"),
        signed_body=flag("signedbody"),
        ranges=flag("ranges"),
        consistent_listing=flag("consistentlisting"),
    )


def in_words(found: Capabilities) -> str:
    """Every capability with a yes or no, in the order in which they matter."""
    rows = {
        "creates only if absent": found.conditional_put,
        "listings are up to date": found.consistent_listing,
        "answers ranges": found.ranges,
        "checks Content-MD5": found.content_md5,
        "checks signed bodies": found.signed_body,
    }
    return ", ".join(f"{what}: {'yes' if is_so else 'no'}" for what, is_so in rows.items())


def doubts(found: Capabilities) -> list[str]:
    """What is unsafe or slow about such a server, in words."""
    said = []
    if not found.conditional_put:
        said.append(
            "it takes no If-None-Match on PutObject: two first pushes at the same moment could"
            " replace each other's mlver.json (a versioned bucket may be why)"
        )
    if not found.content_md5 and not found.signed_body:
        said.append("it checks no digest of a body: what breaks on the way up is found by readers")
    if not found.ranges:
        said.append("it answers no ranges: nothing can be fetched from it")
    if not found.consistent_listing:
        said.append("its listings lag behind: never run git mlver gc --remote on it")
    return said
