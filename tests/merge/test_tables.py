"""Text tables: each rule of a merge, and that the file stays written as it was."""

from __future__ import annotations

import pytest
from tests.merge.merging import clean, merged, read, told

from mlver.merge.options import Choice, identity

BASE = b"id,n,v\n1,a,x\n2,b,y\n3,c,z\n4,d,w\n"


def changed(*pairs: tuple[bytes, bytes], base: bytes = BASE) -> bytes:
    for old, new in pairs:
        assert old in base
        base = base.replace(old, new)
    return base


def test_rows_and_cells_of_both_sides_are_taken_in_the_order_of_ours() -> None:
    ours = changed((b"1,a,x", b"1,a,X")) + b"5,e,q\n"
    theirs = changed((b"1,a,x", b'1,"A,A",x'), (b"3,c,z\n", b"")) + b"6,f,r\n7,g,s\n"
    wanted = b'id,n,v\n1,"A,A",X\n2,b,y\n4,d,w\n5,e,q\n6,f,r\n7,g,s\n'
    assert clean(BASE, ours, theirs) == wanted


def test_one_cell_changed_twice_keeps_ours_and_names_all_three() -> None:
    data, found = merged(BASE, changed((b"y", b"p")), changed((b"y", b"q")))
    assert data == changed((b"y", b"p"))
    assert told(found) == [("cell", "2", "v", "y", "p", "q")]
    assert found.key == ("id",) and found.key_source == "inferred"


def test_strict_makes_two_changes_of_a_row_a_conflict() -> None:
    sides = changed((b"2,b", b"2,B")), changed((b"y", b"q"))
    assert clean(BASE, *sides) == changed((b"2,b,y", b"2,B,q"))
    data, found = merged(BASE, *sides, strict=True)
    assert data == sides[0]
    assert told(found) == [("cell", "2", "n", "b", "B", "b"), ("cell", "2", "v", "y", "y", "q")]


@pytest.mark.parametrize("ours_deletes", [True, False])
def test_a_row_deleted_here_and_changed_there(ours_deletes: bool) -> None:
    gone, edit = changed((b"2,b,y\n", b"")), changed((b"2,b,y", b"2,b,Q"))
    sides = (gone, edit) if ours_deletes else (edit, gone)
    data, found = merged(BASE, *sides)
    assert data == sides[0]
    row, new = {"id": "2", "n": "b", "v": "y"}, {"id": "2", "n": "b", "v": "Q"}
    values = (None, new) if ours_deletes else (new, None)
    assert told(found) == [("edit-delete", "2", None, row, *values)]
    assert found.conflicts[0].absent == (("ours",) if ours_deletes else ("theirs",))


def test_one_key_added_twice() -> None:
    assert clean(BASE, BASE + b"5,e,q\n", BASE + b"5,e,q\n") == BASE + b"5,e,q\n"
    ours = changed((b"x", b"X")) + b"5,e,q\n"
    assert clean(BASE, ours, BASE + b"5,e,q\n") == ours
    data, found = merged(BASE, BASE + b"5,e,q\n", BASE + b"5,e,r\n")
    assert data == BASE + b"5,e,q\n"
    assert [(c.kind, c.key, c.base) for c in found.conflicts] == [("add-add", {"id": "5"}, None)]


def test_an_add_of_the_whole_file_on_both_sides() -> None:
    assert clean(b"", BASE + b"5,e,q\n", BASE + b"6,f,r\n") == BASE + b"5,e,q\n6,f,r\n"
    assert merged(b"", BASE, changed((b"y", b"q")))[1].conflicts[0].kind == "add-add"


def test_columns_of_both_sides_are_added() -> None:
    ours = b"id,n,v,s\n1,a,x,\n2,b,y,5\n3,c,z,6\n4,d,w,7\n8,d,w,7\n"
    theirs = b"id,k,n,v\n1,k1,a,X\n2,k2,b,y\n4,k4,d,w\n9,k9,a,b\n"
    wanted = b"id,k,n,v,s\n1,k1,a,X,\n2,k2,b,y,5\n4,k4,d,w,7\n8,,d,w,7\n9,k9,a,b,\n"
    assert clean(BASE, ours, theirs) == wanted


def test_a_deleted_row_stays_deleted_where_the_other_side_only_filled_a_new_column() -> None:
    gone = changed((b"2,b,y\n", b""))
    wider = b"id,n,v,s\n1,a,x,4\n2,b,y,5\n3,c,z,6\n4,d,w,7\n"
    wanted = b"id,n,v,s\n1,a,x,4\n3,c,z,6\n4,d,w,7\n"
    assert clean(BASE, gone, wider) == clean(BASE, wider, gone) == wanted


def test_an_edit_follows_a_rename() -> None:
    edit, named = changed((b"y", b"Y")), changed((b"id,n,v", b"id,n,value"))
    wanted = changed((b"id,n,v", b"id,n,value"), (b"y", b"Y"))
    assert clean(BASE, edit, named) == clean(BASE, named, edit) == wanted


def test_two_names_for_one_column() -> None:
    data, found = merged(BASE, changed((b"n,", b"name,")), changed((b"n,", b"nom,")))
    assert data == changed((b"n,", b"name,"))
    assert told(found) == [("schema", "n", "n", "name", "nom")]


DROPPED = b"id,n\n1,a\n2,b\n3,c\n4,d\n"


def test_a_dropped_column_that_nobody_changed_is_gone() -> None:
    edit = changed((b"2,b", b"2,B"))
    wanted = changed((b"2,b", b"2,B"), base=DROPPED)
    assert clean(BASE, edit, DROPPED) == clean(BASE, DROPPED, edit) == wanted


@pytest.mark.parametrize("ours_drops", [True, False])
def test_a_dropped_column_that_the_other_side_changed(ours_drops: bool) -> None:
    edit = changed((b"y", b"Y"))
    sides = (DROPPED, edit) if ours_drops else (edit, DROPPED)
    data, found = merged(BASE, *sides)
    assert data == sides[0]
    assert [(c.kind, c.key, c.column) for c in found.conflicts] == [
        ("schema", {}, "v"),
        ("schema", {"id": "2"}, "v"),
    ]
    assert "Y" in (found.conflicts[1].ours, found.conflicts[1].theirs)
    for side in ("ours", "theirs"):
        chosen = {identity({}, "v"): Choice(side)}
        kept = (side == "ours") != ours_drops
        assert clean(BASE, *sides, choices=chosen) == (edit if kept else DROPPED)


def test_a_value_added_to_a_column_that_the_other_side_dropped_is_not_lost() -> None:
    found = merged(BASE, DROPPED, BASE + b"5,e,q\n")[1]
    assert ("schema", "5", "v", None, None, "q") in told(found)


def test_a_column_of_one_name_added_on_both_sides_is_merged_by_cell() -> None:
    wider = b"id,n,v,s\n1,a,x,4\n2,b,y,5\n3,c,z,6\n4,d,w,7\n"
    assert clean(BASE, wider, wider + b"5,e,q,8\n") == wider + b"5,e,q,8\n"
    found = merged(BASE, wider, changed((b"y,5", b"y,50"), base=wider))[1]
    assert told(found) == [("cell", "2", "s", None, "5", "50")]


def test_a_column_of_one_name_and_another_type_is_a_conflict_of_columns() -> None:
    wider = b"id,n,v,s\n1,a,x,4\n2,b,y,5\n3,c,z,6\n4,d,w,7\n"
    theirs = b"id,n,v,s\n1,a,x,low\n2,b,y,5\n3,c,z,6\n4,d,w,7\n"
    data, found = merged(BASE, wider, theirs)
    assert data == wider
    assert told(found) == [
        ("schema", "s", None, "numbers", "text"),
        ("cell", "1", "s", None, "4", "low"),
    ]
    assert clean(BASE, wider, theirs, rest=Choice("theirs")) == theirs


def test_a_named_key_that_one_side_dropped_is_a_conflict_of_columns() -> None:
    theirs = b"n,v\na,x\nb,Y\nc,z\nd,w\n"
    ours = changed((b"z", b"Z"))
    data, found = merged(BASE, ours, theirs, key=("id",))
    assert data == ours and found.format == "csv"
    assert [(c.kind, c.key, c.column) for c in found.conflicts] == [("schema", {}, "id")]
    assert clean(BASE, ours, theirs, key=("id",), rest=Choice("theirs")) == theirs


def test_a_key_that_stands_twice_is_no_key() -> None:
    base = b"id,v\n1,a\n1,b\n2,c\n"
    ours, theirs = changed((b"1,a", b"1,A"), base=base), changed((b"1,b", b"1,B"), base=base)
    data, found = merged(base, ours, theirs, key=("id",))
    assert data == ours
    assert [(c.kind, c.key, c.column) for c in found.conflicts] == [("cell", {"id": "1"}, None)]
    assert clean(base, base + b"3,d\n", theirs, key=("id",)) == theirs + b"3,d\n"


def test_without_a_key_rows_are_counted() -> None:
    base = b"t\na\na\nb\n"
    assert clean(base, base + b"c\n", base + b"d\nd\n", keyless=True) == base + b"c\nd\nd\n"
    data, found = merged(base, b"t\na\nb\n", base + b"a\n", keyless=True)
    assert data == b"t\na\nb\n"
    assert told(found) == [("edit-delete", "a", None, 2, 1, 3)]


def test_an_inferred_key_that_base_has_twice_is_not_believed() -> None:
    """Only rows that both sides changed, and the head of the file, are looked at to infer it."""
    rows = [f"{n},{n % 7}.5,{'x' * 90}" for n in range(3000)] + ["7,0.25,y"]
    base = ("code,v,w\n" + "\n".join(rows) + "\n").encode()
    once = base.replace(b"7,0.25,y\n", b"")
    keys = []
    for text in (base, once):
        found = merged(text, *(text.replace(b"\n7,0.5,", new) for new in (b"\n7,1,", b"\n7,2,")))[1]
        keys.append((found.key, len(found.conflicts), len(found.notes)))
    assert keys == [((), 0, 1), (("code",), 1, 0)]


# -- how the file is written --------------------------------------------------------------------


def test_line_ends_quotes_encoding_and_bom_stay_those_of_ours() -> None:
    base = '\ufeffid;n;v\r\n1;"é";x\r\n2;b;y\r\n3;c;z'.encode()
    ours = base.replace(b"2;b", b'2;"b;b"')
    theirs = base.replace(b"1;", b"0;k;k\r\n1;").replace(b";x", b";X") + b"\r\n4;d;w\r\n"
    data = clean(base, ours, theirs)
    wanted = '\ufeffid;n;v\r\n0;k;k\r\n1;"é";X\r\n2;"b;b";y\r\n3;c;z\r\n4;d;w'.encode()
    assert data == wanted


def test_a_way_of_writing_that_one_side_changed_alone_is_taken() -> None:
    edit = changed((b"y", b"Y"))
    dos = BASE.replace(b"\n", b"\r\n") + b"5,e,q\r\n"
    wanted = dos.replace(b"y", b"Y")
    assert clean(BASE, edit, dos) == clean(BASE, dos, edit) == wanted
    wide = BASE.decode().replace("x", "é").encode("utf-16")
    assert clean(BASE, edit, wide).decode("utf-16") == edit.decode().replace("x", "é")
    quoted = b'"id","n","v"\n"1","a","x"\n"2","b","y"\n"3","c","z"\n"4","d","w"\n'
    assert clean(BASE, quoted, edit) == quoted.replace(b"y", b"Y")


def test_odd_quotes_and_blank_lines_are_kept() -> None:
    base = b'id,v\n1,5" disk\n\n2,b\n3,c\n'
    ours, theirs = base.replace(b"2,b", b"2,B"), base + b"4,d\n"
    assert clean(base, ours, theirs) == ours + b"4,d\n"


def test_what_the_encoding_of_ours_cannot_hold_is_a_conflict_of_the_file() -> None:
    base = "id,v\n1,é\n2,b\n".encode("cp1252")
    ours = base.replace(b"2,b", b"2,c")
    theirs = "\ufeffid,w,v\n1,q,é\n2,q,日\n".encode()
    data, found = merged(base, ours, theirs)
    assert (data, found.format) in ((ours, "opaque"), (data, "csv"))
    assert read(theirs.removeprefix("\ufeff".encode()))[1]["v"] == "日"


def test_no_table_is_one_conflict_of_the_file_with_the_reason() -> None:
    ragged = BASE + b"5,e\n"
    data, found = merged(BASE, ragged, changed((b"y", b"q")))
    assert data == ragged and found.format == "opaque"
    assert [c.kind for c in found.conflicts] == ["file"] and "fields" in found.notes[0]
    theirs = changed((b"y", b"q"))
    assert merged(BASE, ragged, theirs, rest=Choice("theirs"))[0] == theirs


# -- decided conflicts ----------------------------------------------------------------------------


def test_what_was_decided_is_no_conflict() -> None:
    ours = changed((b"y", b"p"), (b"3,c,z\n", b""), (b"4,d,w", b"4,d,W"))
    theirs = changed((b"y", b"q"), (b"3,c,z", b"3,c,Z"), (b"4,d,w\n", b""))
    found = merged(BASE, ours, theirs)[1]
    assert len(found.conflicts) == 3
    assert clean(BASE, ours, theirs, rest=Choice("ours")) == ours
    assert clean(BASE, ours, theirs, rest=Choice("theirs")) == theirs
    base = clean(BASE, ours, theirs, rest=Choice("base"))
    assert sorted(base.splitlines()) == sorted(BASE.splitlines())
    chosen = {identity({"id": "2"}, "v"): Choice(value='"s"')}
    data, left = merged(BASE, ours, theirs, choices=chosen)
    assert read(data)[1]["v"] == '"s"' and len(left.conflicts) == 2


# -- found by breaking the code --------------------------------------------------------------------


def test_a_key_added_on_both_sides_that_dropped_different_columns() -> None:
    ours, theirs = DROPPED + b"5,e\n", b"id,v\n1,x\n2,y\n3,z\n4,w\n5,q\n"
    found = merged(BASE, ours, theirs)[1]
    values = {(c.kind, c.key.get("id"), c.column): (c.ours, c.theirs) for c in found.conflicts}
    assert values[("schema", "5", "n")] == ("e", None)
    assert values[("schema", "5", "v")] == (None, "q")


def test_rows_without_a_key_that_both_sides_append_stand_behind_those_of_ours() -> None:
    base = b"t\na\nb\nb\n"
    assert clean(base, b"t\nb\nb\nc\n", base + b"d\n", keyless=True) == b"t\nb\nb\nc\nd\n"


@pytest.mark.parametrize("ours_drops", [True, False])
def test_a_column_renamed_here_and_dropped_there_stays_as_ours_has_it(ours_drops: bool) -> None:
    named = changed((b"id,n,v", b"id,n,value"))
    sides = (DROPPED, named) if ours_drops else (named, DROPPED)
    data, found = merged(BASE, *sides)
    assert data == sides[0]
    names = (None, "value") if ours_drops else ("value", None)
    assert told(found) == [("schema", "v", "v", *names)]
    assert clean(BASE, *sides, rest=Choice("theirs")) == sides[1]


def test_ours_is_ours_where_theirs_alone_changed_the_columns() -> None:
    wider = b"id,n,v,s\n1,a,x,4\n2,b,q,5\n4,d,w,7\n9,i,t,8\n"
    ours = changed((b"y", b"p"), (b"z", b"Z")) + b"9,i,o\n"
    data, found = merged(BASE, ours, wider)
    assert {*data.splitlines()} == {
        b"id,n,v,s",
        b"1,a,x,4",
        b"2,b,p,5",
        b"3,c,Z,",
        b"4,d,w,7",
        b"9,i,o,8",
    }
    whole = {"id": "3", "n": "c"}
    assert sorted(told(found), key=repr) == sorted(
        [
            ("cell", "2", "v", "y", "p", "q"),
            ("edit-delete", "3", None, {**whole, "v": "z"}, {**whole, "v": "Z"}, None),
            (
                "add-add", "9", None, None,
                {"id": "9", "n": "i", "v": "o"}, {"id": "9", "n": "i", "v": "t", "s": "8"},
            ),
        ],
        key=repr,
    )  # fmt: skip
