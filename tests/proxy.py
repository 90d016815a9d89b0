"""A TCP proxy in front of a server that loses the connection, or goes silent, where a test wants it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class _Line:
    """One connection, seen from both ends."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.doomed = False

    def lose(self) -> None:
        self.client.transport.abort()
        self.server.transport.abort()


class Proxy:
    """Forwards to *port* of 127.0.0.1; in a block it listens on `port`.

    Attributes:
        chunks: Pieces of data that came from the server since the last `arm`.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._drop_at: int | None = None
        self._silent_after: bytes | None = None
        self.port = 0
        self.chunks = 0

    def arm(self, drop_at: int) -> None:
        """Lose each connection on which the *drop_at*-th piece from the server, or a later one, comes."""
        self.chunks = 0
        self._drop_at = drop_at

    def disarm(self) -> None:
        """Pass everything on."""
        self._drop_at = None
        self._silent_after = None

    def lose_answer_to(self, text: bytes) -> None:
        """Lose a connection as soon as the server answers what follows *text*."""
        self._silent_after = text

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, server_writer}
        line = _Line(writer, server_writer)
        for pair in ((reader, server_writer), (server_reader, writer)):
            task = asyncio.create_task(self._pump(*pair, line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: _Line) -> None:
        try:
            while data := await reader.read(65536):
                if writer is line.client:
                    self.chunks += 1
                    if line.doomed or (self._drop_at is not None and self.chunks >= self._drop_at):
                        line.lose()
                        return
                elif self._silent_after is not None and self._silent_after in data:
                    line.doomed = True
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
