"""Names of packs on this machine: `<name>.pack`, and in incoming/ `<name>-<boot>.pack`."""

from __future__ import annotations

import os

from mlver.store import files

SUFFIX = b".pack"


def packs_in(folder: bytes) -> dict[str, bytes]:
    """Name → path of the packs in a folder, sorted; none where it is not there."""
    try:
        listed = sorted(os.listdir(folder))
    except FileNotFoundError:
        return {}
    return {pack_name(file): os.path.join(folder, file) for file in listed if file.endswith(SUFFIX)}


def pack_name(file: bytes) -> str:
    """A pack's name, which stays the same when it is moved from incoming/ to packs/."""
    return file[: -len(SUFFIX)].split(b"-")[0].decode("ascii", "replace")


def boot_of(path: bytes) -> str:
    """The boot that wrote an incoming pack, by its file name."""
    return os.path.basename(path)[: -len(SUFFIX)].partition(b"-")[2].decode("ascii", "replace")


_BOOT: list[str] = []


def this_boot() -> str:
    if not _BOOT:
        # Where the system cannot name its boot, nothing unsynced is believed: a new name each time.
        _BOOT.append(files.boot_id() or os.urandom(8).hex())
    return _BOOT[0]


def new_incoming_file() -> tuple[str, bytes]:
    """A fresh pack name, and its file name in incoming/."""
    name = os.urandom(10).hex()
    return name, f"{name}-{this_boot()}".encode() + SUFFIX
