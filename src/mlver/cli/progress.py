"""A progress bar on a terminal; silence in a pipe."""

from __future__ import annotations

import os
import sys
import threading
import time

from mlver.cli.output import escape, human_size
from mlver.workflows.context import Progress

_EVERY = 0.1
_WIDTH, _NARROW = 24, 8


class Bar(Progress):
    """Draws on standard error, at most ten times a second; steps may come from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._what, self._total, self._done = "", 0, 0
        self._started = self._drawn = 0.0

    def start(self, what: str, total: int) -> None:
        self._what, self._total, self._done = escape(what), total, 0
        self._started = time.monotonic()
        self._drawn = self._started + 0.3  # short work draws nothing

    def step(self, done: int) -> None:
        with self._lock:
            self._done += done
            now = time.monotonic()
            if now - self._drawn >= _EVERY:
                self._drawn = now
                self._draw(now)

    def finish(self) -> None:
        with self._lock:
            if self._drawn > self._started + 0.3:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()

    def _draw(self, now: float) -> None:
        share = min(1.0, self._done / self._total) if self._total else 1.0
        rate = self._done / max(now - self._started, 1e-6)
        figures = (
            f" {share:4.0%}  {human_size(self._done)} of {human_size(self._total)}"
            f"  {human_size(int(rate))}/s"
        )
        room = _columns() - len(figures) - 2  # a full line would wrap, and could not be redrawn
        what = self._what[: max(0, room - _NARROW)]
        sys.stderr.write(f"\r\x1b[K{what} {_bar(share, min(_WIDTH, room - len(what)))}{figures}")
        sys.stderr.flush()


def _bar(share: float, width: int) -> str:
    done, left = "█░" if (sys.stderr.encoding or "").lower().startswith("utf") else "#."
    full = int(share * max(0, width))
    return done * full + left * (max(0, width) - full)


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def for_terminal() -> Progress:
    """A bar where standard error is a terminal, else silence."""
    return Bar() if sys.stderr.isatty() else Progress()
