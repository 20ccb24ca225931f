"""The aligner names the old chunk in whose place a new one stands."""

from __future__ import annotations

from mlver.model.digest import digest_of
from mlver.model.recipe import Row
from mlver.store.align import Aligner

OLD: list[Row] = [(digest_of(b"%d" % number), 100) for number in range(6)]
NEW = digest_of(b"new")


def id_of(number: int) -> bytes:
    return OLD[number][0]


def test_a_chunk_replaced_in_place_has_the_old_one_as_base() -> None:
    aligner = Aligner(OLD)
    aligner.matched(OLD[0][0], 0)
    aligner.matched(NEW, 100)
    assert aligner.base_for(100, 100) == id_of(1)


def test_after_an_insertion_places_are_measured_from_the_last_match() -> None:
    aligner = Aligner(OLD)
    aligner.matched(OLD[2][0], 1_000_200)
    assert aligner.base_for(1_000_300, 100) == id_of(3)


def test_after_a_deletion_too() -> None:
    aligner = Aligner(OLD)
    aligner.matched(OLD[3][0], 0)
    assert aligner.base_for(100, 100) == id_of(4)


def test_past_the_end_of_the_old_version_there_is_no_base() -> None:
    aligner = Aligner(OLD)
    assert aligner.base_for(600, 100) is None
    assert aligner.base_for(5_000, 100) is None


def test_without_an_old_version_there_is_no_base() -> None:
    aligner = Aligner([])
    aligner.matched(NEW, 0)
    assert aligner.base_for(0, 100) is None


def test_a_chunk_that_recurs_anchors_at_its_first_place() -> None:
    aligner = Aligner([OLD[0], OLD[1], OLD[0], OLD[2]])
    aligner.matched(OLD[0][0], 0)
    assert aligner.base_for(100, 100) == id_of(1)
