"""A pull of many small files: what cannot be had, or was changed, is left; the rest is written."""

from __future__ import annotations

from tests.support.sandbox import Clone, Sandbox, content, pointer_to

COUNT = 240


def paths() -> dict[str, bytes]:
    return {f"d{number % 3}/f{number:03}.bin": content(number) for number in range(COUNT)}


def test_each_of_many_files_is_written_and_git_is_told(box: Sandbox, work: Clone) -> None:
    bare = box.bare()
    work.git("remote", "add", "origin", str(bare))
    files = paths()
    work.commit("many", files)
    work.git("push", "-q", "-u", "origin", "main")
    clone = box.clone(bare, "second", MLVER_SKIP_SMUDGE="1")
    clone.mlver("fetch")
    pack = max((clone.git_dir() / "mlver").rglob("*.pack"), key=lambda path: path.stat().st_size)
    damaged = bytearray(pack.read_bytes())
    at = damaged.find(files["d1/f100.bin"])
    assert at > 0
    damaged[at + 5] ^= 1
    pack.write_bytes(damaged)
    clone.write("d2/f200.bin", b"a change of the user's")
    clone.path("d0/f009.bin").unlink()
    clone.path("d0/f009.bin").symlink_to("elsewhere")
    clone.mlver("pull")
    for path, data in files.items():
        if path not in ("d2/f200.bin", "d0/f009.bin"):
            assert clone.read(path) == data, path
    assert clone.read("d2/f200.bin") == b"a change of the user's"
    assert clone.path("d0/f009.bin").is_symlink()
    clone.git("checkout", "--", "d0/f009.bin", "d2/f200.bin")
    clone.settled()
    assert not [*clone.path(".").rglob(".mlver-*")]


def test_what_cannot_be_had_of_many_stays_a_pointer_and_the_rest_is_written(
    box: Sandbox, work: Clone
) -> None:
    bare = box.bare()
    work.git("remote", "add", "origin", str(bare))
    files = paths()
    work.commit("many", files)
    work.git("push", "-q", "-u", "origin", "main")
    clone = box.clone(bare, "second", MLVER_SKIP_SMUDGE="1")
    clone.mlver("fetch")
    for folder in (clone.git_dir() / "mlver", bare / "mlver"):
        for pack in folder.rglob("*"):
            if pack.is_file() and (at := pack.read_bytes().find(files["d1/f100.bin"])) > 0:
                spoiled = bytearray(pack.read_bytes())
                spoiled[at + 5] ^= 1
                pack.chmod(0o644)
                pack.write_bytes(spoiled)
    done = clone.attempt("mlver", "pull")
    assert done.code != 0 and "d1/f100.bin" in done.err
    for path, data in files.items():
        wanted = pointer_to(data) if path == "d1/f100.bin" else data
        assert clone.read(path) == wanted, path
