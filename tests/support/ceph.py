"""A real S3 server for the tests: Ceph's monitor, OSD and RADOS Gateway in a scratch folder.

All three are bound to 127.0.0.1 and keep everything in memory; they start in about two seconds,
from Debian's packages radosgw, ceph-mon and ceph-osd. A process is only ever signalled if it was
started here.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "ceph", "monmaptool")

_CONF = """\
[global]
fsid = {fsid}
mon_initial_members = a
mon_host = v2:127.0.0.1:{mon_port}
ms_bind_msgr1 = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
keyring = {home}/keyring
log_file = {home}/log/$name.log
run_dir = {home}/run
crash_dir = {home}/crash
# no unix sockets: a long scratch path would go over their 107 characters
admin_socket =
auth_allow_insecure_global_id_reclaim = false
# one copy on one OSD, and no manager daemon to grow the placement groups later
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
# the gateway makes eight pools one after the other, each a monitor round
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
# the monitor leaves on a disk that is 95 % full: too eager for a CI disk
mon_data_avail_warn = 2
mon_data_avail_crit = 1

[mon.a]
mon_data = {home}/mon

[osd]
osd_data = {home}/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296

[client.rgw]
rgw_data = {home}/rgw
# without tcp_nodelay every GET and every listing waits 40 ms for a delayed ACK
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_thread_pool_size = 64
rgw_run_sync_thread = false
rgw_dynamic_resharding = false
rgw_enable_usage_log = false
# space of deleted objects comes back within a minute or so
rgw_gc_obj_min_wait = 20
rgw_gc_processor_period = 30
"""
_KEYS = (
    ("mon.", "mon", "allow *"),
    ("client.admin", "mon", "allow *", "osd", "allow *", "mgr", "allow *"),
    ("client.rgw", "mon", "allow rw", "osd", "allow rwx"),
    ("osd.0", "mon", "allow profile osd", "osd", "allow *"),
)


def missing_programs() -> list[str]:
    """The programs that this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def admin(home: Path, *words: str) -> str:
    """`radosgw-admin` with these words: further users, their capabilities, quotas."""
    return _run(home, "radosgw-admin", "-n", "client.rgw", *words)


class Ceph:
    """One cluster below `home`, which is made. `stop` ends it; its folder stays."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.access_key = "T" + secrets.token_hex(9).upper()
        self.secret_key = secrets.token_hex(20)
        port, self._mon_port = _free_port(), _free_port()
        self.url = f"http://127.0.0.1:{port}"
        for name in ("log", "run", "crash", "mon", "osd", "rgw"):
            (home / name).mkdir(parents=True)
        fsid = str(uuid.uuid4())
        (home / "ceph.conf").write_text(
            _CONF.format(home=home, fsid=fsid, mon_port=self._mon_port, port=port)
        )
        try:
            self._start(fsid)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """The gateway first, the monitor last: the OSD tells it that it leaves."""
        for process in reversed(list(self._processes.values())):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def _start(self, fsid: str) -> None:
        self._make_monitor(fsid)
        self._spawn("mon", "ceph-mon", "-i", "a", "-f")
        self._until("monitor quorum", lambda: bool(self._ask("mon", "stat")))
        osd = str(uuid.uuid4())
        self._run("ceph", "osd", "new", osd, "0")  # its key is in the ring already
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._spawn("osd", "ceph-osd", "-i", "0", "-f")
        self._until("OSD up", self._osd_is_up)
        # This makes the gateway's own pools on the way.
        admin(self._home, "user", "create", "--uid=test", "--display-name=test",
              f"--access-key={self.access_key}", f"--secret-key={self.secret_key}",
              "--caps=user-policy=*")  # fmt: skip
        self._spawn("rgw", "radosgw", "-n", "client.rgw", "-f")
        self._until("S3 answering", lambda: _answers(self.url))

    def _make_monitor(self, fsid: str) -> None:
        ring = self._home / "keyring"
        self._run("ceph-authtool", ring, "--create-keyring")
        for who, *caps in _KEYS:
            words = [word for pair in zip(caps[::2], caps[1::2], strict=True)
                     for word in ("--cap", *pair)]  # fmt: skip
            self._run("ceph-authtool", ring, "--gen-key", "-n", who, *words)
        monitors = self._home / "monmap"
        address = f"[v2:127.0.0.1:{self._mon_port}]"
        self._run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monitors)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monitors, "--keyring", ring)

    def _osd_is_up(self) -> bool:
        with contextlib.suppress(ValueError, KeyError):
            return int(json.loads(self._ask("osd", "stat", "-f", "json"))["num_up_osds"]) == 1
        return False

    def _run(self, *words: str | Path) -> str:
        return _run(self._home, *words)

    def _ask(self, *words: str) -> str:
        """What the monitor says; empty while it says nothing."""
        with contextlib.suppress(subprocess.CalledProcessError):
            return self._run("ceph", "--connect-timeout", "2", *words)
        return ""

    def _spawn(self, name: str, *words: str) -> None:
        with (self._home / "log" / f"{name}.out").open("ab") as out:
            self._processes[name] = subprocess.Popen(
                words, env=_environment(self._home), stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, start_new_session=True,
            )  # fmt: skip

    def _until(self, what: str, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if ready():
                return
            for name, process in self._processes.items():
                if process.poll() is not None:
                    log = (self._home / "log" / f"{name}.out").read_text(errors="replace")
                    raise RuntimeError(f"{name} ended while waiting for {what}: {log[-2000:]}")
            time.sleep(0.05)
        raise RuntimeError(f"no {what} after a minute")


class Gateway:
    """One more gateway to the cluster at `home`, for whoever kills it (-9) and starts it again. Its
    objects are those of the others. `stop` ends it."""

    def __init__(self, home: Path) -> None:
        self._home, self._port = home, _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Start it where it was; returns when it answers."""
        frontend = f"beast endpoint=127.0.0.1:{self._port} tcp_nodelay=1"
        words = ["radosgw", "-n", "client.rgw", "-f", f"--rgw_frontends={frontend}"]
        log = self._home / "log" / f"gateway-{self._port}"
        self._process = subprocess.Popen(
            [*words, f"--log_file={log}"], env=_environment(self._home),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + 60
        while not _answers(self.url):
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"no gateway: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """As a power cut would."""
        self._process.kill()
        self._process.wait(10)


def _answers(url: str) -> bool:
    """Any HTTP answer will do; nothing is sent that needs a key."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(url + "/", timeout=5).read()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _run(home: Path, *words: str | Path) -> str:
    done = subprocess.run(
        [str(word) for word in words], env=_environment(home), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


def _environment(home: Path) -> dict[str, str]:
    """Every program reads our configuration and no other."""
    found = {key: value for key, value in os.environ.items() if key != "CEPH_ARGS"}
    return {**found, "CEPH_CONF": str(home / "ceph.conf"), "PYTHONWARNINGS": "ignore"}


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
