"""The packs of a store as files: where each lies now, and its raw bytes.

A pack that is written lies in `incoming/`, and is moved to `packs/` once it is durable, by
whichever process comes to it: between finding one and opening it, it may have another place.
Nothing is verified here, and nothing is known of what a pack holds.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from mlver.errors import CorruptContent
from mlver.store import files, pack
from mlver.store.index import SEALED
from mlver.store.names import SUFFIX, boot_of, new_incoming_file, pack_name, packs_in, this_boot


class PackFiles:
    """The packs below `root`. `read_only`: no byte is changed, not even when a pack was used."""

    def __init__(self, root: bytes, *, read_only: bool = False) -> None:
        self.root, self._read_only = root, read_only
        self.packs_dir = os.path.join(root, b"packs")
        self.incoming_dir = os.path.join(root, b"incoming")
        self._paths: dict[str, bytes] = {}  # where packs were last found

    def is_doubtful(self, path: bytes) -> bool:
        """True for a pack that a power cut may have taken bytes from: not fsynced, other boot."""
        return os.path.dirname(path) == self.incoming_dir and boot_of(path) != this_boot()

    def pack_files(self) -> Iterator[tuple[str, bytes]]:
        """Name and path of every pack, durable ones first."""
        # incoming/ is listed first: a pack that is moved meanwhile is then seen in packs/.
        incoming, durable = packs_in(self.incoming_dir), packs_in(self.packs_dir)
        yield from durable.items()
        yield from ((name, path) for name, path in incoming.items() if name not in durable)

    def pack_path(self, name: str) -> bytes:
        """Where the pack of this name lies now. Raises FileNotFoundError."""
        durable = self.durable_path(name.encode() + SUFFIX)
        if os.path.exists(durable):
            return durable
        for found, path in self.pack_files():
            if found == name:
                return path
        raise FileNotFoundError(durable)

    def read_span(self, name: str, offset: int, length: int) -> bytes:
        """Raw bytes of a pack, at most `length`; not verified. CorruptContent if it is gone."""
        with self._open_pack(name) as fd:
            return files.pread(fd, length, offset)

    def read_span_into(self, name: str, offset: int, view: memoryview) -> memoryview:
        """As `read_span`, into memory that is there; the part of `view` that was filled."""
        with self._open_pack(name) as fd:
            return view[: files.pread_into(fd, view, offset)]

    @contextlib.contextmanager
    def _open_pack(self, name: str) -> Iterator[int]:
        fd = -1
        for _ in range(3):  # the pack may be moved to its durable place between find and open
            try:
                path = self._paths.get(name) or self.pack_path(name)
                fd = os.open(path, files.READ)
                if name not in self._paths and not self._read_only:
                    files.mark_used(fd)
                self._paths[name] = path
                break
            except FileNotFoundError:
                self._paths.pop(name, None)
            except OSError as error:
                raise files.local_error(error, "reading the store") from error
        if fd < 0:
            raise CorruptContent(f"pack {name} is gone from the store", fix="git mlver fsck")
        try:
            with files.disk_errors("reading the store", self.root):
                yield fd
        finally:
            os.close(fd)

    def durable_path(self, incoming: bytes) -> bytes:
        """Where an incoming pack goes once it is durable."""
        return os.path.join(self.packs_dir, pack_name(os.path.basename(incoming)).encode() + SUFFIX)

    def new_incoming_path(self) -> tuple[str, bytes]:
        """A fresh pack name and its path in incoming/."""
        name, file = new_incoming_file()
        return name, os.path.join(self.incoming_dir, file)


def entries_since(path: bytes, upto: int) -> tuple[list[pack.Entry], int]:
    """Entries of a pack from `upto` on, and up to where they were read. Raises OSError."""
    fd = os.open(path, files.READ)
    try:
        upto = max(upto, len(pack.PACK_HEADER))
        with contextlib.suppress(CorruptContent):
            return pack.read_footer(fd), SEALED
        entries = list(pack.scan(fd, upto))
        return entries, entries[-1].offset + entries[-1].length if entries else upto
    finally:
        os.close(fd)
