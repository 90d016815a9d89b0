"""One connection: how it is opened, its settings, running a statement, and what is known afterwards.

Values travel inside the text of a statement. What keeps them apart from it: the character set is
utf8mb4, backslashes escape, and the server takes one statement at a time. The first is set here and may
not be changed by a statement; the second is seen in every answer; the third survives a reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from asyncmy import connection as asyncmy_connection
from asyncmy.constants import CLIENT, COMMAND, FIELD_TYPE, SERVER_STATUS
from asyncmy.converters import conversions
from asyncmy.cursors import SSCursor
from asyncmy.errors import InterfaceError, MySQLError, OperationalError
from asyncmy.protocol import MysqlPacket

from dal.engines.mysql.errors import GONE, ends_connection, number_of, opening, translated
from dal.errors import CannotOpen, ConfigurationError, DatabaseError, DataError, StatementRefused

BEGIN = "START TRANSACTION"
BEGIN_READ = "START TRANSACTION READ ONLY"
COMMIT = "COMMIT AND NO CHAIN NO RELEASE"  # whatever completion_type says
ROLLBACK = "ROLLBACK AND NO CHAIN NO RELEASE"

_OPEN_SECONDS = 10.0
_UNLIMITED = str(2**32 - 1)
_NO_MULTI_STATEMENTS = b"\x01\x00"
_SET_OPTION, _RESET_CONNECTION = 0x1B, 0x1F
_LARGEST_PACKET = 0xFFFFFF  # bytes; what is longer comes in pieces
_HEADER = 5  # bytes of a packet that are not the statement's

_SQL_MODE = (
    "STRICT_ALL_TABLES",  # a value that does not fit is an error
    "STRICT_TRANS_TABLES",
    "NO_ZERO_IN_DATE",
    "NO_ZERO_DATE",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "NO_ENGINE_SUBSTITUTION",
    "NO_AUTO_VALUE_ON_ZERO",  # a key of 0 is stored as 0
    "ONLY_FULL_GROUP_BY",  # no column of an arbitrary row of the group
    "PIPES_AS_CONCAT",  # || means what it means in standard SQL
)

_SETTINGS: dict[str, str] = {
    "sql_mode": ",".join(_SQL_MODE),
    "time_zone": "+00:00",
    "autocommit": "1",
    "innodb_lock_wait_timeout": "10",  # seconds; the server's own are 50, and a day
    "lock_wait_timeout": "10",
    "default_storage_engine": "InnoDB",  # tables of others know no transactions
    "foreign_key_checks": "1",
    "unique_checks": "1",
    "net_write_timeout": "600",  # seconds that the reader of a stream may pause
    "group_concat_max_len": str(2**30),  # beyond the server's own a text is cut off in silence
}


@dataclass(frozen=True)
class Address:
    """Where a server is and how to log in; its repr shows no password.

    Attributes:
        host: A name or an address; ``localhost`` is TCP too.
        socket: The path of a Unix socket, in place of host and port.
        tls: What the connection is encrypted and the server verified with; None for a plain one.
    """

    host: str
    port: int
    user: str
    database: str
    password: str = field(default="", repr=False)
    socket: str | None = None
    tls: ssl.SSLContext | None = None


_name = itemgetter(0)  # of a column, in the driver's description


class Answer(NamedTuple):
    """What a statement brings: its first set of rows, and the rows that it matched."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    affected: int


class Connection:
    """A connection to the server.

    Attributes:
        raw: The driver's connection.
        busy: A statement was sent, and the answer to it is not complete.
        committing: That statement is a COMMIT, which is not to be stopped.
        thread_id: What the server calls it.
        max_packet: Bytes that a statement may have.
    """

    __slots__ = (
        "_broken",
        "_poll",
        "_restore",
        "_status",
        "_transport",
        "busy",
        "committing",
        "max_packet",
        "raw",
        "thread_id",
    )

    def __init__(self, raw: Any) -> None:
        """Take over a connection of asyncmy that is logged in; see `opened`."""
        self.raw = raw
        self.busy = False
        self.committing = False
        self.thread_id: int = raw.thread_id()
        self.max_packet = 1 << 20
        self._broken = False
        self._status = 0
        self._restore = ""
        self._transport = raw._transport
        self._poll = select.poll()
        self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)

    @property
    def in_transaction(self) -> bool:
        """What the server said last."""
        return bool(self._status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    @property
    def is_reading(self) -> bool:
        """True while a cursor has rows left, and the connection can bring them."""
        result = self.raw._result
        unread = result is not None and bool(result.unbuffered_active)
        return self.busy and unread and not (self._broken or self.raw._stream_broken)

    @property
    def is_open(self) -> bool:
        """True if a statement can be sent: nothing runs, and the connection is not known to be broken."""
        return not (self.busy or self._broken or self.raw._stream_broken)

    @property
    def is_clean(self) -> bool:
        """True if it is open and, by its last answer, outside of any transaction."""
        return self.is_open and self._status & _STATES == _AUTOCOMMIT

    @property
    def is_left(self) -> bool:
        """True if the server sent something unasked: so it says that it closes an idle connection."""
        return self.raw._proto.length != self.raw._proto.pos or bool(self._poll.poll(0))

    async def run(self, text: str) -> Answer:
        """Run one statement to its end.

        Raises:
            DataError: It is larger than the server takes; nothing was sent.
            DatabaseError: The server refused it, or the connection broke.
        """
        payload = self._payload(text)
        raw = self.raw
        self.busy = True
        try:
            await raw.query(payload)
            first = raw._result
            while raw._result.has_next:
                await raw.next_result()
        except Exception as error:
            raise self._failed(error) from error
        self.busy = False
        last = raw._result
        self._note(last)
        if first.description is None:
            return Answer((), (), last.affected_rows)
        return Answer(tuple(map(_name, first.description)), first.rows, len(first.rows))

    async def start(self, text: str) -> Any:
        """Run one statement up to its first row, and return the driver's cursor."""
        payload = self._payload(text)
        self.busy = True
        try:
            cursor = self.raw.cursor(SSCursor)
            await cursor.execute(payload)
        except Exception as error:
            raise self._failed(error) from error
        return cursor

    async def more(self, cursor: Any, count: int) -> list[tuple[Any, ...]]:
        """Return the next rows; fewer than *count* are the last."""
        try:
            rows: list[tuple[Any, ...]] = await cursor.fetchmany(count) if cursor.description else []
            if len(rows) < count:
                while self.raw._result.has_next:
                    await self.raw.next_result()
        except Exception as error:
            raise self._failed(error) from error
        if len(rows) < count:
            self.busy = False
            self._note(self.raw._result)
        return rows

    async def commit(self) -> None:
        """Commit; whoever leaves meanwhile does not stop it."""
        self.committing = True
        try:
            await self.run(COMMIT)
        finally:
            self.committing = self.busy  # still True if the answer did not come

    async def rollback(self) -> None:
        """Roll back; does nothing outside of a transaction."""
        await self.run(ROLLBACK)

    def look(self) -> None:
        """Learn the state from the driver, after a user who went past `run`."""
        self._status = self.raw.server_status
        self.busy = bool(self.raw._result is not None and self.raw._result.unbuffered_active)

    async def ping(self) -> None:
        """Ask for a sign of life."""
        await self._command(COMMAND.COM_PING, b"")

    async def reset(self, database: str) -> None:
        """Bring the session back to the state in which it was opened.

        The server's own reset ends transactions, locks, temporary tables, prepared statements and
        variables; it keeps the current database, and goes back to the server's settings.
        """
        commands = (
            (_RESET_CONNECTION, b""),
            (COMMAND.COM_INIT_DB, database.encode()),
            (COMMAND.COM_QUERY, self._restore.encode()),
        )
        raw = self.raw
        self.busy = True
        try:
            raw._write_bytes(b"".join(_packet(*command) for command in commands))
            for _ in commands:  # sent at once, answered in turn: one round trip
                raw._next_seq_id = 1
                packet = await raw.read_packet()
        except Exception as error:
            self._broken = True
            raise translated(error) from error
        self.busy = False
        self._status = _status_of(packet)

    async def quit(self) -> None:
        """Tell the server, and close."""
        with contextlib.suppress(MySQLError, OSError):
            await self.raw.ensure_closed()

    def abort(self) -> None:
        """Close the socket, now."""
        self._broken = True
        self.raw.close()
        self._transport.abort()

    async def prepare(self, longest_pause: int | None) -> None:
        """Make the settings, and read each back.

        Args:
            longest_pause: See `opened`.

        Raises:
            ConfigurationError: A setting did not hold.
        """
        await self._command(_SET_OPTION, _NO_MULTI_STATEMENTS)
        version = str((await self.run("SELECT @@version")).rows[0][0])
        settings = _SETTINGS | _names(version, longest_pause)
        charset, collation = "utf8mb4", settings.pop("collation")
        values = ", ".join(f"{name} = {_literal(value)}" for name, value in settings.items())
        self._restore = f"SET NAMES {charset} COLLATE {collation}, {values}"
        await self.run(self._restore)
        expected = settings | {
            "character_set_client": charset,
            "character_set_connection": charset,
            "character_set_results": charset,
            "collation_connection": collation,
        }
        asked = ", ".join(f"@@{name}" for name in (*expected, "max_allowed_packet"))
        *held, max_packet = (await self.run(f"SELECT {asked}")).rows[0]
        for (name, value), found in zip(expected.items(), held, strict=True):
            if set(str(found).split(",")) != set(value.split(",")):
                raise ConfigurationError(f"the server keeps {name} at {found}; {value} is needed")
        self.max_packet = int(max_packet)

    def _payload(self, text: str) -> bytes:
        if self._status & SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES:
            raise StatementRefused(
                "sql_mode has NO_BACKSLASH_ESCAPES, under which values are not safe; take it out", sent=False
            )
        payload = text.encode("utf-8", "surrogateescape")  # bytes travel as surrogates
        if len(payload) + _HEADER > self.max_packet:
            raise DataError(
                f"the statement has {len(payload)} bytes with its values, and the server takes "
                f"{self.max_packet} (max_allowed_packet)",
                sent=False,
            )
        return payload

    async def _command(self, command: int, argument: bytes) -> None:
        self.busy = True
        try:
            await self.raw._execute_command(command, argument)
            packet = await self.raw.read_packet()
        except Exception as error:
            raise self._failed(error) from error
        self.busy = False
        if command != _SET_OPTION:  # to which the server answers without its status
            self._status = _status_of(packet)

    def _note(self, result: Any) -> None:
        """Remember the status that came with the last packet of an answer."""
        if result.server_status or self.raw._deprecate_eof or result.description is None:
            self._status = result.server_status

    def _failed(self, error: Exception) -> DatabaseError | Exception:
        """Return our error for the driver's, and take note of what it means for the connection."""
        ours = translated(error)
        if isinstance(error, MySQLError) and error.sqlstate is not None:  # an answer of the server
            self.busy = False
            self._broken = ends_connection(error)
            return ours
        self._broken = True
        if isinstance(ours, DatabaseError) and _was_not_sent(error):
            self.busy = False
            ours.sent = False
        return ours


async def opened(address: Address, *, exact: bool = True, longest_pause: int | None = None) -> Connection:
    """Open a connection.

    Args:
        address: Where the server is.
        exact: Give times as aware ones; otherwise as the driver does by itself.
        longest_pause: Seconds between two statements of a transaction, after which MariaDB ends it.

    Raises:
        CannotOpen: The server is not there, or does not let this user in.
        ConfigurationError: It does not keep a setting.
    """
    raw: Any = asyncmy_connection.Connection(  # type: ignore[no-untyped-call]
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password.encode(),  # the driver would encode text as Latin-1
        database=address.database,
        unix_socket=address.socket,
        ssl=address.tls,
        charset="utf8mb4",
        autocommit=None,
        client_flag=CLIENT.FOUND_ROWS,
        connect_timeout=_OPEN_SECONDS,
        conv=_DECODERS if exact else conversions,
        program_name="dal",
        auth_plugin_map={} if address.tls or address.socket else _NO_CLEAR_PASSWORDS,
    )
    raw.read_packet = partial(_read_packet, raw.read_packet)
    # The driver's own limit ends with the TCP handshake; and a cancellation in that very moment is
    # lost on Python 3.11, so that closing is what is left.
    loop = asyncio.get_running_loop()
    last_resort = loop.call_later(_OPEN_SECONDS + 1, raw.close)
    connection: Connection | None = None
    try:
        async with asyncio.timeout(_OPEN_SECONDS):
            await raw.connect()
            connection = Connection(raw)
            await connection.prepare(longest_pause)
            return connection
    except TimeoutError as error:
        _close(raw, connection)
        raise CannotOpen(f"the server did not answer within {_OPEN_SECONDS:g} s", sent=False) from error
    except Exception as error:
        _close(raw, connection)
        ours = opening(error)
        raise ours from (None if ours is error else error)
    except BaseException:
        _close(raw, connection)
        raise
    finally:
        last_resort.cancel()


def _close(raw: Any, connection: Connection | None) -> None:
    if connection is not None:
        connection.abort()
    else:
        transport = raw._transport
        raw.close()
        if transport is not None:
            transport.abort()


_UNUSABLE = (
    SERVER_STATUS.SERVER_STATUS_IN_TRANS
    | SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS
    | SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES
)
_AUTOCOMMIT = SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT
_STATES = _UNUSABLE | _AUTOCOMMIT


def _packet(command: int, argument: bytes) -> bytes:
    return (len(argument) + 1).to_bytes(3, "little") + bytes((0, command)) + argument


def _status_of(packet: Any) -> int:
    """Return the server's status in an OK packet."""
    packet.read_uint8()
    packet.read_length_encoded_integer()  # rows
    packet.read_length_encoded_integer()  # generated key
    status: int = packet.read_uint16()
    return status


def _names(version: str, longest_pause: int | None) -> dict[str, str]:
    """What MariaDB and MySQL call differently, or only one of them has, and its value."""
    if "MariaDB" in version:
        pause = {} if longest_pause is None else {"idle_transaction_timeout": str(longest_pause)}
        return {
            "collation": "utf8mb4_nopad_bin",
            "tx_isolation": "SERIALIZABLE",
            "max_recursive_iterations": _UNLIMITED,  # the server's 1000 cut a result off in silence
            **pause,
        }
    return {
        "collation": "utf8mb4_0900_bin",
        "transaction_isolation": "SERIALIZABLE",
        "cte_max_recursion_depth": _UNLIMITED,
    }


def _literal(value: str) -> str:
    return value if value.isdigit() else f"'{value}'"


def _was_not_sent(error: Exception) -> bool:
    return number_of(error) == GONE or isinstance(error, InterfaceError)


class _Packet(MysqlPacket):
    """A packet of an answer, which the driver asks in these words whether it is the last one.

    The last one begins with the byte 0xFE, as does a row whose first value has 16 MiB or more.
    """

    def is_auth_switch_request(self) -> bool:
        return bool(super().is_auth_switch_request()) and len(self.get_all_data()) < _LARGEST_PACKET


def _read_packet(
    read: Callable[[type[MysqlPacket]], Awaitable[Any]], kind: type[MysqlPacket] = MysqlPacket
) -> Awaitable[Any]:
    return read(_Packet if kind is MysqlPacket else kind)


class _RefusedPlugin:
    """Stands for a way to log in that would send the password readable for all."""

    def __init__(self, connection: object) -> None:
        raise OperationalError(2059, "the server asks for the password in clear text")


_NO_CLEAR_PASSWORDS = {"mysql_clear_password": _RefusedPlugin, "dialog": _RefusedPlugin}


# A decoder must not raise: the rest of the answer would stay unread.


def _timestamp(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:  # 0000-00-00, which other modes allow
        return text


def _date(text: str) -> date | str:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return text


_DECODERS: dict[Any, Any] = {
    **conversions,
    FIELD_TYPE.TIMESTAMP: _timestamp,
    FIELD_TYPE.DATETIME: _timestamp,
    FIELD_TYPE.DATE: _date,
}
