"""git starts a program of ours for every command that touches a tracked file: what it does not
need, it does not import."""

from __future__ import annotations

import sys

from tests.support.sandbox import Clone, content, pointer_to

_PROGRAM = """\
import sys
from mlver.cli.main import main
sys.argv[1:] = {words!r}
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
_HEAVY = {"boto3", "click", "concurrent.futures", "dataclasses", "json", "logging"}
_HEAVY |= {"mlver.exchange", "mlver.remotes", "secrets", "tempfile"}
_STORE = {"mlver.store", "sqlite3", "zstandard"}


def loaded(work: Clone, words: list[str], input: bytes = b"") -> set[str]:
    program = [sys.executable, "-P", "-E", "-c", _PROGRAM.format(words=words)]
    done = work.box.run(program, work.top, input)
    assert done.code == 0, done.err
    return {*done.err.splitlines()[-1].split(" ")}


def test_a_pre_commit_with_nothing_to_capture_opens_no_store(work: Clone) -> None:
    found = loaded(work, ["hook", "pre-commit"])
    assert "mlver.workflows.precommit" in found
    assert found & (_HEAVY | _STORE) == set()


def asked(command: bytes, text: bytes) -> bytes:
    """What git writes to the filter for one file."""
    lines = [b"git-filter-client\n", b"version=2\n", b"", b"capability=%s\n" % command, b""]
    lines += [b"command=%s\n" % command, b"pathname=a.bin\n", b"", text, b""]
    return b"".join(b"%04x%s" % (len(line) + 4, line) if line else b"0000" for line in lines)


def test_a_filter_loads_nothing_of_remotes_for_what_is_here(work: Clone) -> None:
    data = content("a")
    for request in (asked(b"clean", data), asked(b"smudge", pointer_to(data))):
        found = loaded(work, ["filter-process"], request)
        assert found >= _STORE
        assert found & _HEAVY == set()
