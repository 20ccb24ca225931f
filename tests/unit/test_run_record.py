"""A run's record: one value, one line; what a clone brings is read or refused."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlver.errors import CorruptContent
from mlver.model import canonical
from mlver.model.digest import digest_of
from mlver.model.run import Artifact, Blob, Run, from_json, is_run_id, new_run_id, parse

RUN = Run(
    run_id=new_run_id(1_700_000_000_000, bytes(range(10))),
    name="train",
    status="finished",
    started="2026-01-31T12:00:00.000Z",
    ended="2026-01-31T12:00:01.500Z",
    exit_code=0,
    actor="A <a@example.com>",
    job={"argv": ["python", "train.py"], "cwd": ""},
    code={"commit": "0" * 40},
    inputs=(Artifact("data/a.csv", digest_of(b"a"), 1, found="opened"),),
    outputs=(Artifact("model.bin", None, 3, "model"),),
    params={"lr": 0.1, "layers": [1, 2]},
    metrics={"acc": {"last": 0.5}},
    tags={"team": "ü"},
    blobs={"stdout": Blob(digest_of(b"x"), 1)},
    other={"later": {"a": None}},
)

# RFC 8785, appendix B, and the borders of ECMAScript's notations.
NUMBERS = {
    0.0: "0", 1.0: "1", -1.5: "-1.5", 0.1: "0.1", 5e-324: "5e-324",
    1.7976931348623157e308: "1.7976931348623157e+308", 9007199254740992.0: "9007199254740992",
    295147905179352830000.0: "295147905179352830000",
    9.999999999999997e22: "9.999999999999997e+22",
    1e23: "1e+23", 1e21: "1e+21", 1e20: "100000000000000000000", 1e-6: "0.000001", 1e-7: "1e-7",
    333333333.3333333: "333333333.3333333", 1.2345e-5: "0.000012345",
    123456789012.5: "123456789012.5",
}  # fmt: skip


@pytest.mark.parametrize("value", NUMBERS)
def test_numbers_are_written_as_ecmascript_does(value: float) -> None:
    assert canonical.number(value) == NUMBERS[value]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_as_itself(value: float) -> None:
    assert float(canonical.number(value)) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: 2}, {1, 2}, 2**60, "\ud800"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        canonical.encode(value)


def test_members_are_sorted_by_utf16_units() -> None:
    value = {"\U0001f600": 1, "\ufb33": 2, "a": "\u2028\n\x01"}
    assert canonical.encode(value) == '{"a":"\u2028\\n\\u0001","\U0001f600":1,"\ufb33":2}'.encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(json_values)
def test_canonical_json_is_json_and_its_own_canonical_form(value: object) -> None:
    try:
        text = canonical.encode(value)
    except ValueError:
        return  # a lone surrogate
    assert canonical.encode(json.loads(text)) == text


def test_a_record_reads_back_as_itself() -> None:
    line = RUN.encode()
    assert b"\n" not in line
    assert parse(line) == RUN
    assert parse(line).encode() == line


def test_what_a_later_version_adds_is_kept() -> None:
    assert json.loads(parse(RUN.encode()).encode())["later"] == {"a": None}


def test_a_run_id_is_a_uuid_of_version_7_that_sorts_by_time() -> None:
    ids = [new_run_id(ms, bytes(10)) for ms in (0, 1, 2**40, 2**48 - 1)]
    assert ids == sorted(ids) and all(map(is_run_id, ids))
    assert not is_run_id(ids[0].upper().replace("7", "4"))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_run_or_an_error_of_ours(data: bytes) -> None:
    try:
        parse(data)
    except CorruptContent as error:
        assert error.what


_NAMES = [
    "schema",
    "run_id",
    "status",
    "started",
    "inputs",
    "metrics",
    "blobs",
    "exit_code",
    "code",
]


@given(st.dictionaries(st.sampled_from(_NAMES), json_values))
def test_wrong_types_are_refused(members: dict[str, object]) -> None:
    record = json.loads(RUN.encode()) | members
    try:
        run = from_json(record)
    except CorruptContent:
        return
    assert parse(run.encode()) == run


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b" " * 70_000,
        RUN.encode().replace(b"0.5", b"NaN"),
        RUN.encode().replace(b'"size":1', b'"size":-1'),
        RUN.encode().replace(b'"size":1', b'"size":true'),
        RUN.encode().replace(b"mlver.run/1", b"mlver.run/2"),
        RUN.encode().replace(b"blake3:", b"md5:"),
        RUN.encode().replace(b'"other"', b"x"),
    ],
)
def test_hostile_lines_are_refused(line: bytes) -> None:
    if line == RUN.encode():
        return
    with pytest.raises(CorruptContent):
        parse(line)
