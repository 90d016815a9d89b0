"""Older SQLite files that are not adopted: each reason, and that the file stays as it was."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.errors import (
    AdoptionRefused,
    CannotOpen,
    ConfigurationError,
    CorruptDatabase,
    DiskFull,
    LockTimeout,
)
from dal.operations.adopt import adopt
from tests.operations.old_files import BY_HAND, chat_file, market_file
from tests.operations.test_adopt import dump, market_rows, run, url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where an older file is made."""
    return tmp_path / "app.db"


async def reasons(file: Path, system: str) -> list[str]:
    """Why a file is refused; it is as it was, and nothing is beside it."""
    before = file.read_bytes()
    with pytest.raises(AdoptionRefused) as raised:
        await adopt(file, system)
    assert str(raised.value).startswith(f"{file} stays as it is: {raised.value.differences[0]}")
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]
    return list(raised.value.differences)


# What is done to the row with the id 2 of a table -> what is said of it.
ROWS = [
    ("daily_data", "volume = -1", "CHECK daily_data_volume_range"),
    ("daily_data", "volume = 0.5", "volume is no whole number"),
    ("daily_data", "high = 0", "CHECK daily_data_prices_order"),
    ("daily_data", "close = 'NaN'", "close is no number"),
    ("daily_data", "high = 9e999", "high is not finite"),
    ("daily_data", "open = NULL", "NOT NULL open"),
    ("daily_data", "close = x'31'", "close is no number"),
    ("daily_data", "date = 'monday'", "date is no day as YYYY-MM-DD"),
    ("daily_data", "date = 20240102", "date is no day as YYYY-MM-DD"),
    ("daily_data", "date = '2023-02-29'", "date is no day of the calendar"),
    ("daily_data", "date = '2024-01-02 16:00:00'", "date is a time, not a day"),
    ("daily_data", "date = '2020-01-01T00:00:00.0'", "UNIQUE ticker, date"),
    ("daily_data", "ticker = 'TICKERNAMES'", "CHECK daily_data_ticker_length"),
    ("daily_data", "ticker = 'A' || char(0)", "ticker text with a NUL character cannot be stored"),
    ("daily_data", "ticker = CAST(x'ff' AS TEXT)", "a text is not valid UTF-8"),
    ("intraday_data", "datetime = 1704164645", "datetime is no time as YYYY-MM-DD HH:MM:SS"),
    ("intraday_data", "datetime = '2024-01-02 25:00:00'", "datetime is no time of the calendar"),
    ("intraday_data", "datetime = '2024-01-02 03:04:05.1234567'", "more than 6 digits of a second"),
    ("portfolio_positions", "shares = 0.1 + 0.2", "shares has more than 6 digits after the point"),
    ("portfolio_positions", "shares = 1e300", "does not fit 64 bits with 6 digits after the point"),
    ("signal_history", "signal_type = 'buy'", "CHECK signal_history_signal_type_known"),
    ("system_events", "created_at = 'yesterday'", "created_at is no time as YYYY-MM-DD HH:MM:SS"),
    ("Metadata", "company_name = ''", "CHECK metadata_company_name_length"),
]

OBJECTS = [
    ("ALTER TABLE daily_data ADD COLUMN vwap REAL", "daily_data: today's table has no column vwap"),
    (
        "ALTER TABLE daily_data DROP COLUMN volume",
        "daily_data: the column volume is missing, and must have a value",
    ),
    (
        "CREATE INDEX cheap ON daily_data (open) WHERE open < 1.5",
        "daily_data: the index cheap is partial or on an expression; drop it",
    ),
    (
        "CREATE VIEW dear AS SELECT * FROM Daily_Data WHERE open > 100",
        "dear: the view dear uses the table; drop it",
    ),
    (
        "CREATE TRIGGER split AFTER INSERT ON daily_data BEGIN SELECT 1; END",
        "daily_data: the trigger split uses the table; drop it",
    ),
    (
        "CREATE VIRTUAL TABLE words USING fts5 (details, content='system_events')",
        "words: is virtual, and uses one of these; drop it",
    ),
    ("CREATE TABLE environment (name TEXT)", "environment: is another table than the one of this name here"),
    (
        "CREATE TABLE _yoyo_migration AS SELECT 'market-0099.more' AS migration_id",
        "schema_versions: market-0099.more was applied, and has no file here",
    ),
]

TALK = [
    (
        "UPDATE messages SET session_id = '00000000-0000-4000-8000-000000000000' WHERE id = 2",
        "messages id=2: FOREIGN KEY session_id refers to no row of sessions",
    ),
    ("UPDATE messages SET role = 'robot' WHERE id = 2", "messages id=2: CHECK messages_role_known"),
    (
        "UPDATE token_usage SET total_tokens = 1 WHERE id = 3",
        "token_usage id=3: CHECK token_usage_total_tokens_sum",
    ),
    (
        "UPDATE token_usage SET cost_usd = 0.00000000001 WHERE id = 3",
        "token_usage id=3: cost_usd has more than 10 digits after the point",
    ),
    ("UPDATE sessions SET id = 'first' WHERE current_version = 0", "sessions id=first: id is no UUID"),
    (
        "INSERT INTO sessions (id, title, current_version)"
        " SELECT upper(id), 'again', current_version FROM sessions LIMIT 1",
        "UNIQUE id",
    ),
    (
        "UPDATE sessions SET current_version = 1 WHERE current_version = 2",
        "CHECK sessions_current_version_newest",
    ),
    ("DELETE FROM versions WHERE version = 1", "CHECK sessions_current_version_newest"),
]


@pytest.mark.parametrize(("table", "change", "reason"), ROWS, ids=[change for _, change, _ in ROWS])
async def test_rows_that_today_refuses(file: Path, table: str, change: str, reason: str) -> None:
    """What today's schema refuses, or cannot hold as it is, is refused with the row and the constraint."""
    market_file(file, 4)
    run(file, f"UPDATE {table} SET {change} WHERE id = 2")
    (found,) = await reasons(file, "market")

    assert found.startswith(f"{table.lower()} id=2: ")
    assert reason in found


async def test_numbers_below_one(file: Path) -> None:
    """A row that no page would show is refused."""
    market_file(file, 4)
    run(file, "UPDATE daily_data SET id = 0 WHERE id = 2")

    assert await reasons(file, "market") == ["daily_data id=0: id is below 1, where pages begin"]


@pytest.mark.parametrize(("statement", "reason"), OBJECTS, ids=[statement for statement, _ in OBJECTS])
async def test_objects_that_cannot_be_kept(file: Path, statement: str, reason: str) -> None:
    """Columns, indexes, views and triggers that would be lost, or mean something else, are refused."""
    market_file(file, 4)
    run(file, statement)

    assert await reasons(file, "market") == [reason]


@pytest.mark.parametrize(("statement", "reason"), TALK, ids=[statement for statement, _ in TALK])
async def test_rows_of_chat_that_today_refuses(file: Path, statement: str, reason: str) -> None:
    """The same for sessions and what belongs to them: orphans, and versions that cannot be counted."""
    chat_file(file, 101)
    run(file, statement)
    found = await reasons(file, "chat")

    assert len(found) == 1
    assert found[0].endswith(reason)


@pytest.mark.parametrize("declared", ["BIGINT", "INTEGER"])
async def test_integers_that_may_be_parts(file: Path, declared: str) -> None:
    """Integers where decimals belong may be hundredths: they are not guessed."""
    market_file(file, 2, ddl=BY_HAND.replace("market_cap REAL", f"market_cap {declared}"))

    assert await reasons(file, "market") == [
        f"Metadata: the column market_cap is {declared}, and may hold whole numbers or parts of them"
    ]


async def test_todays_table_with_a_check_less(file: Path) -> None:
    """A STRICT table that is not today's has integers of a unit that nobody knows, whatever is said."""
    market_file(file, 2)
    await adopt(file, "market")
    with closing(sqlite3.connect(file)) as connection:
        (ddl,) = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE name = 'portfolio_positions'"
        ).fetchone()
    check = "    CONSTRAINT portfolio_positions_shares_range CHECK (shares BETWEEN 0 AND 1000000000000000),\n"
    assert check in ddl
    run(file, "DROP TABLE portfolio_positions", ddl.replace(check, ""))
    with pytest.raises(AdoptionRefused, match="may hold whole numbers or parts of them"):
        await adopt(file, "market", whole=True)


async def test_twenty_rows_are_named(file: Path) -> None:
    """Of many rows the first are named, of every table in turn, and the others counted."""
    market_file(file, 3000, 30)
    run(
        file,
        "UPDATE daily_data SET volume = -1 WHERE id % 100 = 0",
        "UPDATE system_events SET severity = 'LOUD'",
    )
    found = await reasons(file, "market")

    assert found[:2] == [f"daily_data id={key}: CHECK daily_data_volume_range" for key in (100, 200)]
    assert len(found) == 21
    assert found[-1] == "and 40 more rows"


async def test_rows_and_orphans_together(file: Path) -> None:
    """Rows of several tables are listed in one run."""
    chat_file(file, 101)
    run(
        file,
        "UPDATE messages SET role = 'robot' WHERE id = 2",
        "UPDATE token_usage SET session_id = '00000000-0000-4000-8000-000000000000' WHERE id = 1",
    )

    assert await reasons(file, "chat") == [
        "messages id=2: CHECK messages_role_known",
        "token_usage id=1: FOREIGN KEY session_id refers to no row of sessions",
    ]


async def test_own_rows_without_the_row_they_refer_to(file: Path) -> None:
    """An own table's reference to nothing is found, too."""
    market_file(file, 2)
    run(file, "CREATE TABLE notes (of REFERENCES daily_data (id))", "INSERT INTO notes VALUES (77)")

    assert await reasons(file, "market") == ["notes rowid=1: FOREIGN KEY refers to no row of daily_data"]


async def test_own_references_to_no_key(file: Path) -> None:
    """An own table that refers to columns which are no key cannot be checked, and so not be kept surely."""
    market_file(file, 2)
    run(file, "CREATE TABLE notes (of REFERENCES daily_data (ticker))", "INSERT INTO notes VALUES ('T000')")

    assert await reasons(file, "market") == ['foreign key mismatch - "notes" referencing "daily_data"']


async def test_an_index_with_a_name_of_today(file: Path) -> None:
    """An own index that has the name of one of today's, on another table, is not dropped silently."""
    market_file(file, 2)
    run(file, "CREATE TABLE notes (x)", "CREATE INDEX signal_history_ticker_date_idx ON notes (x)")

    assert await reasons(file, "market") == [
        "notes: the index signal_history_ticker_date_idx has a name of today's"
    ]


async def test_another_system(file: Path) -> None:
    """A file without any table of the system is not that system's."""
    market_file(file, 2)

    assert await reasons(file, "chat") == [
        "it has none of the tables of chat: versions, sessions, messages, token_usage"
    ]


async def test_no_such_system_or_file(file: Path, tmp_path: Path) -> None:
    """A system that cannot be adopted and a file that is not there are told, and nothing is made."""
    with pytest.raises(ConfigurationError, match="there are chat, market"):
        await adopt(file, "currency")
    with pytest.raises(CannotOpen, match="does not exist"):
        await adopt(file, "market")
    assert list(tmp_path.iterdir()) == []


async def test_no_database(file: Path) -> None:
    """A file of another kind is refused, and stays."""
    file.write_text("no database" * 1000)
    with pytest.raises(CorruptDatabase, match="no SQLite database"):
        await adopt(file, "market")
    assert file.read_text() == "no database" * 1000


async def test_a_damaged_database(file: Path) -> None:
    """A file that SQLite finds damaged is not adopted, even where its rows can be read."""
    market_file(file, 2000)
    with file.open("r+b") as stream:
        stream.seek(0, os.SEEK_END)
        pages = stream.tell() // 4096
        for page in range(pages // 2, pages // 2 + 3):
            stream.seek(page * 4096)
            stream.write(b"\x0d" + b"\xff" * 200)
    before = file.read_bytes()
    with pytest.raises(CorruptDatabase):
        await adopt(file, "market")
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


# ---- in use ----

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
for statement in sys.argv[2].split(";"):
    connection.execute(statement).fetchall()
print("ready", flush=True)
sys.stdin.readline()
for statement in sys.argv[3].split(";"):
    print(connection.execute(statement).fetchall(), flush=True)
"""


@contextmanager
def elsewhere(file: Path, before: str, after: str = "SELECT 1") -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file open."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file), before, after],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            if process.poll() is None:
                process.communicate("go\n")


@pytest.mark.parametrize(
    ("wal", "held"),
    [
        (True, "SELECT count(*) FROM daily_data"),  # idle
        (True, "BEGIN; SELECT count(*) FROM daily_data"),
        (True, "BEGIN IMMEDIATE"),
        (False, "BEGIN; SELECT count(*) FROM daily_data"),
        (False, "BEGIN IMMEDIATE; DELETE FROM daily_data"),
    ],
)
async def test_open_in_another_process(file: Path, wal: bool, held: str) -> None:
    """While another process has the file in use, it is refused; afterwards it is adopted."""
    expected = market_file(file, 5, wal=wal)
    with elsewhere(file, held):
        with pytest.raises(LockTimeout, match="end what has it open"):
            await adopt(file, "market")
        assert not list(file.parent.glob(".*"))

    await adopt(file, "market")
    assert await market_rows(file) == expected


async def test_open_in_this_process(file: Path) -> None:
    """A connected manager keeps the file from being adopted."""
    market_file(file, 5)
    async with DatabaseManager(url(file)) as db:
        with pytest.raises(LockTimeout):
            await adopt(file, "market")
        assert await db.fetch_value("SELECT count(*) FROM daily_data") == 5
    assert (await adopt(file, "market")).state == "adopted"


async def test_an_idle_connection_without_wal_loses_nothing(file: Path) -> None:
    """It cannot be seen, finds today's tables at its next statement, and what it writes is there."""
    market_file(file, 5)
    write = (
        "SELECT count(*) FROM schema_versions;"
        "INSERT INTO system_events (event_type, description, severity) VALUES ('late', 'late', 'INFO')"
    )
    with elsewhere(file, "SELECT count(*) FROM daily_data", write) as other:
        await adopt(file, "market")
        output, _ = await asyncio.to_thread(other.communicate, "go\n")
    assert output.splitlines() == ["[(9,)]", "[]"]
    assert other.returncode == 0
    async with DatabaseManager(url(file)) as db:
        assert await db.fetch_value("SELECT count(*) FROM system_events WHERE event_type = 'late'") == 1
        assert await db.fetch_value("PRAGMA integrity_check") == "ok"


async def test_nobody_gets_in_meanwhile(file: Path) -> None:
    """From the first row to the last nobody else reads or writes the file."""
    market_file(file, 5)
    found: list[str] = []

    def look(*_: object) -> None:
        for statement in ("SELECT count(*) FROM daily_data", "DELETE FROM daily_data"):
            with closing(sqlite3.connect(file, timeout=0)) as connection:
                try:
                    connection.execute(statement)
                except sqlite3.OperationalError as error:
                    found.append(str(error))
                else:
                    found.append("done")

    await adopt(file, "market", progress=look)
    assert set(found) == {"database is locked"}
    assert len(found) == 14


# ---- stopped ----


async def test_a_cancelled_call_leaves_the_file(file: Path) -> None:
    """Cancelled in the midst of its work, it ends, leaves nothing, and may be called again."""
    expected = market_file(file, 20_000, 10)
    before = dump(file)
    begun, cancelled = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def wait(*_: object) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert cancelled.wait(60)

    task = asyncio.create_task(adopt(file, "market", progress=wait))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)  # in which the work is told to stop
    cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert dump(file) == before
    assert list(file.parent.iterdir()) == [file]

    await adopt(file, "market")
    assert await market_rows(file) == expected


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A disk with as many kilobytes as the test says."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize("small_disk", [1300, 1900, 2400, 2700, 3000, 3500], indirect=True)
async def test_a_full_disk_leaves_the_old_file(small_disk: Path, tmp_path: Path, wal: bool) -> None:
    """Wherever the disk is full, in the copy, the new file or the last step, the old file stays whole."""
    file = small_disk / "app.db"
    expected = market_file(file, 5000, 10, wal=wal)
    before = dump(file)
    with pytest.raises(DiskFull):
        await adopt(file, "market")
    assert dump(file) == before
    assert list(small_disk.iterdir()) == [file]

    elsewhere = tmp_path / "app.db"
    elsewhere.write_bytes(file.read_bytes())
    await adopt(elsewhere, "market")
    assert await market_rows(elsewhere) == expected


# ---- texts that are wrong ----


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("as_units(open, 6) AS open", "as_units(close, 6) AS open"),
        ("as_units(low, 6) AS low", "0 AS low"),
        ("as_text(ticker) AS ticker", "upper(as_text(ticker)) AS ticker"),
        ("as_integer(volume) AS volume", "as_integer(volume) + (id = 3) AS volume"),
        ("as_day(date) AS date", "date(as_day(date), '+1 day') AS date"),
        ("as_moment(datetime) AS datetime", "replace(as_moment(datetime), 'T00:00:', 'T01:00:') AS datetime"),
        ("BETWEEN :first_row AND :last_row", "BETWEEN :first_row AND :last_row AND id <> 2"),
    ],
)
async def test_a_value_that_comes_out_wrong_is_found(
    file: Path, tmp_path: Path, right: str, wrong: str
) -> None:
    """Whatever a system's own text does to a value, the comparison finds it, and nothing is changed."""
    shipped = Path(__file__).parents[2] / "sql" / "market" / "adopt.sqlite.sql"
    text = tmp_path / "sql" / "market" / "adopt.sqlite.sql"
    text.parent.mkdir(parents=True)
    text.write_text(shipped.read_text())
    market_file(file, 10)
    run(file, "UPDATE daily_data SET ticker = 'lower'")
    before = file.read_bytes()
    assert (await adopt(file, "market", sql=tmp_path / "sql", dry_run=True)).state == "adoptable"

    text.write_text(shipped.read_text().replace(right, wrong))
    assert text.read_text() != shipped.read_text()
    with pytest.raises(CorruptDatabase, match="came out equal; nothing was changed"):
        await adopt(file, "market", sql=tmp_path / "sql")
    assert file.read_bytes() == before
