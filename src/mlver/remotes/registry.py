"""From the address that a user wrote to the remote behind it; a remote is one line here.

Only the module that an address needs is imported, and the AWS library, which alone takes 170 ms,
not before a bucket is asked. Nothing looks at an address before `refuse_unsafe` has.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import cast

from mlver.errors import UsageError
from mlver.remotes.address import refuse_unsafe, scheme_and_host
from mlver.remotes.base import Remote

_Opener = Callable[[str, Mapping[str, str]], Remote]

SCHEMES: dict[str, str] = {
    "file": "mlver.remotes.directory:from_url",
    "s3": "mlver.remotes.s3:from_url",
}


def open_remote(url: str, options: Mapping[str, str] | None = None) -> Remote:
    """The remote at `url`: `/a/path`, or one of `SCHEMES`. Nothing is contacted yet.

    `options` are those of `mlver.remote.NAME.*` in git's configuration, names in lower case.
    Raises UsageError.
    """
    refuse_unsafe(url)
    scheme, _ = scheme_and_host(url)
    target = SCHEMES.get(scheme or "file")
    if target is None:
        raise _unknown(scheme)
    module, _, function = target.partition(":")
    opener = cast(_Opener, getattr(importlib.import_module(module), function))
    return opener(url, options or {})


def _unknown(scheme: str) -> UsageError:
    known = ", ".join(["/a/path", *(f"{name}://" for name in SCHEMES)])
    return UsageError(
        f"there is no kind of remote named {scheme}://",
        why=f"known are {known}",
        fix="git mlver remote add NAME with one of these",
    )
