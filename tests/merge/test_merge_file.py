"""`git mlver merge-file`: outside of any repository, with the shape that scripts rely on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.support.sandbox import Done, Sandbox

from mlver.errors import LocalIOError
from mlver.formats.base import Bytes
from mlver.merge.base import OURS, Copy, Versions, read_parts

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "schema" / "merge-file.json"


def merge_file(box: Sandbox, *words: str) -> Done:
    return box.run(["git-mlver", "merge-file", *words], box.root)


def given(box: Sandbox, **files: bytes) -> None:
    for name, data in files.items():
        (box.root / f"{name}.csv").write_bytes(data)


def test_the_result_is_in_ours_and_conflicts_have_their_shape(box: Sandbox) -> None:
    given(box, o=b"id,v\n1,a\n2,b\n", a=b"id,v\n1,A\n2,b\n", b=b"id,v\n1,Z\n2,B\n")
    done = merge_file(box, "--json", "--key", "id", "-o", "r.csv", "o.csv", "a.csv", "b.csv")
    assert done.code == 1 and (box.root / "r.csv").read_bytes() == b"id,v\n1,A\n2,B\n"
    found = json.loads(done.raw)
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(found)
    assert (found["version"], found["key"], found["key_source"]) == (1, ["id"], "option")
    assert found["conflicts"] == [
        {
            "kind": "cell", "key": {"id": "1"}, "column": "v",
            "base": "a", "ours": "A", "theirs": "Z", "absent": [],
        }
    ]  # fmt: skip
    assert (box.root / "a.csv").read_bytes() == b"id,v\n1,A\n2,b\n"
    told = merge_file(box, "o.csv", "a.csv", "b.csv")
    assert told.code == 1 and "id=1, column v: base a, ours A, theirs Z" in told.err
    assert (box.root / "a.csv").read_bytes() == b"id,v\n1,A\n2,B\n"


def test_decided_clean_and_to_standard_output(box: Sandbox) -> None:
    given(box, o=b"id,v\n1,a\n", a=b"id,v\n1,A\n", b=b"id,v\n1,Z\n")
    done = merge_file(box, "--theirs", "-o", "-", "o.csv", "a.csv", "b.csv")
    assert (done.code, done.raw) == (0, b"id,v\n1,Z\n")
    (box.root / "a.csv").chmod(0o600)
    done = merge_file(box, "/dev/null", "a.csv", "a.csv", "-o", "a.csv")
    assert (done.code, done.raw) == (0, b"")
    assert (box.root / "a.csv").stat().st_mode & 0o777 == 0o600


def test_what_is_not_there_and_what_does_not_go_together_is_told(box: Sandbox) -> None:
    given(box, o=b"id,v\n1,a\n", a=b"id,v\n1,A\n")
    for words in (
        ["o.csv", "a.csv", "gone.csv"],
        ["o.csv", "a.csv"],
        ["--key", "id", "--no-key", "o.csv", "a.csv", "a.csv"],
        ["--json", "-o", "-", "o.csv", "a.csv", "a.csv"],
    ):
        done = merge_file(box, *words)
        assert done.code == 2 and "Traceback" not in done.err, words
    assert not list(box.root.glob(".mlver-*"))


def test_a_version_that_gets_shorter_meanwhile_is_an_error_and_no_shorter_result() -> None:
    class Shrunk(Bytes):
        def read(self, offset: int, length: int) -> bytes:
            return super().read(offset, length)[: max(0, 10 - offset)]

    versions = Versions(Bytes(b""), Shrunk(b"x" * 100), Bytes(b""))
    with pytest.raises(LocalIOError):
        b"".join(read_parts(versions, [Copy(OURS, 0, 100)]))
