"""Three versions of a file, wherever they are, given to the strategy of their name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

from mlver.errors import UsageError
from mlver.formats.base import Source
from mlver.merge import registry
from mlver.merge.base import Merged, Versions, read_parts
from mlver.merge.options import Options
from mlver.store import files
from mlver.workflows.versions import BytesSource, FileSource


def open_files(paths: tuple[bytes, bytes, bytes], stack: ExitStack) -> Versions:
    """Base, ours and theirs in files, for as long as `stack` is open. Raises UsageError."""
    sources: list[Source] = []
    for path in paths:
        if path == os.fsencode(os.devnull):
            sources.append(BytesSource(b""))
        elif not os.path.exists(path):
            raise UsageError(
                f"{os.fsdecode(path)!r} is not there",
                fix="git mlver merge-file BASE OURS THEIRS; /dev/null where there is no base",
            )
        else:
            sources.append(stack.enter_context(FileSource(path)))
    return Versions(*sources)


def merge_files(versions: Versions, name: bytes, options: Options) -> Merged:
    """The versions of the file called `name` merged."""
    return registry.merge(versions, os.fsdecode(os.path.basename(name)), options)


def content(versions: Versions, merged: Merged) -> Iterator[bytes]:
    """The merged file's bytes."""
    return read_parts(versions, merged.parts)


def write_file(path: bytes, versions: Versions, merged: Merged) -> None:
    """Put the merged file in place, whole or not at all. `path` may be one of the versions."""
    folder = os.path.dirname(os.path.abspath(path))
    temporary = os.path.join(folder, b".mlver-merge-%d" % os.getpid())
    with files.disk_errors("writing the merged file", path):
        try:
            with open(temporary, "xb") as file:
                for data in content(versions, merged):
                    file.write(data)
            if os.path.exists(path):
                os.chmod(temporary, os.stat(path).st_mode & 0o7777)
            os.replace(temporary, path)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise
