"""`pip install .` gives a whole git-mlver: hooks, man pages and schemas travel in the wheel."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from tests.support.sandbox import Sandbox, content

from mlver.git.hook_text import NAMES

pytest.importorskip("hatchling", reason="hatchling builds the wheel")
ROOT = Path(__file__).resolve().parents[2]


def build(kind: str, folder: Path) -> Path:
    words = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def box(tmp_path: Path, wheel: Path) -> Sandbox:
    """A HOME whose git-mlver was installed from the wheel; the checkout cannot be imported."""
    root = tmp_path / "box"
    root.mkdir()
    made = Sandbox(root)
    made.prepare()
    (made.bin / "git-mlver").unlink()
    environment = root / "venv"
    venv.create(environment, symlinks=True)
    # By the pip that is here: to unpack one into the environment costs more than all the rest.
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install"]
    subprocess.run([*pip, "-q", "--no-index", "--no-deps", str(wheel)], check=True)
    # What git-mlver needs is taken from where the tests run; a .pth there is not read again, so
    # an editable installation of this checkout is not seen.
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    (packages / "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    made.env["PATH"] = f"{environment / 'bin'}:{made.env['PATH']}"
    return made


def test_the_wheel_holds_what_the_program_reads(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"mlver/_data/hooks/{name}" for name in NAMES} <= names
    for folder, inside in (("man", "docs/man"), ("schema", "docs/schema")):
        for path in (ROOT / inside).iterdir():
            assert f"mlver/_data/{folder}/{path.name}" in names
    assert not [name for name in names if name.startswith(("tests", "demo", "docs", "hooks"))]


@pytest.mark.long
def test_a_wheel_in_a_fresh_environment_is_a_whole_git_mlver(box: Sandbox) -> None:
    where = box.run(
        [str(box.root / "venv/bin/python"), "-c", "import mlver; print(mlver.__file__)"]
    )
    assert where.out.startswith(str(box.root / "venv")), where
    box.git("mlver", "install")
    box.git("init", "-q", "-b", "main", str(box.root / "work"))
    work = box.at("work")
    work.mlver("init")
    work.mlver("track", "*.bin")
    work.write("a.bin", content(1))
    work.mlver("add", "--all")
    work.git("commit", "-q", "-m", "one")
    work.write("b.bin", content(2))
    work.git("add", "b.bin")
    work.git("commit", "-q", "-m", "two")
    work.settled()
    work.git("remote", "add", "origin", str(box.bare()))
    work.git("push", "-q", "origin", "main")
    clone = box.clone(box.root / "far.git", "clone")
    assert clone.read("a.bin") == content(1) and clone.read("b.bin") == content(2)
    assert clone.mlver("doctor", "--json").code == 0
    pages = box.root / "venv/share/man/man1"
    assert (pages / "git-mlver.1").is_file()


def test_the_source_archive_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    archive = build("sdist", tmp_path / "sdist")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "source", filter="data")
    source = next((tmp_path / "source").iterdir())
    words = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        str(tmp_path / "again"),
    ]
    subprocess.run(words, cwd=source, check=True, capture_output=True)
    again = next((tmp_path / "again").iterdir())
    assert set(zipfile.ZipFile(again).namelist()) == set(zipfile.ZipFile(wheel).namelist())
