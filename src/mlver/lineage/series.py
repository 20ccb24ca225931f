"""What the Python API was told: parameters, metric points, tags, inputs, outputs. A file a process,
appended a line at a time, so that a kill loses the last moment only and a fork mixes nothing.

    events-<pid>-<n>.jsonl      ["m", name, step, value, time]   a point of a metric
                                ["p", name, value]               a parameter
                                ["t", name, value]               a tag
                                ["i"|"o", path, oid, size, role] a declared input or output
                                ["u", words]                     what could not be recorded

Points are gathered in memory and written by a thread every INTERVAL seconds, or when many have
gathered: writing each at once would cost a training loop a system call a point.

The series blob (docs/format/run.md) has a line a metric: {"name", "steps", "times", "values"}.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

INTERVAL = 0.5
_MANY = 8192
_PREFIX = b"events-"
_quote = json.JSONEncoder(ensure_ascii=True, check_circular=False).encode


class EventWriter:
    """Appends to this process's file in a journal's folder. Thread-safe; a forked child begins a
    file of its own. Raises OSError where the disk refuses (`point` never does; see `error`)."""

    def __init__(self, folder: bytes) -> None:
        self._folder = folder
        self._points: list[tuple[str, int | None, float, float]] = []
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._fd = -1
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.error: OSError | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        """In a child: what the parent gathered is the parent's to write."""
        self._points, self._lock = [], threading.Lock()
        self._fd, self._thread, self._stop = -1, None, threading.Event()
        self._pid = os.getpid()

    def point(self, name: str, step: int | None, value: float) -> None:
        """A point of a metric, at this moment."""
        points = self._points
        points.append((name, step, value, time.time()))
        if self._thread is None:
            self._start()
        elif len(points) >= _MANY:
            self.flush_quietly()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mlver-run", daemon=True)
                self._thread.start()
                if "multiprocessing.util" in sys.modules:  # its processes end without atexit
                    from multiprocessing.util import Finalize

                    Finalize(self, self.flush_quietly, exitpriority=100)

    def _run(self) -> None:
        stop = self._stop
        while not stop.wait(INTERVAL):
            self.flush_quietly()

    def event(self, *members: Any) -> None:
        """Anything else, written at once. Raises OSError, ValueError."""
        line = json.dumps(members, allow_nan=False, ensure_ascii=True)
        with self._lock:
            self._write(line + "\n")

    def flush_quietly(self) -> None:
        """As `flush`; a failure is kept in `error`."""
        try:
            self.flush()
        except OSError as error:
            self.error = error

    def flush(self) -> None:
        """Write the points that have gathered. Raises OSError."""
        with self._lock:
            count = len(self._points)
            points = self._points[:count]
            del self._points[:count]  # another thread may append meanwhile
            if points:
                self._write(self._lines(points))

    def _lines(self, points: list[tuple[str, int | None, float, float]]) -> str:
        names, parts = self._names, []
        for name, step, value, when in points:
            quoted = names.get(name)
            if quoted is None:
                quoted = names[name] = _quote(name)
            shown = repr(value) if value - value == 0 else _quote(not_finite(value))
            parts.append(f'["m",{quoted},{"null" if step is None else step},{shown},{when:.3f}]\n')
        return "".join(parts)

    def _write(self, text: str) -> None:
        if self._fd < 0:
            name = b"events-%d-%x.jsonl" % (self._pid, time.time_ns())
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
            self._fd = os.open(os.path.join(self._folder, name), flags, 0o666)
        view = memoryview(text.encode("ascii"))
        while view:
            view = view[os.write(self._fd, view) :]

    def close(self) -> None:
        """Write what is left and end the thread. Raises OSError."""
        self._stop.set()
        try:
            self.flush()
            if self.error is not None:
                raise self.error
        finally:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


def not_finite(value: float) -> str:
    """The text that stands for a number that JSON has not."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def shown(value: float) -> float | int | str:
    """A metric's value as a record holds it."""
    if value - value != 0:
        return not_finite(value)
    return int(value) if value == int(value) and abs(value) < 2**53 else value


@dataclass
class Series:
    """One metric: parallel lists. A step that was not given is the point's number."""

    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, value: float, step: int | None, when: float) -> None:
        self.steps.append(len(self.values) if step is None else step)
        self.times.append(when)
        self.values.append(value)

    def summary(self) -> dict[str, Any]:
        """{last, min, max, count, step}; NaN is least and greatest only where there is nothing
        else."""
        numbers = [value for value in self.values if value == value] or self.values
        return {
            "last": shown(self.values[-1]),
            "min": shown(min(numbers)),
            "max": shown(max(numbers)),
            "count": len(self.values),
            "step": self.steps[-1],
        }


@dataclass
class Events:
    """All that the API was told about a run, by whichever process."""

    metrics: dict[str, Series] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: list[tuple[str, str | None, int, str]] = field(default_factory=list)
    outputs: list[tuple[str, str | None, int, str]] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def read(folder: bytes) -> Events:
    """The events in a journal's folder, files in the order in which they were begun; a line that
    a kill cut short is passed over."""
    found = Events()
    names: list[bytes] = []
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(folder) if name.startswith(_PREFIX)]
    for name in sorted(names, key=lambda name: (name.rpartition(b"-")[2], name)):
        with contextlib.suppress(OSError), open(os.path.join(folder, name), "rb") as file:
            for line in file:
                with contextlib.suppress(ValueError, TypeError, KeyError, IndexError):
                    _take(found, json.loads(line))
    return found


def _take(found: Events, event: list[Any]) -> None:
    kind = event[0]
    if kind == "m":
        _, name, step, value, when = event
        found.metrics.setdefault(name, Series()).add(float(value), step, when)
    elif kind in ("p", "t"):
        (found.params if kind == "p" else found.tags)[event[1]] = event[2]
    elif kind in ("i", "o"):
        (found.inputs if kind == "i" else found.outputs).append(tuple(event[1:5]))
    elif kind == "u":
        found.unseen.append(event[1])


def blob(metrics: Mapping[str, Series]) -> bytes:
    """The series blob of these metrics."""
    return b"".join(_blob_lines(metrics.items()))


def _blob_lines(metrics: Iterable[tuple[str, Series]]) -> Iterator[bytes]:
    for name, series in sorted(metrics):
        values = [shown(value) for value in series.values]
        row = {"name": name, "steps": series.steps, "times": series.times, "values": values}
        yield json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
