"""The machine that a run ran on, by a list of what may be told: system, processor, graphics cards,
and a few variables. Read from files where they are; nothing is started but nvidia-smi, where it
is, in the background. Imports nothing of git and store.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

ALLOWED = (
    "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS",
    "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "PYTHONHASHSEED",
    "CONDA_DEFAULT_ENV", "TF_DETERMINISTIC_OPS", "NVIDIA_TF32_OVERRIDE", "TOKENIZERS_PARALLELISM",
    "PYTORCH_CUDA_ALLOC_CONF", "XLA_FLAGS", "JAX_PLATFORMS", "LC_ALL", "LANG", "TZ",
    "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_PARTITION",
    "SLURM_NNODES", "SLURM_NTASKS", "WORLD_SIZE", "RANK", "LOCAL_RANK", "KUBERNETES_SERVICE_HOST",
    "GITHUB_RUN_ID", "GITHUB_SHA", "CI_JOB_ID", "CI_PIPELINE_ID",
)  # fmt: skip
"""Variables that a record may hold; no other one is written."""

_NVIDIA = "/proc/driver/nvidia"


class Machine:
    """Facts of this machine; `facts` waits for what was started."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._smi: subprocess.Popen[bytes] | None = None
        if os.path.isdir(_NVIDIA) or os.path.exists("/dev/dxg"):
            with contextlib.suppress(OSError):
                self._smi = subprocess.Popen(
                    ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )

    def facts(self) -> dict[str, Any]:
        """Members of a record's `env`, without those of Python; what is not known is left out."""
        system = os.uname() if hasattr(os, "uname") else None
        found: dict[str, Any] = {
            "os": _system(system.sysname if system else sys.platform),
            "machine": system.machine if system else "",
            "host": system.nodename if system else "",
            "cpu": _cpu(),
            "cpus": os.cpu_count() or 0,
            "cuda": _cuda(),
            "vars": {name: self._env[name][:200] for name in ALLOWED if self._env.get(name)},
        }
        found |= self._cards()
        return {name: value for name, value in found.items() if value}

    def _cards(self) -> dict[str, Any]:
        cards, driver = _cards_by_files(), _driver()
        if self._smi is not None:
            try:
                output, _ = self._smi.communicate(timeout=5)
            except (subprocess.TimeoutExpired, OSError):
                self._smi.kill()
                output = b""
            rows = [row.split(", ") for row in output.decode("utf-8", "replace").splitlines()]
            rows = [row for row in rows if len(row) == 2]
            if rows:
                cards, driver = [row[0] for row in rows], rows[0][1]
        return {"gpus": cards, "driver": driver}


def _text(path: str) -> str:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return file.read(64 * 1024).decode("utf-8", "replace")
    return ""


def _system(kernel: str) -> str:
    if kernel == "Linux":
        match = re.search(r'^PRETTY_NAME="?([^"\n]+)', _text("/etc/os-release"), re.M)
        return match[1] if match else kernel
    import platform

    return platform.platform()


def _cpu() -> str:
    match = re.search(r"^model name\s*: (.+)$", _text("/proc/cpuinfo"), re.M)
    return match[1].strip() if match else ""


def _driver() -> str:
    match = re.search(r"Kernel Module\D*([0-9.]+)", _text(f"{_NVIDIA}/version"))
    return match[1] if match else ""


def _cards_by_files() -> list[str]:
    names = []
    with contextlib.suppress(OSError):
        for card in sorted(os.listdir(f"{_NVIDIA}/gpus")):
            match = re.search(r"^Model:\s*(.+)$", _text(f"{_NVIDIA}/gpus/{card}/information"), re.M)
            names += [match[1].strip()] if match else []
    return names


def _cuda() -> str:
    match = re.search(
        r'"cuda"[^}]*"version"\s*:\s*"([0-9.]+)', _text("/usr/local/cuda/version.json")
    )
    return match[1] if match else ""
