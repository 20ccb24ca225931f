"""What changed in folders of images, by class: values, from paths and content ids alone.

A path says where an image belongs: `folder/{split}/{class}/name`. The same content at another path
was renamed, or *relabelled* where its class is another one. The same content in two splits is an
overlap: what a model is tested with, it was trained on. No image is read here; which of those that
were modified show the same picture in other bytes (`reencoded`) is told by whoever can decode them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

SPLITS = frozenset(
    [
        *("dev", "eval", "evaluation", "holdout", "test", "testing", "train", "training", "val"),
        *("valid", "validation"),
    ]
)


class Spot(NamedTuple):
    """Where an image belongs; `split` and `label` are "" where the path has none."""

    folder: str
    split: str
    label: str


Layout = Callable[[str], Spot | None]


class ImageChange(NamedTuple):
    """`status`: added, removed, modified or renamed. Sizes in bytes, 0 where it is not there."""

    path: str
    old_path: str
    status: str
    old_size: int
    new_size: int


class ClassDiff(NamedTuple):
    """One class in one split: images of either version, and how many of which change.
    `relabelled_in`: those that had another class before; `relabelled_out`: that have another now.
    `modified` holds the `reencoded` ones too."""

    split: str
    label: str
    old: int
    new: int
    added: int = 0
    removed: int = 0
    modified: int = 0
    reencoded: int = 0
    renamed: int = 0
    relabelled_in: int = 0
    relabelled_out: int = 0


class Relabelled(NamedTuple):
    """An image that has another class now."""

    old_path: str
    path: str
    old: str
    new: str


class Overlap(NamedTuple):
    """Paths in several splits that hold the same content. `is_new`: one of them changed."""

    paths: tuple[str, ...]
    is_new: bool


class FolderDiff(NamedTuple):
    """`classes`: those of which something changed. `added_classes`, `removed_classes`: labels that
    only one version has. Bytes are those of images that came, and that went."""

    folder: str
    old_files: int
    new_files: int
    classes: tuple[ClassDiff, ...]
    relabelled: tuple[Relabelled, ...]
    overlaps: tuple[Overlap, ...]
    added_classes: tuple[str, ...]
    removed_classes: tuple[str, ...]
    bytes_added: int
    bytes_removed: int

    def total(self, name: str) -> int:
        """The sum over all classes of one of their numbers."""
        return sum(getattr(item, name) for item in self.classes)


def by_convention(path: str) -> Spot | None:
    """The last folder is the class, and one above it the split where it has the name of one."""
    folders = path.split("/")[:-1]
    if not folders:
        return None
    for place in range(len(folders) - 1, -1, -1):
        if folders[place].lower() in SPLITS:
            label = "/".join(folders[place + 1 :])
            return Spot("/".join(folders[:place]), folders[place], label)
    return Spot("/".join(folders[:-1]), "", folders[-1])


def by_template(template: str) -> Layout:
    """A layout such as `{split}/{class}/`; `*` stands for any folder. Raises ValueError."""
    parts = template.strip("/").split("/")
    if "{class}" not in parts or any(
        "{" in part and part not in ("{class}", "{split}") for part in parts
    ):
        raise ValueError("a layout has {class} and may have {split}, each as a folder of its own")

    def spot(path: str) -> Spot | None:
        folders = path.split("/")[:-1]
        last = folders[len(folders) - len(parts) :]
        if len(folders) < len(parts) or not all(
            part in ("*", folder) or part.startswith("{")
            for part, folder in zip(parts, last, strict=True)
        ):
            return None
        found = dict(zip(parts, last, strict=True))
        folder = "/".join(folders[: len(folders) - len(parts)])
        return Spot(folder, found.get("{split}", ""), found["{class}"])

    return spot


def compare(
    changes: Sequence[ImageChange],
    before: Mapping[str, str],
    after: Mapping[str, str],
    layout: Layout = by_convention,
    reencoded: Collection[str] = (),
) -> list[FolderDiff]:
    """What changed, a value a folder, in the order of their paths.

    `before`, `after`: path → content id of all images of these folders. `reencoded`: paths of
    modified images that show the same picture.
    """
    grouped: dict[str, list[tuple[ImageChange, Spot | None, Spot | None]]] = {}
    for change in changes:
        old = layout(change.old_path) if change.status != "added" else None
        new = layout(change.path) if change.status != "removed" else None
        for folder in {spot.folder for spot in (old, new) if spot is not None}:
            grouped.setdefault(folder, []).append((change, old, new))
    if not grouped:
        return []
    counts = _images(before)
    later = Counter(counts)
    later.update([_where(path) for path in after.keys() - before.keys()])
    later.subtract([_where(path) for path in before.keys() - after.keys()])
    spots = {where: layout(where + "/") for where in later}
    same = _overlaps(after, spots)
    result = []
    for folder in sorted(grouped):
        sides = [_of_folder(side, spots, folder) for side in (counts, later)]
        here = [paths for paths in same if _is_in(folder, paths, spots)]
        result.append(_folder(folder, grouped[folder], sides[0], sides[1], here, reencoded))
    return result


def _where(path: str) -> str:
    return path[: path.rfind("/")] if "/" in path else ""


def _images(listing: Iterable[str]) -> Counter[str]:
    """Folder → images that lie in it: they all have one place."""
    return Counter([path[: path.rfind("/")] for path in listing if "/" in path])


def _of_folder(
    counts: Counter[str], spots: Mapping[str, Spot | None], folder: str
) -> Counter[tuple[str, str]]:
    """(split, class) → images."""
    found: Counter[tuple[str, str]] = Counter()
    for where, count in counts.items():
        spot = spots[where]
        if spot is not None and spot.folder == folder and count:
            found[spot.split, spot.label] += count
    return found


def _is_in(folder: str, paths: Sequence[str], spots: Mapping[str, Spot | None]) -> bool:
    """True where the folder has them in several splits."""
    found = [spots[_where(path)] for path in paths]
    return len({spot.split for spot in found if spot and spot.folder == folder}) > 1


def folders_of(changes: Iterable[ImageChange], layout: Layout) -> set[str]:
    """The folders that the changed images belong to."""
    found = set()
    for change in changes:
        for path in (change.old_path, change.path):
            spot = layout(path)
            if spot is not None:
                found.add(spot.folder)
    return found


def _folder(
    folder: str,
    changes: Sequence[tuple[ImageChange, Spot | None, Spot | None]],
    before: Counter[tuple[str, str]],
    after: Counter[tuple[str, str]],
    overlaps: Iterable[tuple[str, ...]],
    reencoded: Collection[str],
) -> FolderDiff:
    counted: dict[tuple[str, str], Counter[str]] = {}
    relabelled: list[Relabelled] = []
    came = gone = 0

    def count(spot: Spot, name: str) -> None:
        counted.setdefault((spot.split, spot.label), Counter())[name] += 1

    for change, old, new in changes:
        here = [spot if spot and spot.folder == folder else None for spot in (old, new)]
        if change.status != "renamed" or None in here:
            came += change.new_size if here[1] else 0
            gone += change.old_size if here[0] else 0
        for kind, spot in _kinds(change, here[0], here[1], reencoded):
            count(spot, kind)
            if kind == "relabelled_in" and here[0] is not None:
                pair = Relabelled(change.old_path, change.path, here[0].label, spot.label)
                relabelled.append(pair)
    labels = [{label for _, label in side} for side in (before, after)]
    changed = {change.path for change, *_ in changes}
    return FolderDiff(
        folder,
        before.total(),
        after.total(),
        tuple(
            ClassDiff(split, label, before[split, label], after[split, label], **counts)
            for (split, label), counts in sorted(counted.items())
        ),
        tuple(sorted(relabelled, key=lambda item: item.path)),
        tuple([Overlap(paths, not changed.isdisjoint(paths)) for paths in overlaps]),
        tuple(sorted(labels[1] - labels[0])),
        tuple(sorted(labels[0] - labels[1])),
        came,
        gone,
    )


def _kinds(
    change: ImageChange, old: Spot | None, new: Spot | None, reencoded: Collection[str]
) -> Iterable[tuple[str, Spot]]:
    """What is counted, and in which class; one that left or entered the folder went or came."""
    if old is None or new is None:
        return [(kind, spot) for kind, spot in (("removed", old), ("added", new)) if spot]
    if change.status == "modified":
        kinds = ["modified"] + ["reencoded"] * (change.path in reencoded)
        return [(kind, new) for kind in kinds]
    if old.label != new.label:
        return [("relabelled_out", old), ("relabelled_in", new)]
    return [("renamed", new)]


def _overlaps(ids: Mapping[str, str], spots: Mapping[str, Spot | None]) -> list[tuple[str, ...]]:
    """Paths of the same content that are not all in one split, in order."""
    if len({spot.split for spot in spots.values() if spot}) < 2:
        return []
    several = {name for name, count in Counter(ids.values()).items() if count > 1}
    if not several:
        return []
    found: dict[str, list[str]] = {}
    for path, name in ids.items():
        if name in several and spots.get(_where(path)) is not None:
            found.setdefault(name, []).append(path)
    return sorted(tuple(sorted(paths)) for paths in found.values() if len(paths) > 1)
