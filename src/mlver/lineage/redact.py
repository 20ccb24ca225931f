"""Takes secrets out of what is about to be written: a log, an argument, a parameter, a message.

What is a secret:
- the value of an environment variable, an option or a configuration key whose name says so
  (secret_names), wherever that value stands;
- what has the form of a well-known token (AWS, GitHub, Hugging Face, OpenAI, Slack, JWT, …), a
  private key block, the password of a URL;
- what stands after a secret name in a text: `password: …`, `Authorization: Bearer …`.

A secret becomes `[redacted]`. Bytes in, bytes out, a line at a time, so that no rule reaches over
a line's end; a secret of several lines is known line by line. Imports nothing of git and store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlver.lineage.secret_names import is_secret_name, may_be_secret

MARK = "[redacted]"
_MARK = MARK.encode()
_SHORTEST = 6
"""A value shorter than this is looked for nowhere but under its name: it would be in every word."""

_SHAPES: tuple[tuple[tuple[bytes, ...], re.Pattern[bytes]], ...] = (
    ((b"AKIA", b"ASIA"), re.compile(rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ((b"gh",), re.compile(rb"\b(?:gh[pousr]_[0-9A-Za-z]{20,}|github_pat_[0-9A-Za-z_]{20,})")),
    ((b"hf_",), re.compile(rb"\bhf_[0-9A-Za-z]{16,}")),
    ((b"sk-", b"rk-", b"pk-"), re.compile(rb"\b[spr]k-[0-9A-Za-z_-]{16,}")),
    ((b"sk_", b"rk_"), re.compile(rb"\b[sr]k_(?:live|test)_[0-9A-Za-z]{10,}")),
    ((b"xox", b"xapp-"), re.compile(rb"\b(?:xox[a-z]|xapp)-[0-9A-Za-z-]{8,}")),
    ((b"eyJ",), re.compile(rb"\beyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}(?:\.[0-9A-Za-z_-]*)?")),
    ((b"AIza",), re.compile(rb"\bAIza[0-9A-Za-z_-]{30,}")),
    ((b"glpat-",), re.compile(rb"\bglpat-[0-9A-Za-z_-]{16,}")),
    ((b"npm_", b"pypi-"), re.compile(rb"\b(?:npm_[0-9A-Za-z]{30,}|pypi-[0-9A-Za-z_-]{30,})")),
    ((b"SG.",), re.compile(rb"\bSG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}")),
    ((b"sig=", b"Signature="), re.compile(rb"(?<=[?&])(?:sig|X-Amz-Signature)=[^&\s\"']{8,}")),
    (
        (b"PRIVATE KEY-----",),
        re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*KEY-----|\Z)", re.S),
    ),
)
_URL = re.compile(rb"(?<=://)([^\s/@:\"']*):([^\s/@\"']+)(?=@)")
_URL_USER = re.compile(rb"(?<=://)([0-9A-Za-z_.~%-]{20,})(?=@)")
_BEARER = re.compile(rb"(?i)\b((?:bearer|basic)\s+)([0-9A-Za-z._~+/=-]{12,})")
_NAMED = re.compile(
    rb"([A-Za-z][0-9A-Za-z_.-]*)(\\?[\"']?[ \t]*(?:=>|:=|[:=])[ \t]*|"
    rb"\\?[\"'][ \t]*,[ \t]*(?=\\?[\"']))"
    rb"(?:(\\?\")((?:[^\"\\]|\\(?!\"))*)|(\\?')((?:[^'\\]|\\(?!'))*)|([^\s\"',;&)}\]]+))"
)
_HINTS = re.compile(
    rb"(?i)pass|pwd|secret|token|key|credential|auth|cookie|dsn|connection|\bpat\b|bearer|basic"
)
_PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
_BEGIN, _END = b"PRIVATE KEY-----", b"-----END "
_MOST_KEY_LINES = 200


class Redactor:
    """Knows secrets by value; add what is learnt (`learn`), then ask."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self._values: set[bytes] = set()
        self._ordered: list[bytes] = []
        for name, value in (env or {}).items():
            if is_secret_name(name):
                self.learn_named(name, value)
            elif "://" in value and (match := _URL.search(value.encode("utf-8", "replace"))):
                self.learn(match[2].decode("utf-8", "replace"))

    # -- knowing ---------------------------------------------------------------------------

    def learn(self, value: str) -> None:
        """A secret's value, in every form in which a text may hold it."""
        for line in re.split(r"[\r\n]+", value):
            line = line.strip()
            if len(line) >= _SHORTEST and line != MARK:
                raw = line.encode("utf-8", "surrogateescape")
                self._values |= {raw, raw.replace(b"\\", b"\\\\"), _in_url(raw)}
        self._ordered = sorted(self._values, key=len, reverse=True)

    def learn_named(self, name: str, value: Any) -> None:
        """The value of what has a secret's name, unless it is a placeholder."""
        if isinstance(value, str) and may_be_secret(name, value):
            self.learn(value)

    def learn_text(self, data: bytes) -> None:
        """The secrets that a configuration file or `.env` names, by a look at its lines."""
        for name, value in secrets_named_in(data):
            self.learn_named(name, value)

    # -- asking ----------------------------------------------------------------------------

    def knows(self, data: bytes) -> bool:
        """True where `data` holds a known value or something of a token's form."""
        if any(value in data for value in self._ordered):
            return True
        return any(shape.search(data) for hints, shape in _SHAPES if any(h in data for h in hints))

    def bytes(self, data: bytes) -> bytes:
        """`data` (whole lines) without secrets."""
        for value in self._ordered:
            if value in data:
                data = data.replace(value, _MARK)
        for hints, shape in _SHAPES:
            if any(hint in data for hint in hints):
                data = shape.sub(_MARK, data)
        if b"://" in data:
            data = _URL.sub(rb"\1:" + _MARK, data)
            data = _URL_USER.sub(_MARK, data)
        if _HINTS.search(data):
            data = _NAMED.sub(_named, data)
            data = _BEARER.sub(rb"\1" + _MARK, data)
        return data

    def text(self, text: str) -> str:
        """As `bytes`, for a text; what is no Unicode becomes U+FFFD."""
        clean = text.encode("utf-8", "surrogateescape" if text.isascii() else "replace")
        return self.bytes(clean).decode("utf-8", "replace")

    def value(self, name: str, value: Any) -> Any:
        """A parameter's value, or the mark where its name or form says that it is a secret."""
        if is_secret_name(name) and value not in (None, "", True, False):
            text = value if isinstance(value, str) else str(value)
            if may_be_secret(name, text):
                return MARK
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.value("", item) for item in value]
        return value

    def argv(self, argv: Sequence[str]) -> list[str]:
        """A command's words; what follows `--token` or `-H Authorization:` is taken out."""
        found, hides = [], ""
        for word in argv:
            if hides and not word.startswith("-") and may_be_secret(hides, word):
                found.append(MARK)
            else:
                name, equals, value = word.partition("=")
                option = name.lstrip("-+~")
                if equals and is_secret_name(option) and may_be_secret(option, value):
                    found.append(f"{self.text(name)}={MARK}")
                else:
                    found.append(self.text(word))
            hides = option_name(word)
        return found

    def learn_argv(self, argv: Sequence[str]) -> None:
        """The secrets that a command's words hold: the program may print them."""
        hides = ""
        for word in argv:
            if hides and not word.startswith("-"):
                self.learn_named(hides, word)
            name, equals, value = word.partition("=")
            if equals and is_secret_name(name.lstrip("-+~")):
                self.learn_named(name, value)
            hides = option_name(word)


def _in_url(value: bytes) -> bytes:
    """As a URL holds it; urllib would cost a run's start 5 ms."""
    return b"".join(byte.to_bytes() if byte in _PLAIN else b"%%%02X" % byte for byte in value)


def option_name(word: str) -> str:
    """The name of an option whose value, a secret, is the next word; "" for any other word."""
    if word.startswith("-") and "=" not in word and is_secret_name(word.lstrip("-")):
        return word.lstrip("-")
    return ""


def secrets_named_in(data: bytes) -> Iterable[tuple[str, str]]:
    """(name, value) of what a configuration text holds under secret names."""
    if not _HINTS.search(data):
        return
    for match in _NAMED.finditer(data):
        name = match[1].decode("utf-8", "replace")
        if is_secret_name(name):
            value = match[4] or match[6] or match[7] or b""
            yield name, value.decode("utf-8", "surrogateescape")


def _named(match: re.Match[bytes]) -> bytes:
    name = match[1].decode("utf-8", "replace")
    value = (match[4] or match[6] or match[7] or b"").decode("utf-8", "replace")
    if not is_secret_name(name) or not may_be_secret(name, value) or len(value) < 3:
        return match[0]
    if value.lower() in ("bearer", "basic"):
        return match[0]  # the value is the next word: _BEARER takes it
    return match[1] + match[2] + (match[3] or match[5] or b"") + _MARK


class RedactedStream:
    """A stream's bytes without secrets, however they were cut into writes.

    Whole lines are passed on; of a line without an end at most LONGEST bytes are held back. A
    private key's block is left out until its end.
    """

    LONGEST = 64 * 1024
    _HOLD = 8 * 1024

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = bytearray()
        self._key_lines = 0  # > 0: inside a private key
        self._cut = False  # what was passed on ended inside a long word that was redacted

    def feed(self, data: bytes) -> bytes:
        """Take bytes in; what may be written by now."""
        self._held += data
        end = max(self._held.rfind(b"\n"), self._held.rfind(b"\r")) + 1
        out = b""
        if end:
            ready, self._held = bytes(self._held[:end]), self._held[end:]
            out = self._lines(ready)
        if len(self._held) > self.LONGEST:
            out += self._long()
        return out

    def close(self) -> bytes:
        """What was held back."""
        ready, self._held = bytes(self._held), bytearray()
        return self._lines(ready) if ready else b""

    def _lines(self, data: bytes) -> bytes:
        if self._cut:
            self._cut = False
            data = self._without_rest(data)
        if not self._key_lines and _BEGIN not in data:
            return self._redactor.bytes(data)
        parts = []
        for line in data.splitlines(keepends=True):
            if self._key_lines:
                self._key_lines += 1
                if _END in line or self._key_lines > _MOST_KEY_LINES:
                    self._key_lines = 0
                continue
            if b"-----BEGIN " in line and _BEGIN in line and _END not in line:
                self._key_lines = 1
                end = b"" if line.endswith(b"\r") else b"\n"
                parts.append(line[: line.index(b"-----BEGIN ")] + _MARK + end)
            else:
                parts.append(self._redactor.bytes(line))
        return b"".join(parts)

    def _long(self) -> bytes:
        """A part of a line without an end: cut where no word is open, if there is such a place."""
        edge = len(self._held) - self._HOLD
        at = max(self._held.rfind(char, 0, edge) for char in (b" ", b"\t")) + 1
        if at <= self.LONGEST // 2:  # one word of 32 KiB and more: its rest goes where it goes
            at = edge
        ready, self._held = bytes(self._held[:at]), self._held[at:]
        out = self._lines(ready)
        if self._redactor.bytes(ready + bytes(self._held)) != out + self._redactor.bytes(
            bytes(self._held)
        ):
            self._cut = True  # a secret goes over the cut: leave the rest of this line out
            return out[: max(0, len(out) - self._HOLD)] + _MARK
        return out

    def _without_rest(self, data: bytes) -> bytes:
        for at, byte in enumerate(data):
            if byte in b"\r\n \t":
                return data[at:]
        self._cut = True
        return b""
