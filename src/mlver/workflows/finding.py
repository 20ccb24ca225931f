"""What a check of `git mlver doctor` says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`level`: "ok", "note" or "problem". `fix`: the next command, where there is one."""

    level: str
    what: str
    fix: str = ""
