"""One S3 server for all tests of a run, shared by the processes of pytest-xdist.

Ceph's gateway where it is installed (`ceph`), else moto's server, which keeps fewer promises: tests
that need more say so by `needs_ceph`. The server is the child of a keeper process, started by the
first test that asks, which lives as long as the run's main process: it ends with it, even if that
is killed, and removes its folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.support import ceph

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Endpoint:
    """Where the server is. `home`: Ceph's folder, for `ceph.admin`."""

    kind: str
    url: str
    access_key: str
    secret_key: str
    home: str

    def settings(self) -> dict[str, str]:
        """The environment in which the AWS library finds this server's keys and nothing else."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": "us-east-1",
        }


def kind() -> str:
    """ "ceph", "moto", or "" where neither is installed. MLVER_TEST_S3 chooses."""
    chosen = os.environ.get("MLVER_TEST_S3")
    if chosen is not None:
        return chosen
    if not ceph.missing_programs() and sys.platform == "linux":
        return "ceph"
    return "moto" if find_spec("moto") and find_spec("flask") else ""


def described() -> str:
    """For the head of a test run."""
    return {
        "ceph": "s3: Ceph's gateway (radosgw)",
        "moto": "s3: moto's server, not Ceph's (radosgw, ceph-mon and ceph-osd):"
        " tests of what it does not keep are skipped",
        "": "s3: no server (radosgw ceph-mon ceph-osd, or pip install 'git-mlver[test]'):"
        " not tested",
    }[kind()]


def shared(folder: Path, owner: int) -> Endpoint:
    """The run's server. `folder` is the run's own; the server ends when process `owner` does."""
    with (folder / "s3.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        note = folder / "s3.json"
        if not note.exists():
            _start_keeper(note, owner)
        return Endpoint(**json.loads(note.read_text()))


def _start_keeper(note: Path, owner: int) -> None:
    with note.with_suffix(".log").open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.support.s3_server", str(note), str(owner)],
            cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    end = time.monotonic() + 120
    while not note.exists():
        if keeper.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"no S3 server: {note.with_suffix('.log').read_text()[-2000:]}")
        time.sleep(0.05)


def _keep(note: Path, owner: int) -> None:
    """The keeper's work: start the server, write the note, wait for the owner's end, clear up."""
    home = Path(tempfile.mkdtemp(prefix="mlver-s3-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = None
    try:
        if kind() == "ceph":
            server = ceph.Ceph(home / "ceph")
            keys = (server.access_key, server.secret_key)
            endpoint = Endpoint("ceph", server.url, *keys, str(home / "ceph"))
        else:
            endpoint = _moto(home)
        temporary = note.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(endpoint)))
        temporary.rename(note)
        while _lives(owner):
            time.sleep(0.3)
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _moto(home: Path) -> Endpoint:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    return Endpoint("moto", f"http://127.0.0.1:{port}", "TEST", "secret", str(home))


def _lives(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), int(sys.argv[2]))
