"""A progress bar on a terminal; silence in a pipe."""

from __future__ import annotations

import sys
import threading
import time

from mlver.cli.output import human_size
from mlver.workflows.context import Progress

_EVERY = 0.1
_WIDTH = 24


class Bar(Progress):
    """Draws on standard error, at most ten times a second; steps may come from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._what, self._total, self._done = "", 0, 0
        self._started = self._drawn = 0.0

    def start(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
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
        bar = "█" * int(share * _WIDTH) + "░" * (_WIDTH - int(share * _WIDTH))
        rate = self._done / max(now - self._started, 1e-6)
        sys.stderr.write(
            f"\r\x1b[K{self._what} {bar} {share:4.0%}  {human_size(self._done)}"
            f" of {human_size(self._total)}  {human_size(int(rate))}/s"
        )
        sys.stderr.flush()


def for_terminal() -> Progress:
    """A bar where standard error is a terminal, else silence."""
    return Bar() if sys.stderr.isatty() else Progress()
