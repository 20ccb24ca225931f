"""A bad line between us and a bucket: what is said, and what another try makes of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pytest
from tests.conformance.remotes.s3_tools import MD5_ONLY, PROVED, behind_proxy
from tests.support.fault_proxy import FaultProxy
from tests.support.s3_server import Endpoint

from mlver.errors import RemoteError
from mlver.remotes.base import NotFound, TransientRemoteError
from mlver.remotes.retry import RetryRemote
from mlver.remotes.s3 import S3Remote

CONTENT = random.Random(4).randbytes(2_500_000)
PARTS = [CONTENT[at : at + 65_536] for at in range(0, len(CONTENT), 65_536)]
Pair = tuple[S3Remote, FaultProxy]


@pytest.fixture
def pair(s3: Endpoint, bucket: str) -> Iterator[Pair]:
    with behind_proxy(s3, bucket, read_timeout=2) as found:
        yield found


def patient(remote: S3Remote) -> RetryRemote:
    return RetryRemote(remote, sleep=lambda _: None)


UPLOADS = ["503", "500", "cut_up", "drop_response", "hang"]
ALWAYS: dict[str, Callable[[S3Remote], object]] = {
    "PUT": lambda remote: remote.create("packs/aa/new", PARTS),
    "GET .*/here": lambda remote: remote.read("packs/aa/here"),
    "HEAD": lambda remote: remote.size("packs/aa/here"),
    "GET .*list-type": lambda remote: [*remote.list("packs/")],
    "DELETE": lambda remote: remote.delete("packs/aa/other"),
    "POST": lambda remote: remote.delete_many(["packs/aa/other", "packs/aa/third"]),
}


@pytest.mark.parametrize("request_line", ALWAYS)
@pytest.mark.parametrize("kind", ["503", "drop_response"])
def test_a_passing_fault_is_called_so_and_the_next_try_goes_well(
    pair: Pair, kind: str, request_line: str
) -> None:
    remote, proxy = pair
    remote.create("packs/aa/here", [CONTENT])
    proxy.fault(kind, request_line, times=2)
    with pytest.raises(TransientRemoteError) as caught:
        ALWAYS[request_line](remote)
    assert remote.url in caught.value.what and caught.value.why and caught.value.fix
    ALWAYS[request_line](patient(remote))
    assert proxy.hits(kind) == 2


@pytest.mark.parametrize("kind", UPLOADS)
def test_an_upload_that_broke_is_whole_after_the_next_try(pair: Pair, kind: str) -> None:
    remote, proxy = pair
    proxy.fault(kind, "PUT ", times=2, after=1_000_000)
    patient(remote).create("packs/aa/new", PARTS)
    assert proxy.hits(kind) == 2
    assert remote.read("packs/aa/new") == CONTENT


def test_a_put_whose_answer_was_lost_answers_that_it_is_there(pair: Pair) -> None:
    remote, proxy = pair
    proxy.fault("drop_response", "PUT ")
    assert patient(remote).create("packs/aa/new", PARTS) is False
    assert remote.size("packs/aa/new") == len(CONTENT)


def test_a_put_that_was_cut_leaves_nothing(pair: Pair) -> None:
    remote, proxy = pair
    proxy.fault("cut_up", "PUT ", after=1_000_000)
    with pytest.raises(TransientRemoteError):
        remote.create("packs/aa/new", PARTS)
    assert remote.size("packs/aa/new") is None


GUARDS = [
    pytest.param(PROVED, id="signed-body"),
    pytest.param(MD5_ONLY, id="md5"),
    pytest.param(None, id="not-probed"),
]


@pytest.mark.parametrize("parts", [PARTS, [b"x" * 10_000]], ids=["pack", "small"])
@pytest.mark.parametrize("guard", GUARDS)
def test_a_byte_that_changed_on_its_way_up_is_not_stored(
    needs_ceph: Endpoint, bucket: str, guard: dict[str, str] | None, parts: list[bytes]
) -> None:
    """Whichever digest guards the body, by what the probe saw: the server refuses it."""
    with behind_proxy(needs_ceph, bucket, options=guard) as (remote, proxy):
        proxy.fault("corrupt_up", "PUT ", after=1_000_000 if parts is PARTS else 5_000)
        with pytest.raises(TransientRemoteError, match="not those that were sent"):
            remote.create("packs/aa/new", parts)
        assert proxy.hits("corrupt_up") == 1
        assert remote.size("packs/aa/new") is None
        assert patient(remote).create("packs/aa/new", parts) is True
        assert remote.read("packs/aa/new") == b"".join(parts)


@pytest.mark.parametrize("after", [10, 400, 100_000, 2_400_000])
def test_a_download_that_was_cut_is_no_short_answer(pair: Pair, after: int) -> None:
    remote, proxy = pair
    remote.create("packs/aa/here", PARTS)
    proxy.fault("cut_down", "GET ", after=after)
    with pytest.raises(TransientRemoteError):
        remote.read("packs/aa/here")
    proxy.fault("cut_down", "GET ", after=after)
    assert patient(remote).read("packs/aa/here", 5, 2_000_000) == CONTENT[5:2_000_005]


def test_a_byte_that_changed_on_its_way_down_is_for_those_above_to_see(pair: Pair) -> None:
    """Their digests do: the contract says that a remote is not trusted."""
    remote, proxy = pair
    remote.create("packs/aa/here", PARTS)
    proxy.fault("corrupt_down", "GET ", after=1_000_000)
    spoiled = remote.read("packs/aa/here")
    assert len(spoiled) == len(CONTENT)
    assert sum(a != b for a, b in zip(spoiled, CONTENT, strict=True)) == 1


@pytest.mark.parametrize("after", [100, 900, 2000])
def test_a_listing_that_was_cut_is_no_short_listing(pair: Pair, after: int) -> None:
    remote, proxy = pair
    names = {f"packs/aa/{number}" for number in range(60)}
    for name in names:
        remote.create(name, [b"x"])
    proxy.fault("cut_down", "GET .*list-type", after=after, skip=1)
    with pytest.raises(TransientRemoteError):
        list(remote.list("packs/"))
    proxy.fault("cut_down", "GET .*list-type", after=after, skip=1)
    assert {row.name for row in patient(remote).list("packs/")} == names


def test_silence_ends_at_the_timeout(pair: Pair) -> None:
    remote, proxy = pair
    remote.create("packs/aa/here", [b"x"])
    proxy.fault("hang", "GET ")
    began = time.monotonic()
    with pytest.raises(TransientRemoteError, match="did not answer in time"):
        remote.read("packs/aa/here")
    assert time.monotonic() - began < 60


def test_a_slow_line_is_no_timeout(s3: Endpoint, bucket: str) -> None:
    """A timeout is a time without a byte: this takes longer in all, and is never silent."""
    with behind_proxy(s3, bucket, connect_timeout=1) as (remote, proxy):
        proxy.rate = 4_000_000.0
        assert remote.create("packs/aa/new", [CONTENT] * 8) is True
        assert remote.size("packs/aa/new") == 8 * len(CONTENT)


def test_a_refused_connection_is_said_and_passes(pair: Pair) -> None:
    remote, proxy = pair
    remote.create("packs/aa/here", [b"x"])
    remote.close()
    proxy.refuse = True
    with pytest.raises(TransientRemoteError):
        remote.read("packs/aa/here")
    proxy.refuse = False
    assert remote.read("packs/aa/here") == b"x"


def test_faults_never_look_as_if_nothing_were_there(pair: Pair) -> None:
    remote, proxy = pair
    for kind in ("503", "500", "cut_down", "drop_response"):
        for act in (remote.size, remote.read):
            proxy.fault(kind, "", times=2)
            with pytest.raises(RemoteError) as caught:
                act("packs/aa/none")
            assert not isinstance(caught.value, NotFound), (kind, act)
            proxy.clear()
    assert remote.size("packs/aa/none") is None
