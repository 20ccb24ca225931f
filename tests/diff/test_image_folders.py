"""Folders of images are compared by class: came, went, changed, moved, labelled anew."""

from __future__ import annotations

import random
import struct
import zlib
from typing import Any

import pytest
from tests.cli.test_json_contract import checked
from tests.support.sandbox import Clone

from mlver.diff import image_folders
from mlver.diff.image_folders import ImageChange, by_convention, by_template


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("d/train/cat/1.png", ("d", "train", "cat")),
        ("train/cat/1.png", ("", "train", "cat")),
        ("d/Test/1.png", ("d", "Test", "")),
        ("d/val/animals/cat/1.png", ("d", "val", "animals/cat")),
        ("d/cat/1.png", ("d", "", "cat")),
        ("cat/1.png", ("", "", "cat")),
        ("1.png", None),
    ],
)
def test_the_usual_places_of_splits_and_classes(path: str, expected: object) -> None:
    assert by_convention(path) == expected


def test_a_layout_says_which_folder_is_what() -> None:
    layout = by_template("{class}/{split}/*/")
    assert layout("d/cat/a/x/1.png") == ("d", "a", "cat")
    assert layout("cat/a/1.png") is None
    for wrong in ("{split}/", "x{class}/", "{label}/{class}"):
        with pytest.raises(ValueError):
            by_template(wrong)


def test_numbers_are_those_of_the_two_listings() -> None:
    """Whatever is done to a set of images, each is counted where it is, and once."""
    for seed in range(300):
        dice = random.Random(seed)
        before = {f"d/{dice.choice(['train', 'test'])}/{n % 3}/{n}.png": f"c{n}" for n in range(30)}
        after, changes = dict(before), []
        for path in dice.sample(sorted(before), 12):
            what = dice.choice(["removed", "modified", "renamed", "added"])
            to = path
            if what == "added":
                to = path.replace(".png", "-new.png")
                after[to] = dice.choice([before[path], "fresh"])
            elif what == "renamed":
                name = path.rpartition("/")[2]
                to = f"d/{dice.choice(['train', 'test'])}/{dice.randrange(4)}/moved-{name}"
                after[to] = after.pop(path)
            elif what == "modified":
                after[path] = f"m{path}"
            else:
                del after[path]
            changes.append(ImageChange(to, path, what, 10, 20))
        (found,) = image_folders.compare(changes, before, after)
        for item in found.classes:
            place = f"d/{item.split}/{item.label}/"
            assert item.old == sum(path.startswith(place) for path in before)
            assert item.new == sum(path.startswith(place) for path in after)
            moved_in = [c for c in changes if c.status == "renamed" and c.path.startswith(place)]
            assert item.renamed + item.relabelled_in == len(moved_in)
        assert found.new_files - found.old_files == found.total("added") - found.total("removed")
        relabelled = [c for c in changes if c.path.split("/")[2] != c.old_path.split("/")[2]]
        assert len(found.relabelled) == len(relabelled) == found.total("relabelled_out")
        for overlap in found.overlaps:
            assert len({after[path] for path in overlap.paths}) == 1
            assert len({path.split("/")[1] for path in overlap.paths}) == 2


def _png(colour: int, level: int = 6) -> bytes:
    def part(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">2I5B", 8, 8, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes([colour]) * 8 for _ in range(8)), level)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", rows) + part(b"IEND", b"")


@pytest.fixture
def images(work: Clone) -> Clone:
    """Two commits of a tracked folder of images."""
    work.mlver("track", "*.png")
    files = {f"d/train/{label}/{n}.png": _png(n) for n, label in enumerate("aabbcc")}
    work.given("one", {**files, "d/test/a/t.png": _png(50), "d/test/b/u.png": _png(51)})
    work.git("mv", "d/train/a/0.png", "d/train/b/0.png")
    work.git("mv", "d/train/b/2.png", "d/train/b/two.png")
    work.git("rm", "-q", "d/train/c/4.png", "d/train/c/5.png")
    changed = {"d/train/a/1.png": _png(1, level=0), "d/train/b/3.png": _png(99)}
    work.given("two", {**changed, "d/train/x/9.png": _png(60), "d/train/x/t.png": _png(50)})
    return work


def _folder(value: Any) -> dict[str, Any]:
    (folder,) = checked("diff", value)["folders"]
    return dict(folder)


def test_what_changed_in_a_folder_of_images(images: Clone) -> None:
    found = _folder(images.json("diff", "HEAD~1", "HEAD"))
    numbers = ("old_files", "new_files", "added", "removed", "modified", "renamed")
    assert [found[name] for name in numbers] == [8, 8, 2, 2, 2, 1]
    assert found["relabelled"] == [
        {"old_path": "d/train/a/0.png", "path": "d/train/b/0.png", "old": "a", "new": "b"}
    ]
    assert found["overlaps"] == [{"paths": ["d/test/a/t.png", "d/train/x/t.png"], "is_new": True}]
    assert (found["added_classes"], found["removed_classes"]) == (["x"], ["c"])
    classes = {(row["split"], row["class"]): row for row in found["classes"]}
    assert classes["train", "b"]["old"] == 2 and classes["train", "b"]["new"] == 3
    assert classes["train", "a"]["relabelled_out"] == classes["train", "b"]["relabelled_in"] == 1
    assert found["bytes_added"] > 0 < found["bytes_removed"]
    done = images.mlver("diff", "HEAD~1", "HEAD")
    assert "a → b: d/train/b/0.png" in done.out and "+ class x" in done.out
    assert "! in several splits now: d/test/a/t.png = d/train/x/t.png" in done.out
    assert images.mlver("diff", "HEAD~1", "HEAD", "--stat").out.count("\n") == 1
    page = images.mlver("diff", "HEAD~1", "HEAD", "--html", "-").out
    assert "1 relabelled" in page and "train/b" in page


def test_pictures_that_were_only_encoded_anew_are_told(images: Clone) -> None:
    pytest.importorskip("PIL", reason="Pillow")
    assert _folder(images.json("diff", "HEAD~1", "HEAD"))["reencoded"] == 1


def test_folders_of_this_disk_and_the_worktree_are_compared_too(images: Clone) -> None:
    old = images.box.root / "old"
    images.git("worktree", "add", "-q", str(old), "HEAD~1")
    expected = _folder(images.json("diff", "HEAD~1", "HEAD"))
    found = _folder(images.json("diff", "--no-index", str(old), "."))
    assert found == expected
    images.git("checkout", "-q", "HEAD~1")
    images.git("checkout", "-q", "-")
    images.path("d/train/b/two.png").unlink()
    images.write("d/train/x/9.png", _png(61))
    assert images.json("diff")["folders"][0]["removed"] == 1
    assert _folder(images.json("diff", "--layout", "{class}/*/"))["removed_classes"] == []
    files = ("d/train/a/1.png", "d/train/b/3.png")
    assert "folders" not in checked("diff", images.json("diff", "--no-index", *files))
    wrong = images.attempt("mlver", "diff", "--layout", "{split}", "--cached")
    assert wrong.code == 2 and "  next: " in wrong.err
