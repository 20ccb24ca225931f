"""Every failure that a user can meet, in a few families; each family has one exit code.

An error says what happened (`what`), why (`why`) and the next command (`fix`). Exceptions are
turned into exit codes in one place only, `mlver.cli.main`. This module imports nothing of mlver.

Exit codes: 0 done; 1 differences or conflicts; 2 usage; then the families below.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_DIFFERENT = 1
EXIT_USAGE = 2


class MlverError(Exception):
    """What happened, why, and what to do next.

    `what` is one sentence; `why` is the cause as far as it is known; `fix` is the command (or the
    act) that repairs. All three are plain text; the command line escapes control characters.
    """

    exit_code = 3

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    @property
    def told(self) -> str:
        """What happened and why, on one line: for an error that another one quotes."""
        return f"{self.what} ({self.why})" if self.why else self.what

    def __str__(self) -> str:
        parts = [self.what]
        if self.why:
            parts.append(f"  why:  {self.why}")
        if self.fix:
            parts.append(f"  next: {self.fix}")
        return "\n".join(parts)


class UsageError(MlverError):
    """The command's words do not fit (exit 2)."""

    exit_code = EXIT_USAGE


class RepositoryError(MlverError):
    """No repository, one that cannot be used, or configuration that cannot be read (exit 3)."""

    exit_code = 3


class MissingContent(MlverError):
    """Content that a pointer names is in no place that could be reached (exit 4)."""

    exit_code = 4


class CorruptContent(MlverError):
    """Bytes that do not match their digest, or a record that cannot be read (exit 5)."""

    exit_code = 5


class RemoteError(MlverError):
    """A remote cannot be reached, refuses, or answers wrongly (exit 6)."""

    exit_code = 6


class LocalIOError(MlverError):
    """This machine refuses: disk full, read-only, no permission, out of memory (exit 7)."""

    exit_code = 7


class RefusedError(MlverError):
    """A safeguard said no: policy, an untrusted remote, changes that would be lost (exit 8)."""

    exit_code = 8


class BusyError(MlverError):
    """Another process holds a lock that this work needs (exit 9)."""

    exit_code = 9


class UnforeseenError(MlverError):
    """A fault of git-mlver's own: an exception that nobody translated (exit 10)."""

    exit_code = 10


EXIT_CODES: dict[int, str] = {
    EXIT_OK: "done",
    EXIT_DIFFERENT: "differences or conflicts, or problems found (fsck, doctor)",
    EXIT_USAGE: "usage: the command's words do not fit",
    RepositoryError.exit_code: "no repository, or its configuration cannot be used",
    MissingContent.exit_code: "content is missing, here and on every remote asked",
    CorruptContent.exit_code: "content does not match its digest",
    RemoteError.exit_code: "a remote cannot be reached, refuses, or answers wrongly",
    LocalIOError.exit_code: "this machine refuses: disk full, read-only, no permission, no memory",
    RefusedError.exit_code: "refused by a safeguard: policy, trust, changes that would be lost",
    BusyError.exit_code: "another process holds a lock that is needed",
    UnforeseenError.exit_code: "a fault of git-mlver itself; MLVER_DEBUG=1 shows where",
    130: "interrupted",
}
