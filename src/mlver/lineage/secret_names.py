"""Which names say that what they name is a secret: `HF_TOKEN`, `db.password`, `--api-key`, `.env`.

By words, not by letters: `max_tokens`, `pad_token` and `tokenizer` are what training programs
print all day, and none of them is a secret. Imports nothing of mlver.
"""

from __future__ import annotations

import re
from functools import lru_cache

_ALWAYS = {
    "password", "passwd", "passphrase", "pwd", "secret", "secrets", "credential", "credentials",
    "apikey", "authorization", "cookie", "dsn", "privatekey", "accesskey", "secretkey",
    "authtoken", "accesstoken", "pat",
}  # fmt: skip
_BEFORE_KEY = {
    "api", "access", "private", "secret", "encryption", "signing", "session", "account", "auth",
    "storage", "ssh", "service", "license", "master", "shared",
}  # fmt: skip
_NO_SECRET_TOKEN = {
    "pad", "eos", "bos", "unk", "mask", "cls", "sep", "max", "min", "num", "n", "per", "special",
    "image", "next", "stop", "start", "end", "first", "last", "prompt", "new", "decoder", "text",
    "audio", "video", "begin", "vision", "single", "top", "pool", "unknown", "add",
}  # fmt: skip
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_FILE = re.compile(
    rb"\A(?:\.env(?:rc|\..+)?|.+\.env|\.netrc|\.pgpass|\.pypirc|\.npmrc|\.htpasswd|id_(?:rsa|dsa|"
    rb"ecdsa|ed25519)|.+\.(?:pem|key|p12|pfx|jks|keystore|kdbx|ppk)|credentials(?:\.[a-z]+)?|"
    rb"(?:.+[_.-])?secrets?(?:\.[a-z]+)?|service[_-]account.*\.json|kaggle\.json|\.git-credentials)"
    rb"\Z",
    re.IGNORECASE,
)
_HARMLESS = re.compile(
    r"\A(?:|true|false|none|null|yes|no|on|off|\*+|<[^>]*>|\$\{.*|\$\w+|\{\{.*|your[-_ ].*|"
    r"changeme|x{3,}|\.{3}|…|\[redacted\])\Z",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\A[-+]?[0-9][0-9_,]*(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?\Z")


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """True for the name of an environment variable, an option, a key of a configuration."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return False
    if _ALWAYS & set(words) or "".join(words[-2:]) in _ALWAYS:
        return True
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in ("token", "bearer", "auth", "pass", "passcode"):
        return before not in _NO_SECRET_TOKEN
    if last in ("key", "keys"):
        return before in _BEFORE_KEY
    return last in ("string", "str") and before == "connection"


def may_be_secret(name: str, value: str) -> bool:
    """True where a value of that (secret) name is one: no placeholder, and no count of tokens."""
    if _HARMLESS.match(value.strip()):
        return False
    words = [word.lower() for word in _WORD.findall(name)]
    counted = words[-1:] in (["token"], ["key"], ["keys"], ["pass"], ["auth"])
    return not (counted and _NUMBER.match(value.strip()))


def is_secret_file(path: bytes) -> bool:
    """True for a file that holds secrets by its name: `.env`, private keys, credentials."""
    name = path.rpartition(b"/")[2]
    if name.lower().endswith((b".env.example", b".env.sample", b".env.template")):
        return False
    return _FILE.match(name) is not None and not name.lower().endswith((b".py", b".md", b".ipynb"))
