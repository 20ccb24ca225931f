"""What a disk's refusal means to the user: errno → what happened, why, what to do next.

Invariant: no OSError becomes `NotFound`. A disk that fails has not said what it holds.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from mlver.errors import RemoteError
from mlver.remotes.base import TransientRemoteError
from mlver.remotes.folder import NotPlain

_LOOK = "see who put it there, then remove it"
_FULL = (
    "the disk or its quota is full",
    "free space there (df -h {root} and df -i {root} show it), then run the same command again:"
    " what was stored is kept",
)
_REFUSED = ("permission was refused", "give your user the rights to it: ls -ld {root}")

# Why and next; {root} is the remote's folder. By name, since not every system has every errno.
_REASONS = {
    "EACCES": _REFUSED,
    "EDQUOT": _FULL,
    "EFBIG": (
        "the file system, or a limit, takes no file of this size",
        "see ulimit -f, and the file system's type: df -T {root}",
    ),
    "EIO": (
        "the disk, or the connection to it, failed",
        "look at the system log (dmesg) and check the disk before more is written to it",
    ),
    "EISDIR": ("a folder stands where an object is to be", _LOOK),
    "ELOOP": ("a symbolic link stands in the way", _LOOK),
    "ENOSPC": _FULL,
    "ENOTDIR": ("a file stands where a folder is to be", _LOOK),
    "EPERM": _REFUSED,
    "EROFS": ("the file system is mounted read-only", "mount it writable, then try again"),
    "ESTALE": ("the network mount is stale", "mount {root} again"),
}
_TRANSIENT = frozenset({
    "EAGAIN", "EBUSY", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "EMFILE", "ENETDOWN",
    "ENETRESET", "ENETUNREACH", "ENFILE", "ENOBUFS", "ENOLCK", "ESTALE", "ETIMEDOUT",
})  # fmt: skip


@contextmanager
def explained(what: str, root: str) -> Iterator[None]:
    """Turn what the system says in this block into a RemoteError; `what` is its first sentence."""
    try:
        yield
    except NotPlain as error:
        fix = f"nothing but plain files and folders is used in a remote: {_LOOK}"
        raise RemoteError(what, why=str(error), fix=fix) from error
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "")
        why, fix = _REASONS.get(code, ("the system refused", "look at the folder: ls -ld {root}"))
        kind = TransientRemoteError if code in _TRANSIENT else RemoteError
        raise kind(
            what, why=f"{why} ({error.strerror or error})", fix=fix.format(root=root)
        ) from error
