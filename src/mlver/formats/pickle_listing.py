"""What a pickle holds, from the list of its opcodes: nothing is imported, called or built.

The opcodes are those that `pickletools.genops` lists. A stack of plain values is kept beside: a
name stands for what would be imported (`Name`), a `Call` for what would be called. So tensors,
parameters and settings are seen, whatever the pickle would do if somebody loaded it.
"""

from __future__ import annotations

import io
import pickletools
from typing import Any

from mlver.formats.base import NotThisFormat

_MOST_OPCODES = 5_000_000
LARGEST = 512 * 1024 * 1024


class Name:
    """Something that a pickle would import."""

    def __init__(self, module: str, name: str) -> None:
        self.path = f"{module}.{name}"


class Call:
    """Something that a pickle would make by a call; `state` and `items` are put into it after."""

    def __init__(self, what: Any, args: Any) -> None:
        self.what, self.args, self.state = what, args, None
        self.items: dict[Any, Any] = {}
        self.parts: list[Any] = []

    @property
    def path(self) -> str:
        return self.what.path if isinstance(self.what, Name) else "?"


class Persistent:
    """What a pickle refers to outside of itself: the storages of PyTorch."""

    def __init__(self, key: Any) -> None:
        self.key = key


_MARK = object()
_PUSHED = {
    "BINBYTES", "BINBYTES8", "BINFLOAT", "BININT", "BININT1", "BININT2", "BINSTRING",
    "BINUNICODE", "BINUNICODE8", "BYTEARRAY8", "FLOAT", "INT", "LONG", "LONG1", "LONG4",
    "SHORT_BINBYTES", "SHORT_BINSTRING", "SHORT_BINUNICODE", "STRING", "UNICODE",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


def listing(data: bytes) -> tuple[Any, int]:
    """(what the first pickle in `data` stands for, where it ends). Raises NotThisFormat."""
    machine = _Machine()
    stream = io.BytesIO(data)
    try:
        for count, (opcode, argument, _place) in enumerate(pickletools.genops(stream)):
            if count > _MOST_OPCODES:
                raise NotThisFormat("its pickle is too long to be listed")
            if opcode.name == "STOP":
                return machine.stack.pop(), stream.tell()
            machine.step(opcode.name, argument)
    except NotThisFormat:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise NotThisFormat("it is no pickle that can be listed", why=str(error)[:200]) from error
    raise NotThisFormat("it is no pickle that can be listed", why="it has no end")


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def _to_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise IndexError("a mark is missing")
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _PUSHED:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name == "POP":
            stack.pop()
        elif name == "POP_MARK":
            self._to_mark()
        elif name == "DUP":
            stack.append(stack[-1])
        elif name not in ("PROTO", "FRAME") and not (
            self._container(name) or self._made(name, argument)
        ):
            raise NotThisFormat("its pickle has an opcode that is not listed here", why=name)

    def _container(self, name: str) -> bool:
        stack = self.stack
        if name in ("EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"):
            stack.append(() if name == "EMPTY_TUPLE" else {} if name == "EMPTY_DICT" else [])
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            size = int(name[-1])
            items = stack[-size:]
            if len(items) < size:
                raise IndexError("the stack is empty")
            stack[-size:] = [tuple(items)]
        elif name == "TUPLE":
            stack.append(tuple(self._to_mark()))
        elif name in ("LIST", "FROZENSET"):
            stack.append(self._to_mark())
        elif name == "DICT":
            pairs = self._to_mark()
            stack.append({})
            _set(stack[-1], pairs)
        elif name == "APPEND":
            value = stack.pop()
            _extend(stack[-1], [value])
        elif name in ("APPENDS", "ADDITEMS"):
            items = self._to_mark()
            _extend(stack[-1], items)
        elif name == "SETITEM":
            pair = stack[-2:]
            del stack[-2:]
            _set(stack[-1], pair)
        elif name == "SETITEMS":
            items = self._to_mark()
            _set(stack[-1], items)
        else:
            return False
        return True

    def _made(self, name: str, argument: Any) -> bool:
        stack = self.stack
        if name == "GLOBAL":
            module, _, attribute = str(argument).partition(" ")
            stack.append(Name(module, attribute))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(Name(str(module), str(attribute)))
        elif name in ("REDUCE", "NEWOBJ"):
            args, what = stack.pop(), stack.pop()
            stack.append(Call(what, args))
        elif name == "NEWOBJ_EX":
            kwargs, args, what = stack.pop(), stack.pop(), stack.pop()
            stack.append(Call(what, (args, kwargs)))
        elif name in ("OBJ", "INST"):
            items = self._to_mark()
            what = Name(*str(argument).split(" ", 1)) if name == "INST" else items.pop(0)
            stack.append(Call(what, tuple(items)))
        elif name == "BUILD":
            state = stack.pop()
            if isinstance(stack[-1], Call):
                stack[-1].state = state
        elif name in ("PERSID", "BINPERSID"):
            stack.append(Persistent(argument if name == "PERSID" else stack.pop()))
        elif name in ("EXT1", "EXT2", "EXT4"):
            stack.append(Name("copyreg extension", str(argument)))
        elif name in ("NEXT_BUFFER", "READONLY_BUFFER"):
            if name == "NEXT_BUFFER":
                stack.append(Persistent("buffer"))
        else:
            return False
        return True


def _extend(target: Any, items: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(items)
    elif isinstance(target, Call):
        target.parts.extend(items)


def _set(target: Any, items: list[Any]) -> None:
    into = target.items if isinstance(target, Call) else target
    if isinstance(into, dict):
        for key, value in zip(items[::2], items[1::2], strict=True):
            into[key if isinstance(key, str | int | float | bool | None) else repr_of(key)] = value


def repr_of(key: Any) -> str:
    """A key that is no plain value, as text."""
    return repr(key)[:200] if isinstance(key, tuple | bytes) else type(key).__name__
