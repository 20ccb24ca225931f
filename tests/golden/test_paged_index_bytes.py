"""The bytes of a paged index object never change: see test_pack_bytes."""

from __future__ import annotations

from tests.golden.test_pack_bytes import FOUND, IDS, PACKS, READABLE

from mlver.exchange import layout, paged_layout
from mlver.exchange.index_object import order
from mlver.exchange.paged_index import InMemory, PagedIndex
from mlver.exchange.paged_writer import encode_paged
from mlver.model.digest import Digest, digest_of

HEAD = "4d4c565250414745010000008000000005000000000000000200000000020000"
BUCKET_5 = "030000000100000080bbd620db52cef33b9bce70b037030d65d769a452dfad6660133e14ace7cc8f"
AFTER_THE_ROOT = (
    "07070707070707070707070707070707070707070707070707070707070707070909090909090909"
    "0909090909090909090909090909090909090909090909090000000000000000000000000945b53c"
    "cbd3c324235bae19991a1e43c5a88ce5ea9b5ccce7342f789509a538050000000000000001000000"
    "62045186e39b0048799cd435e00cff3ac8e8836106bff468c86c90642cf3d2c8ff00000000000000"
    "0000000001207a231a835c29a666c2a8ae5a7ca653c686467be3efbe1793e1d84e73752c00000000"
    "00000000000000000000000000000000000000000000000000000000010000000100000010000000"
    "000000006400000064000000ffffffff050000000000000000000000000000000000000000000000"
    "00000000000000000102000000000000000000000200000046000000881300000000000005000000"
    "000000000000000000000000000000000000000000000000000000000200000000000000c8000000"
    "000000009c0000009c000000ffffffff050000000000000000000000000000000000000000000000"
    "00000000000000010101000001000000a800000000000000280000005a000000ffffffff00000000"
    "00000000000000000000000000000000000000000000000000000000ff0000000000000000000000"
    "00000000000000000000000000000000000000000100000000000000e80300000000000001000000"
    "01000000ffffffff"
)
"""Two packs; the lists of buckets 0, 5 and 255, a block each; the blocks."""
NAME = "95bac88d9d799d57214f000f3c6facbcd26ad5c1fa2a7da461779a329053d37f"
WHOLE = "97a6972ba6017e9b10abba49d02938f80874df53b503d7c4ac9412bbe0a0c2e4"
"""BLAKE3 of all bytes: most of them say that a bucket is empty."""


def test_a_paged_index_object_has_the_bytes_that_it_always_had() -> None:
    name, data = encode_paged(FOUND)
    assert data[:32].hex() == HEAD
    assert data[32 + 5 * 40 : 32 + 6 * 40].hex() == BUCKET_5
    assert data[paged_layout.root_size(data) :].hex() == AFTER_THE_ROOT
    assert name.hex() == NAME and digest_of(data).hex() == WHOLE, (
        "paged objects lie on users' remotes; clones of other versions read parts of them"
    )
    assert layout.compacted_object(name) == "index/compacted/" + NAME


def test_a_paged_index_object_that_was_written_once_is_read_for_ever() -> None:
    _, data = encode_paged(FOUND)
    made = PagedIndex(InMemory(data), Digest(bytes.fromhex(NAME)), len(data))
    assert list(made) == sorted(FOUND, key=order), READABLE
    assert made.packs() == sorted(PACKS)
    assert [row.kind for row in made.lookup([IDS[1]])[IDS[1]]] == [1, 2]
    smaller = encode_paged(FOUND, block_rows=1, page_packs=1)
    assert list(PagedIndex(InMemory(smaller[1]), smaller[0], len(smaller[1]))) == list(made), (
        "the sizes of blocks and pages are the writer's choice"
    )
