"""Filter expressions in the syntax that MLflow's users know, compiled to SQL with bound values.

    params.lr = '0.1' and (metrics.acc > 0.9 or tags.stage in ('a', 'b')) and not path like 'raw/%'

A parameter is compared as text with a text, as in MLflow, and as a number with a number. A key that
a run does not have fulfils no comparison, `!=` neither; `is null` tells that it is not there. A run
has many paths: `=` asks for one of them, `!=` and `not` for none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from mlver.errors import UsageError
from mlver.lineage import filter_keys as keys
from mlver.lineage.filter_keys import Key
from mlver.lineage.filter_words import END, KEY, NUMBER, SIGN, TEXT, WORD, Token, words, wrong
from mlver.lineage.run_rows import milliseconds

_SIGNS = ("=", "==", "!=", "<>", ">", ">=", "<", "<=")
_DEEPEST, _MOST_VALUES = 100, 1000


class Sql(NamedTuple):
    """A piece of SQL over a row `r` of runs, and the values that it binds."""

    text: str
    values: tuple[Any, ...] = ()


def compile_filter(expression: str) -> Sql:
    """The condition that an expression states. Raises UsageError that names the place."""
    parser = _Parser(expression)
    return parser.whole() if expression.strip() else Sql("1")


def compile_order(names: Sequence[str]) -> Sql:
    """What to sort by: `metrics.acc desc`, `-metrics.acc`, `started`; runs without the value last,
    the newest first among equals. Raises UsageError."""
    parts, values = [], []
    for text in names:
        name, down = _direction(text)
        key = parse_key(name, text)
        if key.kind == keys.PATH:
            raise wrong(text, 0, "a run has many paths, so there is no order by them")
        for piece in _sortable(key):
            parts.append(f"{piece.text} is null, {piece.text}{' desc' if down else ''}")
            values += [*piece.values, *piece.values]
    return Sql(", ".join([*parts, "r.start_ms desc", "r.num desc"]), tuple(values))


def parse_key(name: str, shown: str = "") -> Key:
    """The key that a person writes for a column or a sort. Raises UsageError."""
    tokens = words(name)
    parser = _Parser(name)
    key = parser.key()
    if tokens and parser.peek().kind != END:
        raise wrong(shown or name, parser.peek().at, "it is no single key")
    return key


def _direction(text: str) -> tuple[str, bool]:
    text = text.strip()
    if text.startswith("-"):
        return text[1:], True
    name, _, last = text.rpartition(" ")
    if name and last.lower() in ("asc", "desc"):
        return name, last.lower() == "desc"
    return text, False


def _sortable(key: Key) -> list[Sql]:
    if key.entity == keys.PARAM:  # numbers by their value, before texts
        of = "from params p where p.key = ? and p.run = r.num)"
        return [
            Sql(f"(select p.number {of}", (key.name,)),
            Sql(f"(select p.text {of}", (key.name,)),
        ]
    if key.entity:
        column = "number" if key.entity == keys.METRIC else "text"
        table = key.entity
        sql = f"(select t.{column} from {table} t where t.key = ? and t.run = r.num)"
        return [Sql(sql, (key.name,))]
    return [Sql(f"nullif({keys.ATTRIBUTES[key.name][1]}, '')")]


class _Parser:
    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens = words(expression)
        self.at = self.values = 0

    # -- words -------------------------------------------------------------------------------

    def peek(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += token.kind != END
        return token

    def takes(self, *spelled: str) -> bool:
        """Take a keyword or sign if it is next."""
        token = self.peek()
        if token.kind in (WORD, SIGN) and token.text.lower() in spelled:
            self.at += 1
            return True
        return False

    def wrong(self, why: str, token: Token | None = None) -> UsageError:
        return wrong(self.expression, (token or self.peek()).at, why)

    # -- grammar -----------------------------------------------------------------------------

    def whole(self) -> Sql:
        found = self.either(0)
        if self.peek().kind != END:
            raise self.wrong("expected `and`, `or`, or the end")
        return found

    def either(self, depth: int) -> Sql:
        return self._chain("or", lambda: self._chain("and", lambda: self.one(depth)))

    def _chain(self, word: str, part: Any) -> Sql:
        found = [part()]
        while self.takes(word):
            found.append(part())
        if len(found) == 1:
            return found[0]  # type: ignore[no-any-return]
        text = f" {word} ".join(sql.text for sql in found)
        return Sql(f"({text})", tuple(value for sql in found for value in sql.values))

    def one(self, depth: int) -> Sql:
        if depth > _DEEPEST:
            raise self.wrong("it nests too deep")
        if self.takes("not"):
            inner = self.one(depth + 1)
            # What SQL cannot tell (null) is not fulfilled, so its contrary is.
            return Sql(f"not coalesce({inner.text}, 0)", inner.values)
        if self.takes("("):
            found = self.either(depth + 1)
            if not self.takes(")"):
                raise self.wrong("expected `)`")
            return found
        return self.comparison()

    def comparison(self) -> Sql:
        key = self.key()
        if self.takes("is"):
            no = self.takes("not")
            if not self.takes("null"):
                raise self.wrong("expected `null`, or `not null`")
            return _null(key, no)
        start = self.peek()
        no = self.takes("not")
        if self.takes("like", "ilike"):
            fold = self.tokens[self.at - 1].text.lower() == "ilike"
            return self._like(key, no, fold)
        if self.takes("in"):
            return self._among(key, no)
        sign = self.take()
        if no or sign.kind != SIGN or sign.text not in _SIGNS:
            raise self.wrong("expected = != > >= < <= LIKE ILIKE IN, NOT, or IS NULL", start)
        value = self.take()
        sign_text = {"==": "=", "<>": "!="}.get(sign.text, sign.text)
        return self._compare(key, sign_text, self._value(key, value))

    def key(self) -> Key:
        """A key: a word, or an entity, a dot and a quoted name."""
        token = self.take()
        if token.kind in (WORD, KEY) or token.is_key:
            entity = token.text.removesuffix(".")
            is_entity = token.kind == WORD and (entity in keys.ENTITIES or entity in keys.OWN)
            dotted = token.text.endswith(".") or self.peek().text == "."
            if is_entity and dotted:
                if not token.text.endswith("."):
                    self.take()
                name = self.take()
                if name.kind in (KEY, WORD) or name.is_key:
                    if entity in keys.ENTITIES:
                        return Key(keys.ENTITIES[entity], name.text)
                    token = name
            found = keys.parse(token.text)
            if found is not None:
                return found
        raise self.wrong(keys.expected(), token)

    # -- values ------------------------------------------------------------------------------

    def _value(self, key: Key, token: Token) -> Any:
        """A literal as what the key is compared with: float, or str."""
        self.values += 1
        if self.values > _MOST_VALUES:
            raise self.wrong(f"more than {_MOST_VALUES} values", token)
        is_param = key.entity == keys.PARAM
        if is_param and token.kind == WORD and token.text.lower() in ("true", "false"):
            return token.text.lower()
        if token.kind not in (TEXT, NUMBER):
            raise self.wrong("expected a value: a number, or a text in quotes", token)
        number = float(token.text) if token.kind == NUMBER else None
        if key.kind == keys.NUMBER:
            if number is None:
                raise self.wrong(f"{key.title} is compared with a number, without quotes", token)
            return number
        if key.kind == keys.TIME:
            when = number if number is not None else milliseconds(token.text)
            if when is None:
                raise self.wrong("a time is like '2026-01-31' or '2026-01-31T12:00'", token)
            return when
        if number is not None and is_param:
            return number
        if number is not None:
            raise self.wrong(f"{key.title} is compared with a text, in quotes", token)
        return token.text.lower() if key.kind in (keys.STATUS, keys.COMMIT) else token.text

    def _compare(self, key: Key, sign: str, value: Any) -> Sql:
        if key.kind == keys.PATH:
            found = _paths(key, f"u.path {'=' if sign == '!=' else sign} ?", (value,))
            return Sql(f"not {found.text}", found.values) if sign == "!=" else found
        if key.kind == keys.COMMIT and sign in ("=", "!="):  # a beginning names it, as git lets one
            return _of(key, f"substr({{}}, 1, ?) {sign} ?", (len(value), value))
        return _of(key, f"{{}} {sign} ?", (value,), number=isinstance(value, float))

    def _like(self, key: Key, no: bool, fold: bool) -> Sql:
        token = self.take()
        if token.kind != TEXT:
            raise self.wrong("expected a pattern in quotes, with % and _", token)
        if key.kind in (keys.NUMBER, keys.TIME):
            raise self.wrong(f"{key.title} is no text", token)
        test = "fold({}) like fold(?)" if fold else "{} like ?"
        if key.kind == keys.PATH:
            found = _paths(key, test.format("u.path"), (token.text,))
            return Sql(f"{'not ' if no else ''}{found.text}", found.values)
        return _of(key, test.replace(" like", " not like") if no else test, (token.text,))

    def _among(self, key: Key, no: bool) -> Sql:
        start = self.peek()
        if not self.takes("("):
            raise self.wrong("expected `(`")
        values = [self._value(key, self.take())]
        while self.takes(","):
            values.append(self._value(key, self.take()))
        if not self.takes(")"):
            raise self.wrong("expected `,` or `)`")
        numbers = [isinstance(value, float) for value in values]
        if key.entity == keys.PARAM and any(numbers) != all(numbers):
            raise self.wrong("texts and numbers cannot be mixed", start)
        marks = ",".join("?" * len(values))
        if key.kind == keys.PATH:
            found = _paths(key, f"u.path in ({marks})", tuple(values))
            return Sql(f"{'not ' if no else ''}{found.text}", found.values)
        test = f"{{}} {'not ' if no else ''}in ({marks})"
        return _of(key, test, tuple(values), number=all(numbers))


def _of(key: Key, test: str, values: tuple[Any, ...], number: bool = False) -> Sql:
    """`test`, in which {} stands for the key's value."""
    if not key.entity:
        return Sql(f"({test.format(keys.ATTRIBUTES[key.name][1])})", values)
    column = (
        "t.number"
        if key.entity == keys.METRIC or (key.entity == keys.PARAM and number)
        else "t.text"
    )
    sql = f"r.num in (select t.run from {key.entity} t where t.key = ? and {test.format(column)})"
    return Sql(sql, (key.name, *values))


def _paths(key: Key, test: str, values: tuple[Any, ...]) -> Sql:
    which = keys.ATTRIBUTES[key.name][1]
    return Sql(f"(r.num in (select u.run from uses u where {which} and {test}))", values)


def _null(key: Key, no: bool) -> Sql:
    if key.kind == keys.PATH:
        found = _paths(key, "1", ())
        return found if no else Sql(f"not {found.text}", found.values)
    if key.entity in (keys.PARAM, keys.METRIC, keys.TAG):
        test = "t.number is not null" if key.entity == keys.METRIC else "1"
        found = _of(key, test, ())
        return found if no else Sql(f"not {found.text}", found.values)
    return Sql(f"nullif({keys.ATTRIBUTES[key.name][1]}, '') is {'not ' if no else ''}null")
