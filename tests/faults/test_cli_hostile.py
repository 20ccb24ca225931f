"""What a repository or a remote brings may have been made to do harm. Nothing is written outside,
nobody is contacted who is not trusted, no memory is taken that the content does not bear out, and
what is wrong is told in words; git's checkout goes on.

Digests are no secrets, so what is forged here has right ones. The rows are those of CVEs in tools
like this one: paths and links (CVE-2020-27955, CVE-2025-26625, CVE-2022-39253), sizes that lie,
bombs, settings and remotes that a clone brings (CVE-2018-10857).
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.faults.cli_scenarios import FAR, V2, files_in
from tests.faults.sweep import ASKED, Stage
from tests.support.sandbox import MAIN, Clone, Done, Sandbox, content, pointer_to

from mlver.errors import CorruptContent, MissingContent, RemoteError, RepositoryError
from mlver.exchange import layout
from mlver.exchange.index_object import Found, encode
from mlver.model.digest import digest_of
from mlver.model.pointer import Pointer
from mlver.model.recipe import Recipe
from mlver.store import pack
from mlver.store.record import CHUNK, RAW, RECIPE, ZSTD

MIB = 1 << 20
SECRET = b"nobody but its owner may write this"
MEMORY = 400 * MIB
"""More than a pull takes, far less than what is claimed below."""


def others(*cases: Any) -> tuple[Any, ...]:
    """Cases that are like one that is always run: only where every point is asked for."""
    return cases if ASKED else ()


@pytest.fixture
def box(stage: Stage) -> Sandbox:
    """`work`, and `far.git` with the content of its two versions beside it."""
    return stage.fresh("published")


@pytest.fixture
def outside(box: Sandbox) -> Path:
    """A folder of somebody else's."""
    folder = box.root / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(SECRET)
    return folder


def untouched(outside: Path) -> bool:
    return files_in(outside) == {"secret": SECRET}


def remote_of(box: Sandbox) -> Path:
    return box.root / FAR / "mlver/remote"


def commit_raw(work: Clone, files: dict[str, bytes]) -> None:
    """Commit blobs as they are, as somebody without our filter does, and push without hooks."""
    for name, data in files.items():
        blob = work.git("hash-object", "-w", "--stdin", input=data).out.strip()
        work.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    work.git("commit", "-q", "--no-verify", "-m", "hostile")
    work.git("push", "-q", "--no-verify", "origin", "main")


def told(done: Done, *families: type) -> None:
    assert "Traceback" not in done.err and "not foreseen" not in done.err, done.err
    assert done.code in [family.exit_code for family in families], (done.code, done.err)
    assert "next:" in done.err


# -- pointers -----------------------------------------------------------------------------------

GOOD = pointer_to(V2["a.bin"])
HUGE = 2**63 - 1
MALFORMED = {
    "crlf.bin": GOOD.replace(b"\n", b"\r\n"),
    "negative.bin": GOOD.replace(b"size ", b"size -"),
    "zero.bin": GOOD.replace(b"size ", b"size 0"),
    "upper.bin": GOOD[:30] + GOOD[30:].upper(),
    "path.bin": GOOD.replace(GOOD[27:93], b"blake3:../../../../" + b"a" * 47),
    "more.bin": GOOD + b"x-hook rm -rf .\n",
    "digits.bin": GOOD.split(b"size")[0] + b"size " + b"9" * 300 + b"\n",
    "unicode.bin": GOOD.split(b"size")[0] + "size ٣٠\n".encode(),
    "nul.bin": GOOD + b"\0",
}


def test_what_only_resembles_a_pointer_is_content_and_stays_as_it_is(box: Sandbox) -> None:
    commit_raw(box.at("work"), MALFORMED)
    clone, done = box.try_clone(box.root / FAR, "third", "-q")
    assert "Traceback" not in done.err and "not foreseen" not in done.err
    assert {name: clone.read(name) for name in MALFORMED} == MALFORMED
    assert clone.read("a.bin") == V2["a.bin"]


def test_a_pointer_that_claims_another_size_never_gives_bytes_or_takes_memory(box: Sandbox) -> None:
    """The content is there; the size that goes with its id is a lie."""
    lies = {
        f"{size}.bin": Pointer(digest_of(data), size).encode()
        for data in (V2["a.bin"], V2["d.bin"])
        for size in (1, len(data) - 1, 10**12, HUGE)
    }
    commit_raw(box.at("work"), lies)
    clone, done = box.try_clone(box.root / FAR, "third", "-q")
    assert {name: clone.read(name) for name in lies} == lies
    assert done.warnings and "Traceback" not in done.err
    pulled, peak = measured(clone, "pull")
    told(pulled, MissingContent, CorruptContent)
    assert {name: clone.read(name) for name in lies} == lies
    assert peak < MEMORY


_MEASURE = (
    "import os, sys; pid = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[2:]],"
    " os.environ); _, status, usage = os.wait4(pid, 0);"
    " open(sys.argv[1], 'w').write(str(usage.ru_maxrss));"
    " sys.exit(os.waitstatus_to_exitcode(status))"
)


def measured(clone: Clone, *words: str) -> tuple[Done, int]:
    """Our command, and the most memory that it had, in bytes.

    Started by a small process: until its exec, a child counts the memory of who started it.
    """
    note = clone.box.root / "peak"
    program = [sys.executable, "-c", _MEASURE, str(note), "-P", "-E", str(MAIN)]
    done = clone.box.run([*program, *words], clone.top)
    return done, int(note.read_text()) * (1 if sys.platform == "darwin" else 1024)


# -- a remote's objects ---------------------------------------------------------------------------


def forge(box: Sandbox, records: list[pack.NewRecord]) -> None:
    """Put a pack of these records on the remote, and an index object of it: all digests right."""
    data, entries = bytearray(pack.PACK_HEADER), []
    for record in records:
        header, parts = record.parts()
        entries.append(pack.Entry(header, len(data)))
        data += b"".join(parts)
    data += pack.encode_footer(entries, len(data))
    put(box, layout.pack_object(pack_id := digest_of(data)), data)
    rows = [
        Found(head.id, head.kind, head.codec, pack_id, offset, head.stored, head.raw, None)
        for head, offset in entries
    ]
    index = encode(rows)
    put(box, layout.index_object(digest_of(index)), index)


def put(box: Sandbox, name: str, data: bytes | bytearray) -> None:
    path = remote_of(box) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def bomb(size: int) -> bytes:
    return zstandard.ZstdCompressor().compress(bytes(size))


def test_bombs_and_recipes_that_lie_are_refused_and_named(box: Sandbox) -> None:
    piece = bytes(MIB)
    victims = {
        f"{name}.bin": digest_of(name.encode()) for name in ("bomb", "small", "endless", "other")
    }
    endless = Recipe(512 * MIB, 0, ((digest_of(piece), MIB),) * 512)
    other = Recipe(len(V2["d.bin"]), 0, ((digest_of(V2["d.bin"]), len(V2["d.bin"])),))
    payloads = {"endless.bin": endless, "other.bin": other}
    sizes = {
        "bomb.bin": 12 * MIB,
        "small.bin": 100,
        "endless.bin": 4096 * MIB,
        "other.bin": other.size,
    }
    frame = bomb(512 * MIB)
    records = [  # one whose frame states more than its record, twice
        pack.NewRecord(CHUNK, ZSTD, sizes[name], victims[name], (frame,))
        for name in ("bomb.bin", "small.bin")
    ]
    records.append(pack.NewRecord(CHUNK, RAW, MIB, digest_of(piece), (piece,)))
    for name, recipe in payloads.items():
        body = recipe.encode(victims[name])
        records.append(pack.NewRecord(RECIPE, RAW, len(body), victims[name], (body,)))
    forge(box, records)
    pointers = {name: Pointer(oid, sizes[name]).encode() for name, oid in victims.items()}
    commit_raw(box.at("work"), pointers)

    clone, done = box.try_clone(box.root / FAR, "third", "-q")
    assert "Traceback" not in done.err and len(done.warnings) == 1
    assert clone.read("a.bin") == V2["a.bin"], "what is sound beside it comes"
    pulled, peak = measured(clone, "pull")
    told(pulled, MissingContent, CorruptContent)
    assert {name: clone.read(name) for name in pointers} == pointers
    assert peak < MEMORY
    assert sum(path.stat().st_size for path in clone.store.rglob("*")) < 16 * MIB


@pytest.mark.parametrize(
    "meta",
    [
        b"[" * 100_000,
        b'{"version": 1, "chunker": {"target": 1}, "id": ["x"]}',
        *others(b"", b'{"version": ' + b"9" * 5000 + b"}", b'{"version": 99}', b"\xff\xfe"),
    ],
)
def test_a_malicious_mlver_json_is_refused_in_words(meta: bytes, box: Sandbox) -> None:
    (remote_of(box) / "mlver.json").write_bytes(meta)
    work = box.at("work")
    work.given("more", {"e.bin": content("e")})
    pushed = work.attempt("push", "-q", "origin", "main")
    assert pushed.code != 0 and pushed.warnings and "Traceback" not in pushed.err
    assert "not foreseen" not in pushed.err and "next:" in pushed.err
    told(work.attempt("mlver", "push"), RemoteError)
    _, done = box.try_clone(box.root / FAR, "third", "-q")
    assert "Traceback" not in done.err and "not foreseen" not in done.err


@pytest.mark.parametrize(
    "name", ["an index object", *others("packs", "index", "tmp", "mlver.json")]
)
def test_a_link_in_a_remote_is_not_followed(name: str, box: Sandbox, outside: Path) -> None:
    """CVE-2022-39253: what is read through a link, or written through one, is somebody else's."""
    remote = remote_of(box)
    if name == "an index object":
        (linked,) = list(remote.glob("index/*/*"))[:1]
        name = str(linked.relative_to(remote))
    target = outside / Path(name).name
    if (remote / name).is_dir():
        shutil.rmtree(remote / name)
        (remote / name).symlink_to(outside)
    else:
        (remote / name).rename(target) if (remote / name).exists() else target.mkdir()
        (remote / name).symlink_to(target)
    before = sorted(files_in(outside))
    work = box.at("work")
    work.given("more", {"e.bin": content("e")})
    pushed = work.attempt("push", "-q", "origin", "main")
    assert pushed.code != 0 and "next:" in pushed.err and "Traceback" not in pushed.err
    assert sorted(files_in(outside)) == before, "nothing was written through it"


def test_names_on_a_remote_that_are_no_objects_are_passed_over(box: Sandbox, outside: Path) -> None:
    remote = remote_of(box)
    for name in ("index/0/..%2f..%2fsecret", "index/0/a\nb", "index/x y", "index/0/" + "f" * 63):
        path = remote / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"rubbish")
    clone, done = box.try_clone(box.root / FAR, "third", "-q")
    assert {name: clone.read(name) for name in V2} == V2 and done.warnings == []
    assert untouched(outside)


# -- what a clone brings ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"x = " + b"[" * 20_000,
        b"threshold = " + b"9" * 400,
        *others(b"x = " + b"{a=" * 20_000, b"threshold = inf", b"policy = ['off']", b"\0"),
    ],
    ids=lambda text: repr(text[:14]),
)
def test_a_malicious_settings_file_stops_no_checkout_and_is_told_in_words(
    text: bytes, box: Sandbox
) -> None:
    commit_raw(box.at("work"), {".mlver.toml": text})
    clone, done = box.try_clone(box.root / FAR, "third", "-q")
    assert all(clone.read(name) in (data, pointer_to(data)) for name, data in V2.items())
    assert "Traceback" not in done.err and "not foreseen" not in done.err, done.err
    status = clone.attempt("mlver", "status")
    assert "Traceback" not in status.err and "not foreseen" not in status.err
    assert status.code in (0, RepositoryError.exit_code)


def test_a_server_that_only_the_tree_names_is_never_contacted(box: Sandbox) -> None:
    """CVE-2018-10857: a repository must not choose whom this machine talks to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        url = f"s3://bucket/prefix?endpoint={endpoint}"
        text = f'remote = "team"\n[remotes.team]\nurl = "{url}"\n'
        missing = {"new.bin": pointer_to(content("nowhere"))}
        commit_raw(box.at("work"), {".mlver.toml": text.encode(), **missing})
        keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        clone, _ = box.try_clone(box.root / FAR, "third", "-q", **keys)
        for words in (
            ["pull"],
            ["fetch", "--all"],
            ["status"],
            ["doctor"],
            ["fsck"],
            ["push"],
            ["prune"],
        ):
            done = clone.attempt("mlver", *words, **keys)
            assert "Traceback" not in done.err
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("words", [["pull"], ["drop", "."]])
def test_nothing_is_written_through_a_link_of_the_worktree(
    words: list[str], box: Sandbox, outside: Path
) -> None:
    """CVE-2025-26625: a folder became a link since it was checked out; a file a hard link."""
    work = box.at("work")
    theirs = outside / "b.bin"
    shutil.rmtree(work.top / "sub")
    (work.top / "sub").symlink_to(outside)
    pointer = pointer_to(V2["sub/b.bin"])
    theirs.write_bytes(V2["sub/b.bin"] if words[0] == "drop" else pointer)
    before = theirs.read_bytes()
    work.path("d.bin").unlink()
    os.link(theirs, work.path("d.bin"))
    done = work.attempt("mlver", *words)
    assert "Traceback" not in done.err
    assert theirs.read_bytes() == before
