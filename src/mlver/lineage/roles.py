"""What a file is to a run, by its name: data, model, config, metrics, notebook, code, other; and
what nobody means when they speak of inputs and outputs: caches, editors' files, git's own."""

from __future__ import annotations

import re

from mlver.lineage import config_params

_CODE = (
    b".py", b".pyi", b".pyx", b".sh", b".bash", b".r", b".jl", b".pl", b".rb", b".js", b".ts",
    b".c", b".cc", b".cpp", b".h", b".hpp", b".cu", b".rs", b".go", b".java", b".scala", b".lua",
    b".m", b".mk", b".sql", b".smk", b".ipynb", b".rmd", b".qmd",
)  # fmt: skip
_CODE_NAMES = {
    b"makefile", b"snakefile", b"dockerfile", b"justfile", b"requirements.txt", b"pyproject.toml",
    b"setup.cfg", b"uv.lock", b"poetry.lock", b"package.json",
}  # fmt: skip
_MODEL = (
    b".safetensors", b".pt", b".pth", b".ckpt", b".onnx", b".h5", b".keras", b".pkl", b".pickle",
    b".joblib", b".gguf", b".bin", b".tflite", b".pb", b".mar", b".engine", b".cbm", b".ubj",
)  # fmt: skip
_NOISE = re.compile(
    rb"(?:\A|/)(?:\.git(?:|ignore|attributes|modules|keep)|\.mlver\.toml|__pycache__|\.ipynb_checkpoints"
    rb"|\.mypy_cache|\.pytest_cache|\.ruff_cache|\.DS_Store|\.hg|\.svn|\.nfs[0-9a-f]+|4913)(?:/|\Z)"
    rb"|\.py[cod]\Z|\.sw[a-p]x?\Z|~\Z|(?:\A|/)\.#|(?:\A|/)#[^/]*#\Z|(?:\A|/)\.mlver-[0-9a-f]{12}\Z"
    rb"|\.mlver\.json\Z|\.(?:lock|tmp|part|crdownload)\Z|-journal\Z|-(?:wal|shm)\Z"
)
SKIPPED_FOLDERS = {
    b".git", b"__pycache__", b".ipynb_checkpoints", b".mypy_cache", b".pytest_cache",
    b".ruff_cache", b"node_modules", b".hg", b".svn", b".tox", b".nox", b".idea", b".vscode",
}  # fmt: skip
"""Folders of tools, in which no run reads or writes what it is about."""


def role_of(path: bytes) -> str:
    """The role of a file, by its name."""
    name = path.rpartition(b"/")[2].lower()
    if name.endswith(b".ipynb"):
        return "notebook"
    if is_code(path):
        return "code"
    if config_params.is_metrics(path):
        return "metrics"
    if name.endswith(_MODEL):
        return "model"
    if name.endswith((b".yaml", b".yml", b".toml", b".ini", b".cfg")):
        return "config"
    if name.endswith((b".log", b".txt", b".png", b".svg", b".pdf", b".html", b".md")):
        return "other" if not name.endswith(b".txt") else "data"
    return "data"


def is_code(path: bytes) -> bool:
    """True for a source file: a run's code is its tree, not an input."""
    name = path.rpartition(b"/")[2].lower()
    return name.endswith(_CODE) or name in _CODE_NAMES


def is_noise(path: bytes) -> bool:
    """True for what editors, git, Python and databases put beside files for themselves."""
    return _NOISE.search(path) is not None
