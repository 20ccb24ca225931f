"""What was stored reads back byte for byte, however its bytes arrived.

The sizes are those at which the code takes another way: nothing, one chunk, one window, several.
A stream is cut in windows and must be cut exactly as if it were one buffer, or the same file
added by another path would share nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.store_material import (
    add,
    assert_reads_back,
    content,
    open_store,
    pieces_of,
    reader,
    records_in,
    text,
)

from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer
from mlver.model.recipe import INLINE_ROWS
from mlver.store.assemble import read_blob, stream_blob
from mlver.store.chunker import MAX, MIN
from mlver.store.ingest import Ingest
from mlver.store.local import LocalStore
from mlver.store.record import RECIPE
from mlver.store.windows import WINDOW, fill

SIZES = [
    *(1, 2, MIN - 1, MIN, MIN + 1, 100_000, MAX, MAX + 1),
    *(WINDOW - 1, WINDOW, WINDOW + 1, WINDOW + MAX - 1, WINDOW + MAX, WINDOW + MAX + 1),
    *(2 * WINDOW, 3 * WINDOW + 12_345),
]
FEWER = [1, MIN + 1, MAX + 1, WINDOW - 1, WINDOW + 1, 3 * WINDOW + 12_345]
KINDS: dict[str, Callable[[object, int], bytes]] = {
    "random": content,
    "text": text,
    "zeros": lambda _seed, size: bytes(size),
}
LONG = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    with open_store(tmp_path / "store") as opened:
        yield opened


def check(store: LocalStore, pointer: Pointer | None, data: bytes, lengths: list[int]) -> None:
    assert pointer == Pointer(digest_of(data), len(data)), "the oid is BLAKE3 of the bytes"
    assert [length for _, length in store.rows(pointer)] == lengths
    assert [digest for digest, _ in store.rows(pointer)] == [
        digest_of(piece) for piece in pieces_of(data)
    ]


@pytest.mark.parametrize(
    ("size", "kind"),
    [*((size, "random") for size in SIZES)]
    + [(size, kind) for kind in ("text", "zeros") for size in FEWER],
)
def test_content_of_any_size_reads_back(
    size: int, kind: str, store: LocalStore, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    data = KINDS[kind]("ingest", size)
    pointer = add(store, data)
    check(store, pointer, data, [len(piece) for piece in pieces_of(data)])
    assert_reads_back(store, pointer, data, tmp_path, pool)
    with open_store(tmp_path / "store") as later:
        assert_reads_back(later, pointer, data, tmp_path, pool)


def test_no_content_has_no_pointer(store: LocalStore) -> None:
    with Ingest(store) as ingest:
        assert ingest.add(reader(b"")) is None


@LONG
@given(
    seed=st.integers(0, 10**6),
    size=st.sampled_from(SIZES) | st.integers(1, 3 * WINDOW),
    reads=st.lists(
        st.sampled_from([1 << 12, (1 << 16) - 1, 1 << 16, WINDOW, 10 * WINDOW])
        | st.integers(5_000, WINDOW),
        min_size=1,
        max_size=6,
    ),
)
def test_short_reads_change_nothing(
    seed: int, size: int, reads: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = content(seed, size)
    with open_store(tmp_path_factory.mktemp("short") / "store") as store:
        with Ingest(store) as ingest:
            pointer = ingest.add(reader(data, reads))
        check(store, pointer, data, [len(piece) for piece in pieces_of(data)])
        assert pointer is not None and bytes(read_blob(store, pointer)) == data


def test_a_reader_that_gives_single_bytes_is_followed_to_the_end() -> None:
    data = content("bytes", 3000)
    buffer = bytearray(5000)
    assert fill(reader(data, [1]), memoryview(buffer)) == 3000
    assert bytes(buffer[:3000]) == data


@LONG
@given(
    files=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(SIZES[:11])), min_size=1, max_size=8
    )
)
def test_many_files_in_one_session_all_read_back(
    files: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("many") / "store"
    with open_store(folder) as store:
        with Ingest(store) as ingest:
            added = [(ingest.add(reader(content(*file))), file) for file in files]
        for pointer, file in added:
            assert pointer is not None and bytes(read_blob(store, pointer)) == content(*file)
    stored = [(entry.header.id, entry.header.kind) for entry in records_in(folder)]
    assert len(stored) == len(set(stored)), "nothing is stored twice"


def test_known_content_is_not_stored_again(tmp_path: Path) -> None:
    datas = [content("again", size) for size in (100, MIN + 1, 300_000, WINDOW + 5)]
    with open_store(tmp_path) as store:
        first = [add(store, data) for data in datas]
        before = records_in(tmp_path)
        assert [add(store, data) for data in datas] == first
        with open_store(tmp_path) as later:
            assert [add(later, data) for data in datas] == first
    assert records_in(tmp_path) == before


def test_a_blob_of_one_chunk_needs_no_recipe(store: LocalStore) -> None:
    pointer = add(store, content("small", MIN))
    assert store.locate(pointer.oid, RECIPE) is None
    assert store.locate(pointer.oid) is not None


def test_a_recipe_of_many_chunks_lies_in_lists_that_are_chunks_themselves(
    store: LocalStore, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    data = content("long", 44 * 1024 * 1024)
    lengths = [len(piece) for piece in pieces_of(data)]
    assert len(lengths) > INLINE_ROWS
    pointer = add(store, data)
    check(store, pointer, data, lengths)
    assert store.recipe(pointer.oid).depth == 1
    assert store.list_rows(pointer)
    assert_reads_back(store, pointer, data, tmp_path, pool)
    assert store.missing(pointer) is None


def test_one_chunk_over_and_over_is_stored_once(
    store: LocalStore, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    data = bytes((INLINE_ROWS + 40) * MAX)
    pointer = add(store, data)
    assert store.recipe(pointer.oid).depth == 1
    assert len(records_in(tmp_path / "store")) <= 3
    streamed = sum(len(part) for parts in stream_blob(store, pointer, pool) for part in parts)
    assert streamed == len(data)


class ReadFailedError(Exception):
    """What a worktree file may do at any time."""


@pytest.mark.parametrize("good", [0, 1, WINDOW - 1, WINDOW, WINDOW + MAX, 3 * WINDOW])
def test_a_failing_read_ends_the_add_and_the_next_one_works(good: int, store: LocalStore) -> None:
    data = content("fails", 4 * WINDOW)
    whole = reader(data[:good])

    def read_into(view: memoryview) -> int:
        count = whole(view)
        if count == 0:
            raise ReadFailedError
        return count

    with Ingest(store) as ingest:
        with pytest.raises(ReadFailedError):
            ingest.add(read_into)
        pointer = ingest.add(reader(data))
    assert pointer is not None and bytes(read_blob(store, pointer)) == data
