"""Several commands at once, in one repository and against one remote: none loses what another
does, and each ends well or says that it has to wait.

No test waits for a clock. One command is stopped at a very call (strace sends it SIGSTOP), the
other runs to its end, then the first goes on.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.faults.cli_scenarios import FAR, V2, files_in
from tests.faults.sweep import Stage, needs_strace
from tests.support.sandbox import Clone, Done, Sandbox, content

from mlver.errors import BusyError

pytestmark = needs_strace

_STOPPED = re.compile(r"^(\d+) .*(?:stopped by SIGSTOP)", re.MULTILINE)


class Stopped:
    """A command of which one program stands still at a call."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log
        self._pid = 0

    def wait_for_the_stop(self) -> None:
        while self._process.poll() is None:
            text = self._log.read_text(errors="replace") if self._log.exists() else ""
            found = _STOPPED.search(text)
            if found:
                status = Path(f"/proc/{found[1]}/status").read_text()
                self._pid = int(status.partition("Tgid:")[2].split()[0])  # threads may end
                return
        raise AssertionError(f"it ended before the call: {self._process.communicate()}")

    def go_on(self) -> Done:
        while self._process.poll() is None:  # each thread stops at its own first call
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGCONT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
        out, err = self._process.communicate()
        return Done(self._process.returncode, out, os.fsdecode(err))


@contextmanager
def stopped(
    box: Sandbox, where: str, args: Sequence[str], program: str, call: str, number: int = 1
) -> Iterator[Stopped]:
    """The command, once `program` has come to the `number`-th such call."""
    log = box.root / f"stopped-{program.split()[0]}.log"
    tracer = ["strace", "-f", "-b", "execve", "-o", str(log), "-e", f"trace={call}"]
    tracer += ["-e", f"inject={call}:signal=STOP:when={number}"]
    env = {**box.env, "SWEEP_PROGRAM": program, "SWEEP_TRACER": shlex.join(tracer)}
    process = subprocess.Popen(
        args,
        cwd=box.root / where,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    one = Stopped(process, log)
    try:
        one.wait_for_the_stop()
        yield one
    finally:
        if process.poll() is None:
            process.kill()


def ended_well(done: Done) -> None:
    assert done.code == 0 and "Traceback" not in done.err, done.err


def all_is_there(box: Sandbox, pusher: Clone, files: dict[str, bytes], branch: str) -> None:
    """A fresh clone of the branch has these files, and the remote is whole."""
    fresh = box.clone(box.root / FAR, f"fresh-{branch}", "-q", "-b", branch)
    found = files_in(fresh.top)
    assert {name: found[name] for name in files} == files
    pusher.mlver("fsck", "--remote")


def test_two_worktrees_that_add_at_once(stage: Stage) -> None:
    box = stage.fresh("published")
    work = box.at("work")
    work.git("worktree", "add", "-q", "-b", "side", str(box.root / "linked"))
    linked = box.at("linked")
    both = {"both.bin": content("both", 200_000)}
    ours = {**both, "one.bin": content("one")}
    theirs = {**both, "two.bin": content("two")}
    for repo, files in ((work, ours), (linked, theirs)):
        for name, data in files.items():
            repo.write(name, data)
    with stopped(box, "work", ["git", "mlver", "add", "."], "add", "writev") as first:
        linked.git("add", "-A")
        linked.git("commit", "-qm", "theirs")
        ended_well(first.go_on())
    work.git("commit", "-qm", "ours")
    work.git("push", "-q", "origin", "main", "side")
    all_is_there(box, work, ours, "main")
    all_is_there(box, linked, theirs, "side")


def test_an_add_beside_a_push(stage: Stage) -> None:
    box = stage.fresh("committed")
    work = box.at("work")
    more = {"more.bin": content("more", 100_000)}
    push = ["git", "push", "-q", "origin", "main"]
    with stopped(box, "work", push, "hook pre-push", "linkat") as pushing:
        work.write("more.bin", more["more.bin"])
        work.mlver("add", ".")
        work.git("commit", "-qm", "more")
        ended_well(pushing.go_on())
    assert box.clone(box.root / FAR, "between", "-q").read("a.bin") == V2["a.bin"]
    work.git("push", "-q", "origin", "main:later")
    all_is_there(box, work, V2, "main")
    all_is_there(box, work, {**V2, **more}, "later")


def test_two_clones_that_push_the_same_content_at_once(stage: Stage) -> None:
    box = stage.fresh("cloned")
    work, second = box.at("work"), box.at("second")
    same = {"same.bin": content("same", 200_000), "a.bin": content("edit", 9) + V2["a.bin"]}
    for repo, branch in ((work, "main"), (second, "theirs")):
        repo.git("checkout", "-q", "-B", branch)
        repo.given("same", same)
    push = ["git", "push", "-q", "origin", "main"]
    with stopped(box, "work", push, "hook pre-push", "linkat") as pushing:
        second.git("push", "-q", "origin", "theirs")
        ended_well(pushing.go_on())
    all_is_there(box, work, same, "main")
    all_is_there(box, second, same, "theirs")


def test_a_prune_beside_an_add_says_that_the_store_is_in_use(stage: Stage) -> None:
    box = stage.fresh("changed")
    work = box.at("work")
    with stopped(box, "work", ["git", "add", "-A"], "filter-process", "writev") as adding:
        refused = work.attempt("mlver", "prune", "--yes")
        assert refused.code == BusyError.exit_code and "next:" in refused.err
        ended_well(adding.go_on())
    work.git("commit", "-qm", "v2")
    work.mlver("prune", "--yes")
    work.git("push", "-q", "origin", "main")
    all_is_there(box, work, V2, "main")


def test_an_add_waits_for_a_prune(stage: Stage) -> None:
    box = stage.fresh("published")
    work = box.at("work")
    work.write("more.bin", content("more"))
    prune = ["git", "mlver", "prune", "--yes"]
    with stopped(box, "work", prune, "prune", "unlink") as pruning:
        adding = subprocess.Popen(["git", "add", "-A"], cwd=work.top, env=box.env)
        ended_well(pruning.go_on())
        assert adding.wait(60) == 0
    work.git("commit", "-qm", "more")
    work.git("push", "-q", "origin", "main")
    all_is_there(box, work, {**V2, "more.bin": content("more")}, "main")


def test_a_fetch_beside_a_fetch(stage: Stage) -> None:
    box = stage.fresh("pointers")
    second = box.at("second")
    fetch = ["git", "mlver", "fetch", "--all"]
    with stopped(box, "second", fetch, "fetch", "writev") as fetching:
        second.mlver("pull")
        ended_well(fetching.go_on())
    found = files_in(second.top)
    assert {name: found[name] for name in V2} == V2
    second.mlver("fsck")
    assert second.status() == ""
