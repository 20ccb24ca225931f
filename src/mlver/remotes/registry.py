"""From the address that a user wrote to the remote behind it; a remote is one line here.

Only the module that an address needs is imported: boto3 alone takes 200 ms. Nothing looks at an
address before `refuse_unsafe` has.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from mlver import __version__
from mlver.errors import UsageError
from mlver.remotes.address import refuse_unsafe, scheme_and_host
from mlver.remotes.base import Remote

SCHEMES: dict[str, str] = {
    "file": "mlver.remotes.directory:from_url",
}
_PLANNED = frozenset({"s3"})


def open_remote(url: str) -> Remote:
    """The remote at `url`: `/a/path`, or one of `SCHEMES`. Raises UsageError."""
    refuse_unsafe(url)
    scheme, _ = scheme_and_host(url)
    target = SCHEMES.get(scheme or "file")
    if target is None:
        raise _unknown(scheme)
    module, _, function = target.partition(":")
    opener = cast(Callable[[str], Remote], getattr(importlib.import_module(module), function))
    return opener(url)


def _unknown(scheme: str) -> UsageError:
    known = ", ".join(["/a/path", *(f"{name}://" for name in SCHEMES)])
    if scheme in _PLANNED:
        return UsageError(
            f"this version ({__version__}) of git-mlver cannot use {scheme}:// remotes",
            why=f"they come with a later version; this one can use {known}",
            fix="upgrade git-mlver, or use a directory",
        )
    return UsageError(
        f"there is no kind of remote named {scheme}://",
        why=f"known are {known}",
        fix="git mlver remote add NAME with one of these",
    )
