"""The bytes of pointers and recipes never change: git histories and packs are full of them.

If a test here fails, the code is wrong, not the test. A new form needs a new version in its first
bytes, beside the old one, which stays readable for ever.
"""

from __future__ import annotations

from tests.unit.store_material import content

from mlver.model import pointer, recipe
from mlver.model.digest import Digest, digest_of, keyed_digest
from mlver.model.pointer import Pointer
from mlver.model.recipe import ListCutter, Recipe

COMMITTED = "every commit of every user holds pointers in exactly these bytes"
STORED = "recipes in these bytes lie in users' packs and on their remotes"

POINTER = (
    b"version mlver/1\n"
    b"oid blake3:9be26b3bf1d37bf0efa193a8ab10e127c27a77f33f9e25590f5bbac354ff3e40\n"
    b"size 1000\n"
)
ABC = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"

OID = digest_of(b"the blob")
ROWS = tuple((Digest(bytes(range(k, k + 32))), 1000 * k + 1) for k in range(3))
RECIPE = (
    "0100000003000000bb0b000000000000000102030405060708090a0b0c0d0e0f1011121314151617"
    "18191a1b1c1d1e1f010000000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c"
    "1d1e1f20e903000002030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021"
    "d10700000ddf9aff165502188f6b9a2ec2d55162209aae078357f7960cae4f0b4f5c533f"
)

LONG_ROWS = [(digest_of(b"row %d" % i), i + 1) for i in range(20_000)]
LIST_LENGTHS = [
    *(4096, 836, 904, 1499, 1243, 958, 370, 1187, 1227, 1861),
    *(663, 515, 1087, 871, 181, 267, 863, 668, 704),
]
LISTS = "cbfbf1f9b19df7bf986d79e196e374d29939064a7d437e11ced977f2fce13c30"
OUTER_HEAD = "010100001300000010e9eb0b00000000"
OUTER = "c530c99c60418acc1f08e06169935d3fbe00d72b2c48992aeda6218edd012afa"


def test_a_digest_is_what_b3sum_prints() -> None:
    assert digest_of(b"abc").hex() == ABC, "the oid is the plain BLAKE3: any tool can check it"


def test_a_pointer_is_spelled_as_it_always_was() -> None:
    data = content("golden", 1000)
    assert Pointer(digest_of(data), len(data)).encode() == POINTER, COMMITTED


def test_a_pointer_that_was_committed_once_is_read_for_ever() -> None:
    assert pointer.parse(POINTER) == Pointer(digest_of(content("golden", 1000)), 1000), COMMITTED


def test_the_largest_size_is_two_to_the_63_less_one() -> None:
    text = POINTER.replace(b"1000", b"9223372036854775807")
    assert pointer.parse(text) is not None, COMMITTED
    assert pointer.parse(text.replace(b"807\n", b"808\n")) is None, (
        "a text that is content today must not become a pointer tomorrow"
    )


def test_a_short_recipe_is_encoded_as_it_always_was() -> None:
    assert Recipe(3003, 0, ROWS).encode(OID).hex() == RECIPE, STORED
    assert recipe.decode(bytes.fromhex(RECIPE), OID) == Recipe(3003, 0, ROWS), STORED


def test_a_recipe_ends_in_a_digest_of_its_own_domain_over_the_oid_too() -> None:
    payload = bytes.fromhex(RECIPE)
    assert payload[-32:] == keyed_digest(b"mlver/1 recipe", OID + payload[:-32]), STORED


def test_a_recipe_of_up_to_512_rows_holds_them_itself() -> None:
    assert recipe.INLINE_ROWS == 512, "one blob would get two recipes, one by each version"


def test_the_lists_of_a_long_recipe_are_cut_where_they_always_were() -> None:
    cutter = ListCutter()
    lists = [done for row in LONG_ROWS if (done := cutter.push(row)) is not None]
    lists += [done] if (done := cutter.finish()) is not None else []
    why = "moved cuts store the list of every long file anew, and deduplicate nothing of it"
    assert [len(part) // 36 for part in lists] == LIST_LENGTHS, why
    assert digest_of(b"".join(lists)).hex() == LISTS, STORED
    outer = Recipe(
        sum(length for _, length in LONG_ROWS),
        1,
        tuple((digest_of(part), len(part)) for part in lists),
    )
    payload = outer.encode(OID)
    assert payload[:16].hex() == OUTER_HEAD, STORED
    assert digest_of(payload).hex() == OUTER, STORED
    assert recipe.decode(payload, OID) == outer, STORED
