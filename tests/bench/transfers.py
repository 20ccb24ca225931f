"""How each peer sends content to a bucket and has it back: command lines, as in `peers`.

A transfer belongs to one turn: a fresh repository, a bucket of its own. What a user does once
(making the remote known, committing pointers, cloning the git repository) is not timed.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from bucket import Server
from peers import Peer
from scratch import Sample


@dataclass
class Transfer:
    """A peer that knows no repository: a copy to the bucket, a copy from it."""

    peer: Peer
    server: Server
    bucket: str
    repo: Path

    @property
    def clone(self) -> Path:
        """Where content is pulled into."""
        return self.repo.with_name(f"{self.repo.name}-clone")

    def prepare(self) -> None:
        """A fresh repository and an empty bucket, each known to the other."""
        for folder in (self.repo, self.clone):
            shutil.rmtree(folder, ignore_errors=True)
        self.peer.scratch.env.update(self.server.environment())
        self.server.new_bucket(self.bucket)
        self.peer.prepare(self.repo)

    def commit(self, path: str) -> None:
        """Store and commit a file or folder of the worktree, where the peer does such things."""

    def make_clone(self) -> None:
        """A clone that has no content yet, in place of the last one."""
        shutil.rmtree(self.clone, ignore_errors=True)
        self.clone.mkdir()

    def push(self, path: str) -> list[str]:
        """The command, run in the repository, that sends the path's content."""
        return self.peer.send(self.bucket, path)

    def pull(self, path: str) -> list[str]:
        """The command, run in the clone, after which the path is in its worktree."""
        return self.peer.receive(self.bucket, path)

    def fetch(self, path: str) -> list[str]:
        """The command, run in the clone, that brings the content to this machine."""
        return self.pull(path)

    def sent(self) -> int:
        """The bytes that the other side holds by now."""
        return self.server.bytes_in(self.bucket)

    def measured_push(self, path: str) -> Sample:
        """Time the push; what the other side holds more than before are its bytes."""
        before = self.sent()
        sample = self.peer.scratch.measure(self.push(path), self.repo)
        return sample.storing(self.sent() - before)

    def end(self) -> None:
        """Free the server's memory."""
        self.server.remove(self.bucket)


class GitTransfer(Transfer):
    """A peer whose pointers travel through git; content is pulled into a clone of a bare one."""

    def commit(self, path: str) -> None:
        self.peer.scratch.run(self.peer.add([path]), self.repo)
        self.peer.git(self.repo, "add", "--all")
        self.peer.commit(self.repo)

    def make_clone(self) -> None:
        bare = self.repo.with_name(f"{self.repo.name}.git")
        for folder in (bare, self.clone):
            shutil.rmtree(folder, ignore_errors=True)
        self.peer.git(self.repo.parent, "clone", "--quiet", "--bare", str(self.repo), str(bare))
        self.peer.scratch.run(
            ["git", "clone", "--quiet", str(bare), str(self.clone)],
            self.repo.parent,
            MLVER_SKIP_SMUDGE="1",
        )


class MlverTransfer(GitTransfer):
    """git-mlver; a remote is added by its user in each clone, which tries the server once."""

    def _add_remote(self, repo: Path) -> None:
        url = f"s3://{self.bucket}/content?endpoint={self.server.url}"
        self.peer.git(repo, "mlver", "remote", "add", "bucket", url)

    def prepare(self) -> None:
        super().prepare()
        self._add_remote(self.repo)

    def make_clone(self) -> None:
        super().make_clone()
        self._add_remote(self.clone)

    def push(self, path: str) -> list[str]:
        return ["git", "mlver", "push", "bucket"]

    def pull(self, path: str) -> list[str]:
        return ["git", "mlver", "pull", "bucket"]

    def fetch(self, path: str) -> list[str]:
        return ["git", "mlver", "fetch", "bucket"]


class DvcTransfer(GitTransfer):
    """DVC with its S3 remote, whose settings are committed."""

    def prepare(self) -> None:
        super().prepare()
        for words in (
            ("add", "--default", "bucket", f"s3://{self.bucket}/content"),
            ("modify", "bucket", "endpointurl", self.server.url),
        ):
            self.peer.scratch.run(["dvc", "remote", *words], self.repo)

    def push(self, path: str) -> list[str]:
        return ["dvc", "push", "--quiet", f"{path}.dvc"]

    def pull(self, path: str) -> list[str]:
        return ["dvc", "pull", "--quiet", f"{path}.dvc"]

    def fetch(self, path: str) -> list[str]:
        return ["dvc", "fetch", "--quiet", f"{path}.dvc"]


class XetTransfer(Transfer):
    """Xet's client cannot write to a bucket: what its local chunk store holds more is what it
    would have sent. Its times are no transfer's."""

    def push(self, path: str) -> list[str]:
        return self.peer.add([path])

    def sent(self) -> int:
        return self.peer.stored(self.repo)


TRANSFERS: dict[str, type[Transfer]] = {
    "mlver-add": MlverTransfer,
    "dvc": DvcTransfer,
    "rclone": Transfer,
    "boto3": Transfer,
    "xet": XetTransfer,
}
