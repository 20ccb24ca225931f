"""Run as a process of its own: creates one object, and kills itself -9 at the place it is told.

    python dying_writer.py ROOT NAME FUNCTION CALL before|after

FUNCTION is one of `os`, CALL counts its calls from 1. In `limit` mode (FUNCTION is "limit") the
file size is limited to 1 MiB in place of a kill, and the error is printed.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from mlver.errors import MlverError
from mlver.remotes.directory import DirectoryRemote

CONTENT = bytes(range(256)) * (1 << 14)  # 4 MiB, in 1,024 parts and so in several writes
PARTS = [CONTENT[at : at + 2048] for at in range(0, len(CONTENT), 2048)]


def die_at(function: str, call: int, when: str) -> None:
    """Make the given call of `os.function` the last thing that this process does."""
    real = getattr(os, function)
    calls = 0

    def fatal(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = real(*args, **kwargs)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(os, function, fatal)


def main(root: str, name: str, function: str, call: str, when: str) -> int:
    if function == "limit":
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    else:
        die_at(function, int(call), when)
    try:
        print(DirectoryRemote(Path(root)).create(name, PARTS))
    except MlverError as error:
        print(type(error).__name__, error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
