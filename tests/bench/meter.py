"""Runs one command and writes down what it cost: `python meter.py REPORT COMMAND…`.

It is a process of its own for each measurement, for two reasons. The kernel keeps one peak of
resident memory for all the children that a process ever waited for, so the peak of one command
needs a parent that had no other. And a child starts with its parent's peak: this parent imports
nothing but the standard library, so that what it adds to every figure is some 10 MB at most.

The peak is that of the largest single process among the command and its descendants, not their
sum. A process that outlives the command becomes this one's child (Linux only), is waited for, and
its time is told apart: work put off to the background is not work saved.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
BACKGROUND_LIMIT = 60.0
"""Seconds to wait for what outlives the command."""


def adopt_orphans() -> None:
    """Make descendants whose parent ends children of this process, where the kernel can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for_orphans() -> None:
    """Wait until no descendant is left, BACKGROUND_LIMIT at most."""
    deadline = time.perf_counter() + BACKGROUND_LIMIT
    while time.perf_counter() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.002)


def _children_cpu() -> float:
    """CPU seconds of the children so far: a wrapper that starts Python may have had some."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(command: list[str]) -> dict[str, float]:
    """Seconds of wall clock and CPU, bytes at the peak, and the exit code of `command`."""
    before = _children_cpu()
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status = os.waitpid(pid, 0)
    end = time.perf_counter()
    wait_for_orphans()
    last = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": end - start,
        "background_seconds": last - end,
        "cpu_seconds": _children_cpu() - before,
        "peak_bytes": peak * unit,
        "exit_code": os.waitstatus_to_exitcode(status),
    }


def main() -> None:
    """Measure the command of the arguments and write the report."""
    report, command = sys.argv[1], sys.argv[2:]
    adopt_orphans()
    result = measure(command)
    with open(report, "w", encoding="utf-8") as out:
        json.dump(result, out)


if __name__ == "__main__":
    main()
