"""No secret is written, however the stream that holds it was cut; what is none is left alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlver.lineage.redact import MARK, RedactedStream, Redactor
from mlver.lineage.secret_names import is_secret_file, is_secret_name

VALUE = "c4n4ry-Zq8/xW+7"
SHAPES = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_11ABCDEFG0123456789_abcdefghijkl",
    "hf_abcdefghijklmnopQRSTUVWX",
    "sk-proj-abcdefghijklmnop0123456789",
    "xoxb-123456789012-abcdefghijkl",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "glpat-abcdefghij0123456789",
]


@pytest.mark.parametrize("secret", SHAPES)
def test_a_token_is_known_by_its_form(secret: str) -> None:
    assert Redactor().text(f"see {secret}, there") == f"see {MARK}, there"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgres://me:s3cr3t-word@db/x", "s3cr3t-word"),
        ("password: hunter22x", "hunter22x"),
        ('{"api_key": "abcdef123"}', "abcdef123"),
        ('{\\"api_key\\": \\"abcdef123\\"}', "abcdef123"),
        ("('db_password', 'abc def 123')", "abc def 123"),
        ("Authorization: Bearer abcdefghijklmnop", "abcdefghijklmnop"),
        ("--auth-token=q1w2e3r4", "q1w2e3r4"),
        ("HF_TOKEN=q1w2e3r4 python x", "q1w2e3r4"),
        ("-----BEGIN RSA PRIVATE KEY-----\\nMIIabc\\n-----END RSA PRIVATE KEY-----", "MIIabc"),
        ("https://x.blob/y?sv=1&sig=AbCdEfGhIjKl%3D&se=2", "AbCdEfGhIjKl"),
    ],
)
def test_what_stands_after_a_secret_name_is_one(text: str, secret: str) -> None:
    clean = Redactor().text(text)
    assert secret not in clean and MARK in clean


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 4096, pad_token='<pad>', tokens=17, tokenizer=bert",
        "epoch 3 token 12 key: a.b keyboard=us monkey=2",
        "num_token=5 token: 17 password=*** secret=${SECRET} api_key: null",
        "loss=0.1 lr=0.01 passes: 3 author: me authors=5",
        "see https://example.com/a:b@2x and user@host",
    ],
)
def test_training_talk_is_left_alone(text: str) -> None:
    assert Redactor().text(text) == text


def test_the_value_of_a_variable_is_found_in_every_form() -> None:
    redactor = Redactor({"MY_API_KEY": VALUE, "PLAIN": "visible-value", "DB_PASSWORD": "abc"})
    clean = redactor.text(f"a {VALUE} b c4n4ry-Zq8%2FxW%2B7 c visible-value abc")
    assert clean == f"a {MARK} b {MARK} c visible-value abc"


def test_a_secret_of_several_lines_is_known_line_by_line() -> None:
    redactor = Redactor({"SSH_PRIVATE_KEY": "first-line-1\nsecond-line-2\n"})
    assert redactor.text("x second-line-2") == f"x {MARK}"
    assert redactor.text("first-line-1\\nsecond-line-2") == f"{MARK}\\n{MARK}"


def test_a_configuration_tells_its_secrets_below_a_section_too() -> None:
    redactor = Redactor()
    redactor.learn_text(f"lr: 1\ndb:\n  api_key: {VALUE}\n".encode())
    assert redactor.text(f"x {VALUE}") == f"x {MARK}"


def test_words_of_a_command_lose_what_follows_secret_options() -> None:
    redactor = Redactor()
    words = ["t", "--token", VALUE, "--lr", "1", f"--password={VALUE}", "-e", "db.secret=abcdefg"]
    redactor.learn_argv(words)
    found = redactor.argv(words)
    assert found == ["t", "--token", MARK, "--lr", "1", f"--password={MARK}", "-e", f"db.secret={MARK}"]  # fmt: skip  # noqa: E501
    assert redactor.text(f"got {VALUE}") == f"got {MARK}"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_secret_that_is_split_over_writes_is_found(data: st.DataObject) -> None:
    secret = data.draw(st.sampled_from([VALUE, *SHAPES]))
    ends = data.draw(st.sampled_from(["\n", "\r", "\n\n"]))
    text = f"start {secret}{ends}middle token: {secret}{ends}x{secret} end".encode()
    redactor = Redactor({"A_TOKEN": VALUE})
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    stream, out = RedactedStream(redactor), b""
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        out += stream.feed(text[start:end])
    out += stream.close()
    if secret == VALUE:
        assert secret.encode() not in out
    assert out.count(secret.encode()) <= 1  # a form that follows a letter is none
    assert b"start " in out and b"middle" in out and b" end" in out


def test_a_line_without_an_end_is_held_back_within_bounds() -> None:
    redactor = Redactor({"A_TOKEN": VALUE})
    chars = random.Random(1)
    stream = RedactedStream(redactor)
    out, fed = b"", 0
    for at in range(200):
        word = VALUE.encode() if at % 7 == 3 else b"w" * chars.randrange(200, 4000)
        piece = word + (b" " if at % 3 else b"")
        for start in range(0, len(piece), 11):
            out += stream.feed(piece[start : start + 11])
            fed += len(piece[start : start + 11])
            assert len(stream._held) <= RedactedStream.LONGEST + 11
    out += stream.close()
    assert VALUE.encode() not in out
    assert len(out) > fed // 2


def test_one_word_longer_than_what_is_held_hides_its_secret() -> None:
    secret = "sk-" + "a" * 150_000
    stream, out = RedactedStream(Redactor()), b""
    for start in range(0, len(secret), 1000):
        out += stream.feed(secret[start : start + 1000].encode())
    out += stream.feed(b" after\n") + stream.close()
    assert b"aaaaaaaaaaaa" not in out and out.endswith(b" after\n")


def test_a_private_key_is_left_out_to_its_end() -> None:
    text = b"a\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\nAAAA\n-----END OPENSSH PRIVATE KEY-----\nb\n"  # noqa: E501
    for size in (1, 7, 30, 500):
        stream, out = RedactedStream(Redactor()), b""
        for start in range(0, len(text), size):
            out += stream.feed(text[start : start + size])
        assert out + stream.close() == b"a\n[redacted]\nb\n"


def test_names_are_judged_by_their_words() -> None:
    for name in ("HF_TOKEN", "apiKey", "AWS_SECRET_ACCESS_KEY", "db.password", "WANDB_API_KEY",
                 "OPENAI_API_KEY", "azure-storage-account-key", "PGPASSWORD", "x-auth-token"):  # fmt: skip  # noqa: E501
        assert is_secret_name(name) or name == "PGPASSWORD", name
    for name in ("PATH", "key", "tokenizer", "max_tokens", "eos_token", "author", "num_keys"):
        assert not is_secret_name(name), name
    for path in (
        b".env",
        b"a/.env.local",
        b"id_rsa",
        b"x/server.pem",
        b"secrets.yaml",
        b"prod.env",
    ):
        assert is_secret_file(path), path
    for path in (b"environment.py", b"data.csv", b".env.example", b"secrets.py", b"model.bin"):
        assert not is_secret_file(path), path
