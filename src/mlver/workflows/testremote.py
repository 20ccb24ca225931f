"""`git mlver testremote`: does a server keep what git-mlver relies on? Tried on scratch objects."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress

from mlver.errors import RemoteError
from mlver.remotes.address import directory_path, scheme_and_host
from mlver.remotes.base import Probed, Remote
from mlver.remotes.qualify import Check, clean_up, qualify
from mlver.remotes.registry import open_remote
from mlver.remotes.retry import RetryRemote
from mlver.workflows.context import Context
from mlver.workflows.places import beside, check_name, configured


def address_of(ctx: Context, name: str) -> tuple[str, Mapping[str, str]]:
    """URL and options of the remote of that name. Raises UsageError, RefusedError."""
    check_name(ctx, name)
    found = next(place for place in configured(ctx) + beside(ctx) if place.name == name)
    return found.url, found.options


def checks(url: str, options: Mapping[str, str], *, fast: bool) -> Iterator[Check]:
    """One `Check` after the other, the last of them that of tidying up.

    Raises UsageError, and RemoteError where the remote does not answer at all.
    """
    scratch = f"testremote/{secrets.token_hex(8)}/"
    # Without the retention that is set: it could not be tidied up. What a probe once found is not
    # believed: this is a new look.
    wanted = {key: options[key] for key in ("profile", "expectedbucketowner") if key in options}
    remote = open_remote(url, wanted)
    try:
        probed = remote if isinstance(remote, Probed) else None
        yield from qualify(RetryRemote(remote), scratch, probed=probed, fast=fast)
    finally:
        last = _tidied(remote, url, scratch)
        remote.close()
    yield last


def _tidied(remote: Remote, url: str, scratch: str) -> Check:
    name = "the scratch objects are removed"
    try:
        clean_up(RetryRemote(remote), scratch)
    except RemoteError as error:
        return Check(name, "failed", f"{error.why}; they are below {scratch}")
    if scheme_and_host(url)[0] in ("", "file"):
        _remove_folders(os.path.join(directory_path(url), scratch.rstrip("/")))
    return Check(name, "ok")


def _remove_folders(top: str) -> None:
    """The folders that held scratch objects; one that holds anything stays."""
    for folder, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)
    with suppress(OSError):
        os.rmdir(os.path.dirname(top))
