"""What the audit hook of Python (audit_hook/sitecustomize.py) has told of a run: which files its
Python programs opened, and how. Read from the journal's folder; of a killed run too."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field

HOOK_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "audit_hook")
VARIABLE = "MLVER_RUN_DIR"
"""Names the journal's folder to the command and all that it starts."""

_PREFIX = b"opened-"
_MOST = 200_000


@dataclass
class Opened:
    """Absolute paths: read before they were written, and written; `told`: whether a hook was at
    work at all."""

    read: set[bytes] = field(default_factory=set)
    written: set[bytes] = field(default_factory=set)
    told: bool = False


def read(folder: bytes) -> Opened:
    """What was told into the journal `folder`. Lines that are none are passed over."""
    first_read: dict[bytes, float] = {}
    first_written: dict[bytes, float] = {}
    in_place: set[bytes] = set()
    found = Opened()
    names: list[bytes] = []
    with contextlib.suppress(OSError):
        names = sorted(name for name in os.listdir(folder) if name.startswith(_PREFIX))
    for name in names:
        found.told = True
        with contextlib.suppress(OSError), open(os.path.join(folder, name), "rb") as file:
            for line in file:
                kind, when, path = _parsed(line)
                if kind == b"b":
                    in_place.add(path)
                elif path:
                    times = first_read if kind == b"r" else first_written
                    times[path] = min(when, times.get(path, when))
                if len(first_read) + len(first_written) > _MOST:
                    break
    found.written = set(first_written) | in_place
    never = float("inf")
    found.read = {p for p, when in first_read.items() if when < first_written.get(p, never)}
    found.read |= {path for path in in_place if path not in first_written}
    return found


def _parsed(line: bytes) -> tuple[bytes, float, bytes]:
    try:
        kind, when, path = line.split(b" ", 2)
        return kind, float(when), os.fsencode(json.loads(path))
    except (ValueError, TypeError):
        return b"", 0.0, b""


def with_hook(env: dict[str, str], journal: str) -> dict[str, str]:
    """The environment in which the command's Pythons report into `journal`."""
    paths = [HOOK_FOLDER, *filter(None, [env.get("PYTHONPATH", "")])]
    return {**env, VARIABLE: journal, "PYTHONPATH": os.pathsep.join(paths)}


def without_hook(env: dict[str, str]) -> dict[str, str]:
    """The environment without what `with_hook` put there: for programs of our own."""
    clean = {name: value for name, value in env.items() if name != VARIABLE}
    paths = [p for p in clean.pop("PYTHONPATH", "").split(os.pathsep) if p and p != HOOK_FOLDER]
    return {**clean, "PYTHONPATH": os.pathsep.join(paths)} if paths else clean
