"""A TCP proxy in a process of its own that does to the traffic what a test tells it.

Run as a program it forwards to the port it is given, takes a command a line from standard input, and answers
each with ``ok``; it ends with its input. `FaultProxy` starts it and talks to it. It imports the standard
library alone.

    freeze, thaw        accept connections and bytes, and pass nothing on; go on
    drop                lose every connection
    mute                pass nothing on any more on the connections that there are; new ones work
    refuse, listen      close the port; open it again
    blackhole           let no connection come about, and answer no attempt; `listen` ends it
    delay SECONDS       pass everything on that much later, in both directions
    drip                pass answers on one byte a second
    stall BYTES         freeze once so many bytes of answers have passed
    cut BYTES           lose a connection once so many bytes of answers have passed; one connection
    cut-requests BYTES  the same of requests
    clear               no delay, drip, stall or cut; go on
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from types import TracebackType
from typing import Self


class FaultProxy:
    """The proxy's process, in front of *target*; it ends with the block.

    Attributes:
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def tell(self, command: str) -> None:
        """Have *command* done before this returns."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        assert said == "ok\n", f"the proxy said {said!r} to {command!r}"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-S", __file__, str(self._target)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process is not None
        with self._process:  # closes the pipes, and waits
            self._process.kill()


class _Line:
    """One connection, seen from both ends."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.is_mute = False

    def lose(self) -> None:
        self.client.transport.abort()
        self.server.transport.abort()


class _Proxy:
    def __init__(self, target: int) -> None:
        self._target = target
        self._lines: set[_Line] = set()
        self._server: asyncio.Server | None = None
        self._hole: list[socket.socket] = []
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._delay = 0.0
        self._drips = False
        self._stalls = False
        self._left: dict[str, int | None] = {"answers": None, "requests": None}
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def do(self, name: str, argument: str = "") -> None:
        match name:
            case "freeze":
                self._flowing.clear()
            case "thaw":
                self._flowing.set()
            case "drop":
                for line in list(self._lines):
                    line.lose()
            case "mute":
                for line in self._lines:
                    line.is_mute = True
            case "refuse":
                await self._close()
            case "listen":
                await self._close()
                await self.listen()
            case "blackhole":
                await self._close()
                self._dig()
            case "delay":
                self._delay = float(argument)
            case "drip":
                self._drips = True
            case "stall":
                self._stalls = True
                self._left["answers"] = int(argument)
            case "cut":
                self._left["answers"] = int(argument)
            case "cut-requests":
                self._left["requests"] = int(argument)
            case "clear":
                self._delay, self._drips, self._stalls = 0.0, False, False
                self._left = dict.fromkeys(self._left)
                self._flowing.set()
            case _:
                raise ValueError(name)

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=1000)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for hole in self._hole:
            hole.close()
        self._hole.clear()

    def _dig(self) -> None:
        """Listen without accepting, with a full line: the system then ignores who wants to connect."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(0)
        self._hole = [listener]
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._hole.append(filler)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        line = _Line(writer, server_writer)
        self._lines.add(line)
        for source, sink, kind in (
            (reader, server_writer, "requests"),
            (server_reader, writer, "answers"),
        ):
            queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1000)
            for work in (self._take(source, queue), self._pass_on(queue, sink, kind, line)):
                task = asyncio.create_task(work)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _take(self, source: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
        data = b" "
        while data:
            try:
                data = await source.read(65536)
            except OSError:
                data = b""
            await queue.put((asyncio.get_running_loop().time() + self._delay, data))

    async def _pass_on(
        self, queue: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter, kind: str, line: _Line
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                await self._flowing.wait()
                if not data:
                    break
                if line.is_mute:
                    continue
                while data:
                    piece, data = self._split(data, kind)
                    if piece:
                        sink.write(piece)
                        await sink.drain()
                    if self._left[kind] == 0:
                        self._left[kind] = None
                        if not self._stalls:
                            await self._end(sink, line)
                            return
                        self._flowing.clear()
                        await self._flowing.wait()
                    elif self._drips and kind == "answers":
                        await asyncio.sleep(1)
        self._lines.discard(line)
        line.lose()

    async def _end(self, sink: asyncio.StreamWriter, line: _Line) -> None:
        """Lose *line* once the system has taken what was written to *sink*: abort would overtake it."""
        sink.write_eof()
        await asyncio.sleep(0.002)
        self._lines.discard(line)
        line.lose()

    def _split(self, data: bytes, kind: str) -> tuple[bytes, bytes]:
        """Return what of *data* passes now, and the rest."""
        length = len(data)
        if self._drips and kind == "answers":
            length = 1
        left = self._left[kind]
        if left is not None:
            length = min(length, left)
            self._left[kind] = left - length
        return data[:length], data[length:]


async def _main(target: int) -> None:
    proxy = _Proxy(target)
    await proxy.listen()
    _say(str(proxy.port))
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    while line := await commands.readline():
        await proxy.do(*line.decode().split())
        _say("ok")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
