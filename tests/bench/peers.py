"""The tools that are compared, each behind the same few questions.

A peer says whether it can run here, prepares a fresh repository, and gives the command lines to be
timed; it times nothing itself. Two of the peers are git-mlver: `mlver` is used through plain
`git add`, `mlver-add` through its own command. A new peer is one class and one line in PEERS.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

from scratch import CommandError, Scratch, bytes_under

DRIVERS = Path(__file__).with_name("drivers")
PATTERNS = ("*.bin", "*.csv", "*.safetensors")
"""What is tracked: all the inputs."""


class Peer:
    """Plain git, and what all the peers that live in a git repository share."""

    name: ClassVar[str] = "git"
    store: ClassVar[tuple[str, ...]] = (".git/objects",)
    """The folders whose bytes count as stored: content and recipes, no caches of them."""
    restores: ClassVar[bool] = True
    """Whether `restore` can be used."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch

    def available(self) -> str | None:
        """None if the peer can be used here, else the reason why not."""
        try:
            self.version_text()
        except (CommandError, OSError) as error:
            return str(error)
        return None

    def version(self) -> list[str]:
        """The command that prints the peer's version and does nothing else."""
        return ["git", "--version"]

    def version_text(self) -> str:
        """The first line that the version command prints."""
        output = self.scratch.run(self.version(), self.scratch.home).strip()
        return output.splitlines()[0] if output else ""

    def install(self) -> None:
        """Once for each peer: what a user does once for each machine."""

    def prepare(self, repo: Path) -> None:
        """Make `repo`, an absent folder, a repository in which the inputs are tracked."""
        repo.mkdir(parents=True)
        self.git(repo, "init", "--quiet")
        self.track(repo)
        self.git(repo, "add", "--all")
        self.git(repo, "commit", "--quiet", "--allow-empty", "--message=start")

    def track(self, repo: Path) -> None:
        """Say which files the peer is to take."""

    def add(self, paths: list[str]) -> list[str]:
        """The command, run in the repository, that stores the content of the paths."""
        return ["git", "add", *paths]

    def commit(self, repo: Path) -> None:
        """Commit what was added, where that means something."""
        self.git(repo, "commit", "--quiet", "--allow-empty", "--message=content")

    def drop(self, repo: Path, path: str) -> None:
        """Take a committed file's content out of the worktree; the store keeps it."""
        (repo / path).unlink()

    def restore(self, path: str) -> list[str]:
        """The command, run in the repository, that brings dropped content back."""
        return ["git", "checkout", "--", path]

    def restored(self, repo: Path, path: str) -> Path:
        """Where restored content is."""
        return repo / path

    def stored(self, repo: Path) -> int:
        """The bytes in the store."""
        return bytes_under(*(repo / folder for folder in self.store))

    def send(self, bucket: str, path: str) -> list[str]:
        """The command of a peer without repositories that copies the path to a bucket."""
        raise NotImplementedError(self.name)

    def receive(self, bucket: str, path: str) -> list[str]:
        """The command that copies it from there."""
        raise NotImplementedError(self.name)

    def git(self, repo: Path, *arguments: str) -> str:
        """Run git in `repo`, unmeasured."""
        return self.scratch.run(["git", *arguments], repo)


class Mlver(Peer):
    """git-mlver through plain git: its filter process does the work."""

    name = "mlver"
    store = (".git/mlver",)

    def version(self) -> list[str]:
        return ["git", "mlver", "--version"]

    def install(self) -> None:
        self.scratch.run(["git", "mlver", "install", "--global"], self.scratch.home)

    def track(self, repo: Path) -> None:
        self.git(repo, "mlver", "init")
        self.git(repo, "mlver", "track", *PATTERNS)


class MlverAdd(Mlver):
    """git-mlver's own commands, which read and write the worktree without git's pipe."""

    name = "mlver-add"

    def add(self, paths: list[str]) -> list[str]:
        return ["git", "mlver", "add", *paths]

    def drop(self, repo: Path, path: str) -> None:
        self.git(repo, "mlver", "drop", path)

    def restore(self, path: str) -> list[str]:
        return ["git", "mlver", "checkout", path]


class GitLfs(Peer):
    """git-lfs through plain git."""

    name = "git-lfs"
    store = (".git/lfs/objects",)

    def version(self) -> list[str]:
        return ["git", "lfs", "version"]

    def install(self) -> None:
        self.scratch.run(["git", "lfs", "install", "--skip-repo"], self.scratch.home)

    def track(self, repo: Path) -> None:
        self.git(repo, "lfs", "install", "--local")
        self.git(repo, "lfs", "track", *PATTERNS)

    def restore(self, path: str) -> list[str]:
        return ["git", "lfs", "checkout", path]


class Dvc(Peer):
    """DVC with a cache in the repository, as `dvc init` makes it."""

    name = "dvc"
    store = (".dvc/cache",)

    def version(self) -> list[str]:
        return ["dvc", "--version"]

    def track(self, repo: Path) -> None:
        self.scratch.run(["dvc", "init", "--quiet"], repo)
        self.scratch.run(["dvc", "config", "core.check_update", "false"], repo)

    def add(self, paths: list[str]) -> list[str]:
        return ["dvc", "add", "--quiet", *paths]

    def restore(self, path: str) -> list[str]:
        return ["dvc", "checkout", "--quiet", f"{path}.dvc"]


class PythonPeer(Peer):
    """A peer that is a Python module of the peers' venv, driven by a script beside this file."""

    restores = False
    module: ClassVar[str]
    driver: ClassVar[str]

    def python(self) -> str:
        """The interpreter that has the module: the peers' venv's, or else this one."""
        inside = self.scratch.tools / "python"
        return str(inside) if inside.exists() else sys.executable

    def version(self) -> list[str]:
        code = "import sys, importlib.metadata as m; print(sys.argv[1], m.version(sys.argv[1]))"
        return [self.python(), "-I", "-c", code, self.module]

    def drive(self, *arguments: str) -> list[str]:
        return [self.python(), "-I", str(DRIVERS / self.driver), *arguments]

    def prepare(self, repo: Path) -> None:
        repo.mkdir(parents=True)

    def commit(self, repo: Path) -> None:
        """There are no commits here."""


class Xet(PythonPeer):
    """Xet's client with a local chunk store; there is no repository, and no worktree to restore."""

    name = "xet"
    module = "hf_xet"
    driver = "xet_store.py"
    store = ("store/xet/xorbs/xorbs", "store/xet/xorbs/shards")

    def add(self, paths: list[str]) -> list[str]:
        return self.drive("store", *paths)


class Oxen(PythonPeer):
    """Oxen, locally. Importing its module costs about a third of a second on its own."""

    name = "oxen"
    module = "oxenai"
    driver = "oxen_repo.py"
    store = (".oxen/versions",)

    def prepare(self, repo: Path) -> None:
        repo.mkdir(parents=True)
        self.scratch.run(self.drive("init"), repo)

    def add(self, paths: list[str]) -> list[str]:
        return self.drive("add", *paths)


class Copy(Peer):
    """`cp` into the same file system: the least that anybody can do who stores the bytes."""

    name = "cp"
    store = ("copy",)

    def version(self) -> list[str]:
        return ["cp", "--version"]

    def prepare(self, repo: Path) -> None:
        (repo / "copy").mkdir(parents=True)

    def add(self, paths: list[str]) -> list[str]:
        return ["cp", "-r", *paths, "copy"]

    def commit(self, repo: Path) -> None:
        """There are no commits here."""

    def drop(self, repo: Path, path: str) -> None:
        (repo / "copy" / path).unlink(missing_ok=True)

    def restore(self, path: str) -> list[str]:
        return ["cp", path, "copy"]

    def restored(self, repo: Path, path: str) -> Path:
        return repo / "copy" / path


class Boto3(PythonPeer):
    """A script around boto3's own transfer of one file."""

    name = "boto3"
    module = "boto3"
    driver = "s3_copy.py"

    def send(self, bucket: str, path: str) -> list[str]:
        return self.drive("push", bucket, path)

    def receive(self, bucket: str, path: str) -> list[str]:
        return self.drive("pull", bucket, path)


class Rclone(Peer):
    """rclone with as many transfers at once as boto3 has threads."""

    name = "rclone"
    options: ClassVar[tuple[str, ...]] = (
        "--transfers=32", "--checkers=32", "--multi-thread-streams=32",
        "--s3-upload-concurrency=32", "--s3-chunk-size=8M", "--s3-no-check-bucket",
    )  # fmt: skip

    def version(self) -> list[str]:
        return ["rclone", "version"]

    def prepare(self, repo: Path) -> None:
        repo.mkdir(parents=True)

    def send(self, bucket: str, path: str) -> list[str]:
        return ["rclone", "copyto", *self.options, path, f"{self._bucket(bucket)}/{path}"]

    def receive(self, bucket: str, path: str) -> list[str]:
        return ["rclone", "copyto", *self.options, f"{self._bucket(bucket)}/{path}", path]

    def _bucket(self, bucket: str) -> str:
        endpoint = self.scratch.env["AWS_ENDPOINT_URL_S3"]
        return f':s3,provider=Ceph,env_auth=true,endpoint="{endpoint}":{bucket}'


PEERS: dict[str, type[Peer]] = {
    "mlver": Mlver,
    "mlver-add": MlverAdd,
    "git-lfs": GitLfs,
    "dvc": Dvc,
    "xet": Xet,
    "oxen": Oxen,
    "git": Peer,
    "cp": Copy,
    "rclone": Rclone,
    "boto3": Boto3,
}
OURS = ("mlver", "mlver-add")
