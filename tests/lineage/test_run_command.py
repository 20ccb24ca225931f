"""`git mlver run`: the command comes first, and every end of it is recorded as it was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.sandbox import MAIN, Clone, pointer_to

from mlver.model.digest import digest_of

PROGRAM = [sys.executable, "-P", "-E", str(MAIN), "run"]


def records(clone: Clone) -> list[dict[str, Any]]:
    """Every record of the notes, oldest first."""
    listed = clone.attempt("notes", "--ref", "mlver", "list").out.split("\n")
    blobs = [row.split(" ")[0] for row in listed if row]
    lines = [
        line for blob in blobs for line in clone.git("cat-file", "blob", blob).raw.splitlines()
    ]
    return sorted(map(json.loads, lines), key=lambda run: str(run["run_id"]))


def last(clone: Clone) -> dict[str, Any]:
    return records(clone)[-1]


def start(clone: Clone, *words: str) -> subprocess.Popen[bytes]:
    """The recorder itself, without git's wrapper; it ignores no signal, though these tests may have
    been started by `nohup` or in a shell's background."""
    return subprocess.Popen(
        [*PROGRAM, *words], cwd=clone.top, env=clone.box.env, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, preexec_fn=_heed_signals,
    )  # fmt: skip


def _heed_signals() -> None:
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("words", "code", "status"),
    [
        (["true"], 0, "finished"),
        (["sh", "-c", "exit 7"], 7, "failed"),
        (["no-such-program"], 127, "failed"),
        (["./README.md"], 126, "failed"),
    ],
)
def test_the_exit_code_is_the_commands(
    work: Clone, words: list[str], code: int, status: str
) -> None:
    done = work.attempt("mlver", "run", "--", *words)
    assert done.code == code, done.err
    run = last(work)
    assert (run["status"], run["exit_code"], run["job"]["argv"]) == (status, code, words)
    assert len(json.dumps(run)) < 4096


def test_a_command_that_a_signal_ended_ends_us_so(work: Clone) -> None:
    with start(work, "--", "sh", "-c", "kill -9 $$") as recorder:
        assert recorder.wait() == -signal.SIGKILL
    assert (last(work)["status"], last(work)["exit_code"]) == ("killed", 137)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_program_behind_a_shell(work: Clone, number: signal.Signals) -> None:
    script = (
        "import signal, sys, time\n"
        "for n in (1, 2, 15): signal.signal(n, lambda n, _: sys.exit(40 + n))\n"
        "print('up', flush=True); time.sleep(60)"
    )
    work.write("wait.py", script.encode())
    command = f"trap 'wait; exit 9' 1 2 15; {sys.executable} wait.py & wait $!; exit $?"
    with start(work, "--", "sh", "-c", command) as recorder:
        assert recorder.stdout is not None and recorder.stdout.readline() == b"up\n"
        recorder.send_signal(number)
        assert recorder.wait(60) == 9
    assert (last(work)["status"], last(work)["exit_code"]) == ("failed", 9)


def test_a_killed_recorder_is_a_killed_run_at_the_next_command(work: Clone) -> None:
    with start(work, "--", "sh", "-c", "echo up; sleep 30") as recorder:
        assert recorder.stdout is not None and recorder.stdout.readline() == b"up\n"
        recorder.kill()
        recorder.wait()
    assert records(work) == []
    work.mlver("runs")
    (killed,) = records(work)
    assert (killed["status"], killed["exit_code"]) == ("killed", None)


def test_a_push_takes_a_killed_run_along(work: Clone) -> None:
    far = work.box.bare()
    work.git("remote", "add", "origin", str(far))
    with start(work, "--name", "cut", "--", "sh", "-c", "echo up; sleep 30") as recorder:
        assert recorder.stdout is not None and recorder.stdout.readline() == b"up\n"
        recorder.kill()
        recorder.wait()
    work.git("push", "-q", "origin", "main")
    notes = work.box.git("notes", "--ref", "mlver", "show", work.head(), cwd=far).out
    assert [json.loads(line)["status"] for line in notes.splitlines()] == ["killed"]


def test_inputs_and_outputs_of_any_program_are_found_by_content(work: Clone) -> None:
    work.given("data", {"data/a.bin": b"old" * 100, "in.txt": b"text\n", ".gitignore": b"*.tmp\n"})
    script = (
        "cat data/a.bin in.txt >new.bin; cat in.txt >x.tmp; mkdir -p out/deep; echo r >out/deep/r.txt;"  # noqa: E501
        "echo more >>in.txt; echo z >data/t; mv data/t data/z"
    )
    work.mlver("run", "--", "sh", "-c", script)
    run = last(work)
    inputs = {item["path"]: item for item in run["inputs"]}
    outputs = {item["path"]: item for item in run["outputs"]}
    assert set(inputs) == {"data/a.bin", "in.txt"}
    assert set(outputs) == {"new.bin", "out/deep/r.txt", "in.txt", "data/z"}
    oid = pointer_to(b"old" * 100).split(b"\n")[1].split()[1].decode()
    assert inputs["data/a.bin"]["oid"] == oid
    assert inputs["in.txt"]["size"] == 5 and outputs["in.txt"]["size"] == 10
    assert inputs["in.txt"]["oid"] != outputs["in.txt"]["oid"]


def test_pythons_own_hook_tells_and_the_users_sitecustomize_runs(work: Clone) -> None:
    work.write("site/sitecustomize.py", b"import builtins; builtins.theirs = 'theirs'\n")
    work.given("data", {"a.bin": b"x" * 99, "p.yaml": b"lr: 0.5\npassword: c4n4ry-zz\n"})
    code = (
        "d=open('a.bin').read(); open('p.yaml').read(); open('m.bin','w').write(d); print(theirs)"
    )
    work.write("t.py", code.encode())
    work.attempt("mlver", "run", "--", sys.executable, "t.py", "--epochs", "3", PYTHONPATH="site")
    run = last(work)
    assert [(i["path"], i["found"]) for i in run["inputs"]] == [("a.bin", "python")]
    assert [(i["path"], i["found"]) for i in run["outputs"]] == [("m.bin", "python")]
    assert [i["path"] for i in run["configs"]] == ["p.yaml"]
    assert run["params"] == {"lr": 0.5, "password": "[redacted]", "epochs": 3}
    assert run["exit_code"] == 0, "the user's own sitecustomize was run"
    assert run["env"]["python"].startswith("3.") and run["env"]["lock"]


def test_where_nothing_can_be_recorded_the_command_runs(work: Clone, tmp_path: Path) -> None:
    done = work.box.run(["git", "mlver", "run", "--", "sh", "-c", "echo hi; exit 5"], tmp_path)
    assert (done.code, done.out, len(done.warnings)) == (5, "hi\n", 1)
    (work.store / "runs").parent.mkdir(exist_ok=True)
    (work.store / "runs").write_text("in the way")
    done = work.attempt("mlver", "run", "--", "sh", "-c", "echo hi; exit 6")
    assert (done.code, done.out, len(done.warnings)) == (6, "hi\n", 1)


def test_a_lock_left_behind_leaves_the_run_in_the_journal_until_it_is_gone(work: Clone) -> None:
    lock = work.git_dir() / "refs/notes/mlver.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.touch()
    assert work.attempt("mlver", "run", "--", "sh", "-c", "exit 4").code == 4
    (shown,) = json.loads(work.mlver("runs", "--json").out)["runs"]
    assert (shown["exit_code"], records(work)) == (4, [])
    lock.unlink()
    work.mlver("runs")
    assert [run["exit_code"] for run in records(work)] == [4]


def test_before_the_first_commit_a_run_waits_for_it(work: Clone) -> None:
    work.git("init", "-q", "-b", "main", "fresh")
    fresh = work.box.at("work/fresh")
    fresh.write("a.txt", b"a\n")
    fresh.mlver("run", "--", "true")
    assert records(fresh) == []
    head = fresh.commit("first")
    fresh.mlver("run", "--", "true")
    assert len(fresh.git("notes", "--ref", "mlver", "show", head).out.splitlines()) == 2


def test_thirty_at_once_are_thirty_records(work: Clone) -> None:
    started = [start(work, "-q", "--", "true") for _ in range(30)]
    assert [process.wait() for process in started] == [0] * 30
    for process in started:
        process.communicate()
    assert len(records(work)) == 30


def test_a_dirty_worktree_is_kept_without_secrets_and_the_index_is_untouched(work: Clone) -> None:
    work.given("code", {"t.py": b"1\n"})
    work.write("t.py", b"2\n")
    work.write("new.py", b"3\n")
    work.write(".env", b"X=1\n")
    work.write("huge.dat", b"0" * (5 << 20))
    index = (work.git_dir() / "index").read_bytes()
    work.mlver("run", "--", "true")
    run = last(work)
    assert (work.git_dir() / "index").read_bytes() == index
    assert run["code"]["dirty"] and run["code"]["left_out"] == [".env", "huge.dat"]
    work.git("gc", "--prune=now", "-q")
    names = work.git("ls-tree", "-r", "--name-only", run["code"]["tree"]).out.split()
    assert "new.py" in names and ".env" not in names
    assert work.blob(f"{run['code']['tree']}:t.py") == b"2\n"


CANARIES = [f"c4n4ry{n}x8Zq{n}w" for n in range(8)]


def test_no_canary_is_found_in_git_nor_in_the_store(work: Clone) -> None:
    one = CANARIES
    work.write(".env", f"DB_PASSWORD={one[0]}\n".encode())
    work.write("conf.yaml", f"lr: 1\ndb:\n  api_key: {one[1]}\n".encode())
    script = f"""
import sys, time, os, mlver
print("env", os.environ["MY_TOKEN"], open(".env").read(), open("conf.yaml").read(), flush=True)
secret = os.environ["MY_TOKEN"]
os.write(1, secret[:6].encode()); time.sleep(0.05); os.write(1, secret[6:].encode() + b"\\n")
print(sys.argv[-1], {one[0]!r}, {one[1]!r}, file=sys.stderr)
with mlver.run() as run:
    run.param("api_key", "{one[4]}"); run.param("note", "x " + secret)
    run.tag("password", "{one[5]}")
    raise ValueError("bad " + secret)
""".replace(one[4], one[4][:5] + '" "' + one[4][5:]).replace(
        one[5], one[5][:5] + '" "' + one[5][5:]
    )
    script = script.replace(repr(one[0]), repr(one[0][::-1]) + "[::-1]")
    script = script.replace(repr(one[1]), repr(one[1][::-1]) + "[::-1]")
    work.write("t.py", script.encode())
    done = work.attempt(
        "mlver", "run", "--param", f"auth_token={one[6]}", "--",
        sys.executable, "t.py", "--password", one[3], MY_TOKEN=one[2],
    )  # fmt: skip
    assert done.code == 1 and one[2] in done.out and "Traceback" in done.err
    run = last(work)
    assert run["params"]["api_key"] == "[redacted]" and run["tags"]["password"] == "[redacted]"
    logs = work.git("mlver", "smudge", "x", input=_kept(work, run, "stdout")).raw
    assert b"[redacted]" in logs
    texts = [path.read_bytes() for path in work.store.rglob("*") if path.is_file()]
    names = work.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)")
    for row in names.out.splitlines():
        name, kind = row.split()
        texts.append(work.git("cat-file", kind, name).raw)
    texts += [
        work.git("mlver", "smudge", "x", input=_kept(work, run, log)).raw
        for log in ("stdout", "stderr")
    ]
    for canary in one:
        assert not any(canary.encode() in text for text in texts), canary


def _kept(work: Clone, run: dict[str, Any], name: str) -> bytes:
    return work.blob(f"refs/mlver/kept:{run['run_id'][-2:]}/{run['run_id']}/{name}")


def test_a_killed_program_keeps_its_points_and_a_fork_mixes_none(work: Clone) -> None:
    script = """
import mlver, os, time
run = mlver.run()
for step in range(500): run.metric("loss", 1 / (step + 1), step)
if os.fork() == 0:
    run.metric("child", 1.0); run._events.flush(); os._exit(0)
os.wait()
folder = os.environ["MLVER_RUN_DIR"]
names = lambda: [f"{folder}/{n}" for n in os.listdir(folder) if n.startswith("events")]
size = lambda: sum(map(os.path.getsize, names()))
while True:
    before = size(); time.sleep(1.5)
    if before == size() > 0: break
os.kill(os.getpid(), 9)
"""
    work.write("t.py", script.encode())
    done = work.box.run([sys.executable, "t.py"], work.top)
    assert done.code == -9
    work.mlver("run", "--", "true")
    killed = records(work)[0]
    assert killed["status"] == "killed" and killed["job"]["kind"] == "python"
    assert killed["metrics"]["loss"]["count"] == 500 and killed["metrics"]["child"]["count"] == 1


def test_the_api_never_breaks_the_program(work: Clone, tmp_path: Path) -> None:
    script = (
        "import mlver\nwith mlver.run() as run:\n"
        "    run.param('a', object()); run.metric('m', 'no number'); run.metric('m', 1)\n"
        "    print(run.input('x'))\n"
    )
    (tmp_path / "t.py").write_text(script)
    done = work.box.run([sys.executable, "t.py"], tmp_path)
    assert (done.code, done.out, len(done.warnings)) == (0, "x\n", 1), done.err


def test_nested_runs_name_their_parent(work: Clone) -> None:
    script = "import mlver\nwith mlver.run('a'):\n  with mlver.run('b') as b: b.metric('m', 1)\n"
    work.write("t.py", script.encode())
    done = work.box.run([sys.executable, "t.py"], work.top)
    assert done.code == 0, done.err
    outer, inner = records(work)
    assert inner["parent_run"] == outer["run_id"] and "parent_run" not in outer


def test_more_than_a_hundred_outputs_are_in_a_listing(work: Clone) -> None:
    script = "import os\nos.mkdir('o')\nfor n in range(150): open(f'o/{n}.txt', 'w').write('x')\n"
    work.write("t.py", script.encode())
    work.mlver("run", "--", sys.executable, "t.py")
    run = last(work)
    assert run["listings"] == {"outputs": 150} and len(run["outputs"]) == 20
    assert len(json.loads(_kept(work, run, "outputs.json"))) == 150


def test_what_is_asked_for_is_recorded_beside_what_is_found(work: Clone) -> None:
    work.given("data", {"in.bin": b"in" * 100, ".gitignore": b"raw/\n"})
    work.write("raw/big.csv", b"a,b\n1,2\n")
    outside = work.box.root / "outside.txt"
    outside.write_bytes(b"far\n")
    script = (
        "cat in.bin raw/big.csv > /dev/null; echo '{\"acc\": 0.5}' > result.json;"
        " echo x > scratch.txt; echo y > raw/out.txt"
    )
    words = ["--name=asked", "--input", "raw/big.csv", f"--input={outside}", "--exclude=scratch*"]
    words += ["--output", "raw/out.txt", "--metrics", "result.json"]
    words += ["--tag", "stage=x", "--param", "lr=0.1"]
    work.mlver("run", *words, "--", "sh", "-c", script)
    run = last(work)
    assert (run["name"], run["params"], run["tags"]) == ("asked", {"lr": 0.1}, {"stage": "x"})
    assert run["metrics"]["acc"]["last"] == 0.5
    found = {item["path"]: item for item in run["inputs"]}
    assert found.keys() == {"in.bin", "raw/big.csv", str(outside)}
    assert found["raw/big.csv"]["found"] == "declared"
    assert found[str(outside)]["oid"] == f"blake3:{digest_of(b'far' + bytes([10])).hex()}"
    assert {item["path"] for item in run["outputs"]} == {"result.json", "raw/out.txt"}
    done = work.attempt("mlver", "run", "--param", "lr", "--", "true")
    assert done.code == 2 and "NAME=VALUE" in done.err
