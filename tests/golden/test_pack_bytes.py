"""The bytes of records, packs and a remote's index objects never change.

They lie on users' disks and remotes, where no upgrade rewrites them. If a test here fails, the
code is wrong, not the test. What zstd makes of content may change with its version; what it once
made must be read for ever, so frames are frozen for reading only.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mlver.exchange import condemned, layout, registered
from mlver.exchange.condemned import Condemned
from mlver.exchange.index_object import Found, IndexObject, encode
from mlver.model.digest import Digest, digest_of
from mlver.model.pointer import Pointer
from mlver.model.recipe import Recipe
from mlver.remotes.memory import MemoryRemote
from mlver.store import chunker, pack
from mlver.store.pack import NewRecord, PackWriter
from mlver.store.record import (
    CHUNK,
    DELTA,
    GROUPED,
    RAW,
    RECIPE,
    XOR,
    ZSTD,
    Codec,
    Header,
    decode_header,
    encode_header,
)

ON_DISK = "packs in these bytes lie on users' disks and remotes"
READABLE = "content stored once must be read by every later version"

ID = Digest(bytes(range(32)))
HEADERS = {
    (CHUNK, RAW): "6d6c7231010000002c010000a00f0000" + ID.hex() + "3c0547ef",
    (CHUNK, ZSTD): "6d6c7231010100002c010000a00f0000" + ID.hex() + "91f90ae0",
    (CHUNK, DELTA): "6d6c7231010200002c010000a00f0000" + ID.hex() + "971712f3",
    (CHUNK, GROUPED): "6d6c7231010300002c010000a00f0000" + ID.hex() + "719a3509",
    (CHUNK, XOR): "6d6c7231010400002c010000a00f0000" + ID.hex() + "1b355b45",
    (RECIPE, RAW): "6d6c7231020000002c010000a00f0000" + ID.hex() + "8e201d9f",
    (RECIPE, ZSTD): "6d6c7231020100002c010000a00f0000" + ID.hex() + "a770e26f",
}

BASE = b"".join(b"%d,%d\n" % (i, i * i) for i in range(60))
CHANGED = BASE.replace(b"30,900\n", b"30,901\nnew\n")
ZSTD_FRAME = (
    "28b52ffd60a8007d060086da320bb0b50366ed65623360d6012d002e002e00c2d055304147635237"
    "36a7a32adf1595d2fda5bbba6c175146d7c0da89617582919036e68ccaaf283bbdb20b46a5c8ee28"
    "2d2b152b8b2886ac0f2cef0130786540e011209237268e476078af3c14efe1b4d79ff522cef04ac2"
    "eaeead49df38ccf948aafc570fa57c2750fa6ba0b25f0495f1d55396ec7f196445520219954b928d"
    "5d8e8ca6e56515226bb8b06627118659dd423023a99066e310ce8c5ae66715c194d903989e35c8ec"
    "2c62cc98356ed6f710337c1536c1470100"
)
DELTA_FRAME = "28b52ffd60ac0085000028310a6e65770200e5d7a594b74aad20"

FLOATS = b"".join((0x3C00 + i * i % 97).to_bytes(2, "little") for i in range(150)) + b"!"
MOVED = b"".join((0x3C00 + i * i % 97 + i % 3).to_bytes(2, "little") for i in range(150)) + b"?"
GROUPED_PAYLOAD = (
    "0228b52ffd602d005c030024060001040910192431405103182f48021f3e5f21460c35602c5b2b5e3208411b"
    "583616593d230b5642302012065d554f4b49494b4f555d0612203042560b233d591636581b4108325e2b5b2c"
    "60350c46215f3e1f02482f1803514031241910090401210100a1c8334401b204003c010000"
)
XOR_PAYLOAD = (
    "0228b52ffd602d003c0300f40300030200010200030200070200010600013e0001070e0e02001f0600030600"
    "03010e3e0007033e003f06001f3f7e0003060706010e00031e000302001f021e10002090e8451aed5e016967"
    "8314042d2078358304312903ac3a0cdabdc8f9bc8c6584ba2613b2040000010000"
)

ONE, TWO = b"first chunk", b"second"
PACK = (
    "4d4c56525041434b01000000000000006d6c7231010000000600000006000000cd85637651ec7a55"
    "7bddd61c5ddd1df21ad8bbbaf6c3c098482b3ed1c1014964e20aea367365636f6e646d6c72310100"
    "00000b0000000b0000007715f731a097ecb028a9916b6b23c2891cc7345245843acb36d9d230938d"
    "7831965feaf36669727374206368756e6b6d6c7231020000007800000078000000f7f0b1c350c503"
    "c37c3c067100b631b0dd545fd0f977647847be9a64a39c1cab0a312a390100000002000000110000"
    "0000000000cd85637651ec7a557bddd61c5ddd1df21ad8bbbaf6c3c098482b3ed1c1014964060000"
    "007715f731a097ecb028a9916b6b23c2891cc7345245843acb36d9d230938d78310b0000005f3efb"
    "d2ef57683a2a608c2af3b2d1a06c871a762cba1ecbfb4f4e5d97cb19b87715f731a097ecb028a991"
    "6b6b23c2891cc7345245843acb36d9d230938d7831010000004a000000000000000b0000000b0000"
    "00cd85637651ec7a557bddd61c5ddd1df21ad8bbbaf6c3c098482b3ed1c101496401000000100000"
    "00000000000600000006000000f7f0b1c350c503c37c3c067100b631b0dd545fd0f977647847be9a"
    "64a39c1cab020000008900000000000000780000007800000003000000350100000000000093f5d4"
    "7685ccdb10fab087b362d2351d7269f69c3de9491074d625c9708c5c954d4c5652454e4431"
)

PACKS = Digest(bytes([7]) * 32), Digest(bytes([9]) * 32)
IDS = (
    Digest(bytes(32)),
    Digest(bytes([5]) + bytes(31)),
    Digest(bytes([5]) + bytes(30) + b"\1"),
    Digest(bytes([255]) + bytes(31)),
)
FOUND = [
    Found(IDS[3], CHUNK, RAW, PACKS[0], 1000, 1, 1, None),
    Found(IDS[1], RECIPE, RAW, PACKS[0], 200, 156, 156, None),
    Found(IDS[1], CHUNK, DELTA, PACKS[0], 2**33, 70, 5000, IDS[0]),
    Found(IDS[0], CHUNK, RAW, PACKS[1], 16, 100, 100, None),
    Found(IDS[2], CHUNK, ZSTD, PACKS[1], 168, 40, 90, None),
]
INDEX_HEAD = "4d4c5652494e4458010000000500000002000000010000000000000000000000"
INDEX_FAN = [1] * 5 + [4] * 250 + [5]
INDEX_ROWS = (
    "00000000000000000000000000000000000000000000000000000000000000000100000001000000"
    "10000000000000006400000064000000ffffffff0500000000000000000000000000000000000000"
    "00000000000000000000000001020000000000000000000002000000460000008813000000000000"
    "05000000000000000000000000000000000000000000000000000000000000000200000000000000"
    "c8000000000000009c0000009c000000ffffffff0500000000000000000000000000000000000000"
    "0000000000000000000000010101000001000000a800000000000000280000005a000000ffffffff"
    "ff000000000000000000000000000000000000000000000000000000000000000100000000000000"
    "e8030000000000000100000001000000ffffffff0707070707070707070707070707070707070707"
    "07070707070707070707070709090909090909090909090909090909090909090909090909090909"
    "090909090000000000000000000000000000000000000000000000000000000000000000"
)
INDEX_DIGEST = "fbf9eb8ef809ccfcda9cf15a936aa6cb8beeb4e841a5e69160634fd6e607059e"


def no_base(digest: Digest) -> bytes:
    raise AssertionError("no base is asked for")


@pytest.mark.parametrize("form", sorted(HEADERS))
def test_a_record_header_is_encoded_as_it_always_was(form: tuple[int, int]) -> None:
    kind, codec = form
    assert encode_header(kind, codec, 300, 4000, ID).hex() == HEADERS[form], ON_DISK
    assert decode_header(bytes.fromhex(HEADERS[form])) == Header(kind, codec, 300, 4000, ID)


def test_a_frame_that_was_compressed_once_is_decoded_for_ever() -> None:
    frame = bytes.fromhex(ZSTD_FRAME)
    header = Header(CHUNK, ZSTD, len(frame), len(BASE), digest_of(BASE))
    assert Codec().decode(header, frame, no_base) == BASE, READABLE


def test_a_delta_that_was_made_once_is_decoded_for_ever() -> None:
    payload = digest_of(BASE) + bytes.fromhex(DELTA_FRAME)
    header = Header(CHUNK, DELTA, len(payload), len(CHANGED), digest_of(CHANGED))
    assert Codec().decode(header, payload, {digest_of(BASE): BASE}.__getitem__) == CHANGED, READABLE


def test_grouped_floats_that_were_stored_once_are_decoded_for_ever() -> None:
    payload = bytes.fromhex(GROUPED_PAYLOAD)
    header = Header(CHUNK, GROUPED, len(payload), len(FLOATS), digest_of(FLOATS))
    assert Codec().decode(header, payload, no_base) == FLOATS, READABLE
    payload = digest_of(FLOATS) + bytes.fromhex(XOR_PAYLOAD)
    header = Header(CHUNK, XOR, len(payload), len(MOVED), digest_of(MOVED))
    assert Codec().decode(header, payload, {digest_of(FLOATS): FLOATS}.__getitem__) == MOVED, (
        READABLE
    )


def test_a_sealed_pack_has_the_bytes_that_it_always_had(tmp_path: Path) -> None:
    blob = digest_of(TWO + ONE)
    rows = ((digest_of(TWO), len(TWO)), (digest_of(ONE), len(ONE)))
    payload = Recipe(len(TWO + ONE), 0, rows).encode(blob)
    writer = PackWriter(bytes(tmp_path / "one.pack"))
    writer.append(
        [
            NewRecord(CHUNK, RAW, len(TWO), digest_of(TWO), (TWO,)),
            NewRecord(CHUNK, RAW, len(ONE), digest_of(ONE), (ONE,)),
            NewRecord(RECIPE, RAW, len(payload), blob, (payload,)),
        ]
    )
    writer.seal()
    assert (tmp_path / "one.pack").read_bytes().hex() == PACK, ON_DISK


def test_a_pack_that_was_sealed_once_is_read_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "old.pack"
    path.write_bytes(bytes.fromhex(PACK))
    with path.open("rb") as file:
        by_footer = pack.read_footer(file.fileno())
        by_scan = list(pack.scan(file.fileno()))
        stored = {e.header.id: pack.copy_record(file.fileno(), e).payload[0] for e in by_footer}
    assert [entry.offset for entry in by_scan] == [16, 74, 137], READABLE
    assert sorted(by_footer, key=lambda entry: entry.offset) == by_scan, READABLE
    assert stored[digest_of(ONE)] == ONE and stored[digest_of(TWO)] == TWO, READABLE


def test_an_index_object_has_the_bytes_that_it_always_had() -> None:
    fan = b"".join(count.to_bytes(4, "little") for count in INDEX_FAN)
    expected = INDEX_HEAD + fan.hex() + INDEX_ROWS + INDEX_DIGEST
    assert encode(FOUND).hex() == expected, (
        "index objects in these bytes lie on users' remotes; clones of other versions read them"
    )
    assert list(IndexObject(bytes.fromhex(expected))) == sorted(
        FOUND, key=lambda found: (found.id, found.kind)
    ), READABLE


CONDEMNED = Condemned(frozenset(PACKS), frozenset({(IDS[3], CHUNK), (IDS[1], RECIPE)}), 2**33 + 1)
CONDEMNED_BYTES = (
    "4d4c5652434f4e440100000002000000020000000000000001000000020000000707070707070707"
    "07070707070707070707070707070707070707070707070709090909090909090909090909090909"
    "09090909090909090909090909090909050000000000000000000000000000000000000000000000"
    "000000000000000002ff000000000000000000000000000000000000000000000000000000000000"
    "0001fa19dac4e6ad2bd121533d8d3ab0de673a655adc1842bd1f5c7bdf8eba0b101d"
)


def test_a_list_of_condemned_packs_has_the_bytes_that_it_always_had() -> None:
    assert condemned.encode(CONDEMNED).hex() == CONDEMNED_BYTES, (
        "a clone of another version that could not read it would rely on what will be deleted"
    )
    assert condemned.decode(bytes.fromhex(CONDEMNED_BYTES)) == CONDEMNED, READABLE


def test_what_keeps_content_from_collection_has_the_bytes_that_it_always_had() -> None:
    remote = MemoryRemote()
    held = [Pointer(IDS[3], 7), Pointer(IDS[1], 12)]
    registered.hold(remote, held)
    registered.register(remote, "git@example.org:project.git")
    texts = {row.name: remote.read(row.name) for row in remote.list("gc/")}
    expected = {
        "gc/holds/": held[1].encode() + held[0].encode(),
        "gc/repositories/": b'{"url": "git@example.org:project.git", "version": 1}\n',
    }
    assert texts == {name + digest_of(data).hex(): data for name, data in expected.items()}


def test_objects_of_a_remote_are_named_as_they_always_were() -> None:
    why = "a clone that looks under another name finds nothing of what was pushed"
    assert layout.META == "mlver.json", why
    assert layout.pack_object(PACKS[0]) == "packs/07/" + "07" * 32, why
    assert layout.index_object(PACKS[1]) == "index/0/" + "09" * 32, why
    assert layout.VERSION == 1, why
    assert (layout.CONDEMNED, layout.LOCKS) == ("gc/condemned/", "gc/locks/"), why


def test_the_chunker_parameters_in_every_mlver_json_stay() -> None:
    assert chunker.PARAMETERS == {
        "algorithm": "fastcdc-2020",
        "min": 16_384,
        "target": 65_536,
        "max": 262_144,
        "normalization": 1,
        "seed": 0,
    }, "clones that cut differently share nothing on one remote"
