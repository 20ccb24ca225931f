"""How long diffs take: tables of many rows, a model, a folder of images; process to process.

    python tests/bench/diff_scale.py --rows 1000000 10000000 --rounds 5 --polars /a/venv/bin/python

Of each table 101 rows are edited, 50 added and one is deleted. Rounds are interleaved; printed are
medians of wall and CPU seconds and the largest memory. The peer reads both with polars, hashes
every row and joins. The first diff of two commits makes outlines, and is printed by itself. A busy
machine makes all of them longer: compare within one call.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

PROGRAM = [sys.executable, "-P", "-m", "mlver"]
PEER = """
import polars as pl, sys
a, b = (pl.read_csv(path) for path in sys.argv[1:3])
a, b = (table.with_columns(h=table.hash_rows()) for table in (a, b))
print(a.join(b, on="h", how="anti").height, b.join(a, on="h", how="anti").height)
"""
Words = Sequence[str | Path]


def measured(words: Words, folder: Path) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds, KB of the largest process."""
    start = time.perf_counter()
    process = subprocess.Popen([*map(str, words)], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{words} failed")
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss


def interleaved(named: dict[str, Words], folder: Path, rounds: int) -> None:
    samples: dict[str, list[tuple[float, float, int]]] = {name: [] for name in named}
    for _ in range(rounds):
        for name, words in named.items():
            samples[name].append(measured(words, folder))
    for name, rows in samples.items():
        wall, cpu = (statistics.median([row[place] for row in rows]) for place in (0, 1))
        peak = max(row[2] for row in rows) / 1000
        print(f"  {name:<28} {wall:7.3f} s  {cpu:7.3f} s CPU  {peak:6.0f} MB", flush=True)


def rows(count: int) -> Iterator[bytes]:
    dice = random.Random(7)
    for n in range(count):
        x = dice.getrandbits(60)
        yield (
            f"{n},{x % 1000003},2024-{x % 12 + 1:02}-{x % 28 + 1:02},{x % 99991 / 100},{x % 50},"
            f"class_{x % 37},{x % 999983 / 1e6},town{x % 977},{x % 2},n{x % 10**9}\n".encode()
        )


def write_tables(count: int, old: Path, new: Path) -> None:
    marks = random.Random(3).sample(range(count), 152)
    edited, doubled, gone = set(marks[:101]), set(marks[101:151]), marks[151]
    head = b"id,user,day,price,qty,label,score,city,flag,note\n"
    with old.open("wb") as a, new.open("wb") as b:
        a.write(head)
        b.write(head)
        for n, row in enumerate(rows(count)):
            a.write(row)
            if n in edited:
                row = row.replace(b"class_", b"other_")
            if n in doubled:
                b.write(b"%d," % (count + n) + row.split(b",", 1)[1])
            if n != gone:
                b.write(row)


def git(folder: Path, *words: str, data: bytes | None = None) -> None:
    subprocess.run(["git", *words], cwd=folder, input=data, check=True, capture_output=True)


def repository(folder: Path, name: str, old: Path, new: Path) -> Path:
    """A repository with two commits of a file, tagged v1 and v2."""
    folder.mkdir()
    git(folder, "init", "-q")
    for words in (["init"], ["track", name]):
        subprocess.run([*PROGRAM, *words], cwd=folder, check=True, capture_output=True)
    for tag, version in (("v1", old), ("v2", new)):
        os.link(version, folder / name)
        subprocess.run([*PROGRAM, "add", name], cwd=folder, check=True, capture_output=True)
        git(folder, "add", ".gitattributes", ".mlver.toml")
        git(folder, "commit", "-q", "-m", tag)
        git(folder, "tag", tag)
        (folder / name).unlink()
    return folder


def write_model(path: Path, changed: Sequence[int]) -> None:
    """256 tensors of 4 MiB; 1,000 numbers of those that changed are others."""
    size = 4 << 20
    names = {
        f"layer.{n:03}": {
            "dtype": "BF16", "shape": [2048, 1024], "data_offsets": [n * size, (n + 1) * size]
        }
        for n in range(256)
    }  # fmt: skip
    head = json.dumps(names).encode()
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for n in range(256):
            data = bytearray(random.Random(n).randbytes(size))
            if n in changed:
                data[6000:8000] = bytes(byte ^ 1 for byte in data[6000:8000])
            file.write(data)


def images(folder: Path) -> Path:
    """100,000 tracked images, of which the second commit changes 30, moves 10 and drops 10."""

    def pointer(n: int, version: int) -> bytes:
        oid = hashlib.sha256(b"%d %d" % (n, version)).hexdigest()
        return b"version mlver/1\noid blake3:%s\nsize %d\n" % (oid.encode(), 1000 + n % 5000)

    def path(n: int) -> bytes:
        return b"d/%s/class_%02d/%06d.jpg" % (b"test" if n % 10 == 0 else b"train", n % 97, n)

    def put(n: int, version: int) -> bytes:
        data = pointer(n, version)
        return b"M 100644 inline %s\ndata %d\n%s\n" % (path(n), len(data), data)

    stream = []
    for version in (0, 1):
        stream.append(b"commit refs/heads/main\ncommitter a <a@b> %d +0000\ndata 1\nx\n" % version)
        if version == 0:
            stream += [put(n, 0) for n in range(100_000)]
        for n in range(0, 100_000, 2000) if version else ():
            other = path(n + 1).replace(b".jpg", b"-moved.jpg")
            kind = n // 2000 % 5
            stream.append(
                put(n, 1) if kind < 3
                else b"D %s\n" % path(n) if kind == 3
                else b"R %s %s\n" % (path(n), other)
            )  # fmt: skip
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "fast-import", "--quiet", data=b"".join(stream))
    return folder


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, nargs="*", default=[1_000_000])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--polars", help="a Python that has polars")
    options.add_argument("--model", action="store_true", help="1 GiB of safetensors too")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        for count in asked.rows:
            old, new = top / "old.csv", top / "new.csv"
            write_tables(count, old, new)
            folder = repository(top / f"table-{count}", "t.csv", old, new)
            print(f"{count:,} rows, {old.stat().st_size / 1e6:,.0f} MB")
            between = [*PROGRAM, "diff", "v1", "v2"]
            interleaved({"two commits, the first time": between}, folder, 1)
            named: dict[str, Words] = {
                "two commits": between,
                "two files": [*PROGRAM, "diff", "--no-index", old, new],
            }
            if asked.polars:
                named["polars, two files"] = [asked.polars, "-c", PEER, old, new]
            interleaved(named, folder, asked.rounds)
            old.unlink()
            new.unlink()
        if asked.model:
            old, new = top / "old", top / "new"
            write_model(old, ())
            write_model(new, (17, 200))
            folder = repository(top / "model", "m.safetensors", old, new)
            print("1 GiB of safetensors, two tensors changed")
            interleaved({"two commits": [*PROGRAM, "diff", "v1", "v2"]}, folder, asked.rounds)
        folder = images(top / "images")
        print("100,000 images, 50 changed")
        words = [*PROGRAM, "diff", "main~1", "main"]
        interleaved({"two commits": words}, folder, asked.rounds)


if __name__ == "__main__":
    main()
