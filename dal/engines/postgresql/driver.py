"""Opens, resets and closes connections for the pool."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from dal.engines.postgresql.codecs import set_codecs
from dal.engines.postgresql.connection import Connection, Epoch
from dal.engines.postgresql.errors import translated
from dal.errors import CannotOpen, ConfigurationError

OPEN_SECONDS = 10.0  # for everything from the socket to the first statement

# All that a statement can leave behind in a session, but the statements prepared on it: those are ours.
RESET = (
    "CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; UNLISTEN *; "
    "SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is and how to log in.

    Attributes:
        hosts: A name or an address, or the folders in which the Unix socket may be.
        tls: What verifies the server; None for a plain connection.
        statement_cache: Statements that stay prepared on a connection; 0 for none, and for a server behind
            a proxy that lends its sessions by the transaction.
    """

    hosts: tuple[str, ...]
    port: int
    database: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    statement_cache: int = 256
    application_name: str = "dal"

    @property
    def shares_sessions(self) -> bool:
        """True behind a proxy: each transaction may be in another session, which others use too."""
        return self.statement_cache == 0

    def __str__(self) -> str:
        return f"{self.database} on {self.hosts[0]}:{self.port}"


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # it comes without types
    """asyncpg's own, which makes no noise about cancel requests that the process does not stay for."""

    def _cancel_current_command(self, *args: Any) -> None:
        super()._cancel_current_command(*args)
        for task in self._cancellations:
            task._log_destroy_pending = False

    async def _cancel(self, *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            await super()._cancel(*args)


class PostgresDriver:
    """What the pool asks of asyncpg; `Driver` in `dal.engines.pool` says what each method does.

    Args:
        address: Where to connect.
        exact: Set the codecs of `dal.engines.postgresql.codecs`.
        settings: Settings of the session, beside those that every session gets.
    """

    def __init__(
        self, address: Address, *, exact: bool = True, settings: dict[str, str] | None = None
    ) -> None:
        self._address = address
        self._exact = exact
        self._epoch = Epoch()
        self._settings = {
            "application_name": address.application_name,
            "standard_conforming_strings": "on",  # the scanner of the query files relies on it
            "TimeZone": "UTC",
            # Those above are kept for each client by pgbouncer; it refuses any other.
            **({} if address.shares_sessions else settings or {}),
        }

    async def open(self) -> Connection:
        """See `Driver.open`."""
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                return await self._opened()
        except TimeoutError as error:
            raise CannotOpen(
                f"the server of {self._address} did not answer within {OPEN_SECONDS:g} seconds", sent=False
            ) from error

    def is_open(self, connection: Connection) -> bool:
        """See `Driver.is_open`."""
        return not connection.raw.is_closed()

    def is_clean(self, connection: Connection) -> bool:
        """See `Driver.is_clean`."""
        return not connection.raw.is_closed() and not connection.raw.is_in_transaction()

    async def check(self, connection: Connection) -> None:
        """See `Driver.check`."""
        await connection.run_text("SELECT 1")

    async def reset(self, connection: Connection) -> None:
        """See `Driver.reset`; behind a proxy it would reach any session but the one that was used."""
        if not self._address.shares_sessions:
            await connection.run_text(RESET)

    async def close(self, connection: Connection) -> None:
        """See `Driver.close`; the driver sends the cancel request if a call was cancelled."""
        await connection.raw.close()

    def abort(self, connection: Connection) -> None:
        """See `Driver.abort`."""
        connection.raw.terminate()

    async def _opened(self) -> Connection:
        address = self._address
        try:
            raw = await asyncpg.connect(
                host=list(address.hosts),
                port=address.port,
                user=address.user,
                password=address.password,
                database=address.database,
                ssl=address.tls or False,
                direct_tls=False,
                target_session_attrs="any",
                timeout=2 * OPEN_SECONDS,
                statement_cache_size=address.statement_cache,
                # `Connection` keeps its own; the driver's would outlive a change of the schema.
                max_cacheable_statement_size=1 if self._exact else 0,
                server_settings=self._settings,
                connection_class=_Connection,
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            raise translated(error, opening=True) from error
        try:
            await self._prepare(raw)
        except BaseException as error:
            raw.terminate()
            if isinstance(error, (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                raise translated(error, opening=True) from error
            raise
        return Connection(raw, address.statement_cache, self._epoch)

    async def _prepare(self, raw: asyncpg.Connection[asyncpg.Record]) -> None:
        encoding = raw.get_settings().server_encoding
        if encoding != "UTF8":
            raise ConfigurationError(
                f"the database {self._address} is encoded in {encoding}; create it with ENCODING 'UTF8'"
            )
        if self._address.shares_sessions:
            # When it asks for a type the driver turns it off and on again: that may be in two sessions.
            raw._server_caps = raw._server_caps._replace(jit=False)
        if self._exact:
            await set_codecs(raw)
