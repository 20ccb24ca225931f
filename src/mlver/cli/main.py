"""Entry of `git mlver`. The only place that turns errors into exit codes, and exits.

git starts this program for every command that touches a tracked file, so the plumbing is told
apart before click is imported. Nothing is raised out of here: what nobody foresaw is told in the
form of every other error (`_unforeseen`), and its traceback only with MLVER_DEBUG=1.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
from collections.abc import Iterator

from mlver.errors import LocalIOError, MlverError, UnforeseenError

PLUMBING = {
    "clean": "mlver.cli.plumbing.one_shot:clean",
    "diff-driver": "mlver.cli.plumbing.drivers:diff",
    "filter-process": "mlver.cli.plumbing.filter_process:run",
    "hook": "mlver.cli.plumbing.hook:run",
    "merge-driver": "mlver.cli.plumbing.drivers:merge",
    "pointer": "mlver.cli.plumbing.one_shot:pointer",
    "smudge": "mlver.cli.plumbing.one_shot:smudge",
    "textconv": "mlver.cli.plumbing.drivers:textconv",
}
"""Subcommand → module:function that takes the arguments after it and returns the exit code."""

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit."""
    _take_any_character()
    sys.exit(_guarded(sys.argv[1:]))


def _guarded(args: list[str]) -> int:
    try:
        code = _run(args)
        if sys.stdout is not None:
            sys.stdout.flush()  # at Python's own exit, a failure could not be told
        return code
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError as error:
        # The reader went away (| head): not our failure, but nothing more can be said. A hook's
        # exit code lets git go on, so there it has to be earned.
        if args[:1] != ["hook"] and _reader_went_away():
            _settle_stdout()
            return 0
        return _failed(error)
    except Exception as error:
        return _failed(error)


def _run(args: list[str]) -> int:
    if args and args[0] in PLUMBING:
        module, _, name = PLUMBING[args[0]].partition(":")
        with _uncollected():
            run = getattr(__import__(module, fromlist=[name]), name)
        return int(run(args[1:]))
    if args[:1] == ["run"]:
        from mlver.cli.run_words import plain

        words = plain(args[1:])
        if words is not None:
            with _uncollected():
                from mlver.cli.recorded import record
            return record(words)
    from mlver.cli.group import run_command

    return run_command(args)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Imports, during which nothing is garbage: looking for some takes a twelfth of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _failed(error: Exception) -> int:
    from mlver.cli.output import warn

    if os.environ.get("MLVER_DEBUG", "0") not in ("", "0"):
        import traceback

        with contextlib.suppress(OSError, ValueError):
            traceback.print_exception(error)
    told = _in_words(error)
    if isinstance(error, MemoryError):
        error.__traceback__ = None  # its frames hold what took the memory
    warn(str(told))
    _settle_stdout()
    return told.exit_code


def _in_words(error: Exception) -> MlverError:
    if isinstance(error, MlverError):
        return error
    if isinstance(error, OSError):
        from mlver.store.files import local_error

        return local_error(error, "git mlver")
    if isinstance(error, MemoryError):
        return LocalIOError(
            "there is not enough memory",
            why="this machine, or a limit (ulimit -v), gives no more; what was finished is kept",
            fix="end other programs or raise the limit, then run the command again",
        )
    return _unforeseen(error)


def _unforeseen(error: Exception) -> UnforeseenError:
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return UnforeseenError(
        f"git-mlver failed in a way that was not foreseen ({said})",
        why=f"a fault of git-mlver itself, at {_place(error)}; what was finished is kept",
        fix="run it again with MLVER_DEBUG=1 set, and report what it prints and git mlver env",
    )


def _place(error: Exception) -> str:
    """Where it was raised: enough to recognise a fault that is known."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None:
        return "an unknown place"
    return f"{os.path.basename(step.tb_frame.f_code.co_filename)}:{step.tb_lineno}"


def _interrupted() -> int:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # who asks twice does not want to wait for threads
    with contextlib.suppress(OSError, ValueError):
        print("interrupted; what was finished is kept", file=sys.stderr)
    return INTERRUPTED


def _take_any_character() -> None:
    """✓ and → are not in every locale's encoding, and a name may hold any character."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _reader_went_away() -> bool:
    """Whether it is standard output that is broken: a pipe to a git that died breaks too."""
    import select

    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), select.POLLOUT)
    except (AttributeError, OSError, ValueError):
        return True  # nobody can be told anything there
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _settle_stdout() -> None:
    """What is left in its buffer must not fail a second time when Python exits."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
