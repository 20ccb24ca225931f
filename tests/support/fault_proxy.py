"""A proxy on TCP that spoils an S3 connection on purpose. Standard library only.

    with FaultProxy("127.0.0.1", 7480) as proxy:
        proxy.latency, proxy.rate = 0.02, 50e6            # 20 ms each way, 50 MB/s each way
        proxy.fault("503", r"PUT .*/packs/", times=2)     # the next two such requests
        proxy.fault("cut_up", r"PUT ", after=1_000_000)   # reset after so many bytes of it
        ...
        assert proxy.hits("503") == 2

Kinds, each for one request, which a pattern on its request line chooses:

    503            answered here with `SlowDown`; the server never sees it
    500            the same with `InternalError`
    cut_up         `after` bytes of the request reach the server, then both sides are reset
    cut_down       `after` bytes of the answer reach the client, then both sides are reset
    drop_response  the server carries the request out; the client sees a reset and no answer
    hang           swallowed, no answer ever (a read timeout in the client)
    corrupt_up     the request's byte number `after` is inverted, counted from the request line
    corrupt_down   the same in the answer

    proxy.trap = Trap(act, number=3, when="after")    # at the third request from now ...

Signatures stay right: they cover the Host header, which goes through as the client sent it. Over
https only latency, rate and `refuse` work, since request lines cannot be seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_REQUEST = re.compile(rb"(?:GET|PUT|POST|HEAD|DELETE) \S+ HTTP/1\.[01]\r\n")
_ERRORS = {
    "500": ("500 Internal Server Error", "InternalError"),
    "503": ("503 Slow Down", "SlowDown"),
}


@dataclass
class _Fault:
    kind: str
    match: re.Pattern[str]
    times: int
    after: int
    skip: int


@dataclass
class Trap:
    """`act` is called once, from a thread, at the `number`th request that matches `match`: "before"
    the server sees anything of it; "during" it, when its head has gone up and not its body; or
    "after" the server has answered, and none of the answer was passed on. No new request is let
    through until `act` has returned; then every one that waits is reset, and the later ones pass.
    """

    act: Callable[[], None]
    number: int = 1
    when: str = "before"
    match: str = ""
    seen: int = 0
    lines: list[str] = field(default_factory=list)
    sprung: bool = False
    done: threading.Event = field(default_factory=threading.Event)

    def counts(self, line: str) -> bool:
        """Is this request the one?"""
        self.lines.append(line)
        if re.search(self.match, line):
            self.seen += 1
            return self.seen == self.number
        return False


@dataclass
class _Connection:
    """The request that is now under way, and how many bytes of it went each way."""

    client: asyncio.StreamWriter
    fault: _Fault | None = None
    trapped: str = ""
    seen: dict[str, int] = field(default_factory=lambda: {"up": 0, "down": 0})


class FaultProxy:
    """See the module's text. Its methods may be called from any thread."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self.latency, self.rate, self.refuse = 0.0, 0.0, False
        self.log: list[tuple[str, str | None]] = []  # request line, kind of its fault
        self.trap: Trap | None = None
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()

    def fault(
        self, kind: str, match: str = "", *, times: int = 1, after: int = 0, skip: int = 0
    ) -> None:
        """Spoil the next `times` requests whose line matches, after letting `skip` through."""
        with self._lock:
            self._faults.append(_Fault(kind, re.compile(match), times, after, skip))

    def clear(self) -> None:
        """Forget the faults that have not come yet."""
        with self._lock:
            self._faults.clear()

    def hits(self, kind: str | None = None) -> int:
        """How many requests were spoiled."""
        return sum(k == kind if kind else k is not None for _, k in list(self.log))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FaultProxy:
        ready = threading.Event()

        async def serve() -> None:
            self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
            listening = socket.socket()
            # What the kernel takes in would hide a slow line; connections inherit this.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
            listening.bind(("127.0.0.1", 0))
            server = await asyncio.start_server(self._client, sock=listening)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            async with server:
                await self._end.wait()

        self._thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        self._thread.start()
        ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    # -- one connection

    def _choose(self, line: str) -> _Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and fault.match.search(line):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    async def _client(
        self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        if self.refuse:
            return _reset(client)
        try:
            server_reader, server = await asyncio.open_connection(*self._upstream)
        except OSError:
            return _reset(client)
        here = _Connection(client)
        lanes = [
            asyncio.create_task(self._lane(client_reader, server, here, "up")),
            asyncio.create_task(self._lane(server_reader, client, here, "down")),
        ]
        try:
            done, _ = await asyncio.wait(lanes, return_when=asyncio.FIRST_COMPLETED)
            if any(task.exception() for task in done):  # spoiled, or broken from outside
                _reset(client)
                _reset(server)
        except asyncio.CancelledError:
            pass  # the proxy is being closed
        finally:
            for task in lanes:
                task.cancel()
            for writer in (client, server):
                writer.close()

    async def _lane(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        here: _Connection,
        way: str,
    ) -> None:
        """Read, spoil, and pass on no earlier than `latency` after it came in."""
        # 64 pieces of 64 KiB may be in flight.
        line: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(64)
        sender = asyncio.create_task(self._send(line, writer))
        try:
            while True:
                data = await reader.read(65536)
                if way == "up" and (found := _REQUEST.match(data)):
                    text = found.group().decode("latin-1").strip()
                    here.fault, here.seen = self._choose(text), {"up": 0, "down": 0}
                    self.log.append((text, here.fault and here.fault.kind))
                    await self._look_at_trap(here, text)
                elif way == "up" and data and here.trapped == "during":
                    await self._spring()
                if here.trapped == "after" and way == "down" and _is_answer(data):
                    await self._spring()
                if here.fault and data:
                    fault, seen = here.fault, here.seen[way]
                    if way == "up" and fault.kind in _ERRORS:
                        return await _answer(fault.kind, reader, here.client)
                    if way == "up" and fault.kind == "hang":
                        return await _drain(reader)
                    if fault.kind == f"cut_{way}" and seen + len(data) >= fault.after:
                        await line.put((0, data[: fault.after - seen]))
                        await line.put((0, None))
                        await sender
                        raise ConnectionResetError("cut")
                    data = _spoiled(fault, way, seen, data)
                here.seen[way] += len(data)
                if sender.done():
                    sender.result()
                await line.put((time.monotonic() + self.latency, data or None))
                if not data:
                    return await sender
        finally:
            sender.cancel()

    async def _look_at_trap(self, here: _Connection, line: str) -> None:
        """Raises ConnectionResetError for what comes while the trap's `act` is at work."""
        trap = self.trap
        if trap is None or trap.done.is_set():
            here.trapped = ""
            return
        if trap.sprung:
            await asyncio.to_thread(trap.done.wait)
            raise ConnectionResetError("came too late")
        here.trapped = trap.when if trap.counts(line) else ""
        if here.trapped == "before":
            await self._spring()

    async def _spring(self) -> None:
        trap = self.trap
        assert trap is not None
        if not trap.sprung:
            trap.sprung = True
            try:
                await asyncio.to_thread(trap.act)
            finally:
                trap.done.set()
        raise ConnectionResetError("trapped")

    async def _send(
        self, line: asyncio.Queue[tuple[float, bytes | None]], writer: asyncio.StreamWriter
    ) -> None:
        while True:
            due, data = await line.get()
            if data is None:
                return
            await asyncio.sleep(max(0, due - time.monotonic()))
            writer.write(data)
            await writer.drain()
            if self.rate:
                await asyncio.sleep(len(data) / self.rate)


def _is_answer(data: bytes) -> bool:
    return bool(data) and not data.startswith(b"HTTP/1.1 100")


def _spoiled(fault: _Fault, way: str, seen: int, data: bytes) -> bytes:
    """`data` as the other side gets it. Raises ConnectionResetError where it gets nothing."""
    if fault.kind == "drop_response" and way == "down" and _is_answer(data):
        raise ConnectionResetError("answer dropped")
    if fault.kind == f"corrupt_{way}" and seen <= fault.after < seen + len(data):
        spoiled = bytearray(data)
        spoiled[fault.after - seen] ^= 0xFF
        return bytes(spoiled)
    return data


async def _drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


async def _answer(kind: str, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
    status, code = _ERRORS[kind]
    body = f"<Error><Code>{code}</Code><Message>made up by the proxy</Message></Error>".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
    client.write(f"{head}Connection: close\r\n\r\n".encode() + body)
    await client.drain()
    client.write_eof()
    # Take the rest of the request in: closing on unread bytes would reset the answer away.
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_drain(reader), 5)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
