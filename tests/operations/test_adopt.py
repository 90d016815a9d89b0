"""Older SQLite files, adopted: what they hold afterwards, and what they are."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from dal.database import DatabaseManager
from dal.errors import MigrationFailed
from dal.models.chat import Session
from dal.models.market import NewSystemEvent
from dal.operations.adopt import adopt
from dal.operations.adopt.conversions import Conversions
from dal.operations.lifecycle import environment_of
from dal.operations.migrate import migrate, rollback
from dal.operations.status import migration_states
from dal.repositories import chat, documents, market
from tests.documents.samples import document
from tests.operations.old_files import (
    BY_HAND,
    BY_ORM,
    CHAT,
    CHAT_LOOSE,
    Expected,
    chat_file,
    market_file,
    session_id,
    write,
)

PAGE = 1000
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(9999, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where an older file is made."""
    return tmp_path / "app.db"


def dump(file: Path) -> list[str]:
    """All statements that make the file anew, with its rows."""
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def schema(file: Path) -> set[tuple[str, str, str, str]]:
    """Every object of the file, as it was declared."""
    with closing(sqlite3.connect(file)) as connection:
        return set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema"))


def run(file: Path, *statements: str) -> None:
    """Run statements as any other program would."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def rows(file: Path, sql: str) -> list[tuple[object, ...]]:
    """What a query of any other program finds."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(sql).fetchall()


def url(file: Path) -> str:
    """The file for a manager."""
    return f"sqlite:///{file}"


async def market_rows(file: Path) -> Expected:
    """All rows of the `market` system, read through its repositories."""
    found: Expected = {name: [] for name in ("daily_data", "intraday_data", "signal_history")}
    async with DatabaseManager(url(file)) as db:
        # No repository lists the tickers of all bars: they are read from the table.
        tickers = [row[0] for row in await db.fetch_all("SELECT DISTINCT ticker FROM daily_data ORDER BY 1")]
        for ticker in tickers:
            first = date.min
            while page := await market.DailyDataRepository(db).between(
                ticker, first, date.max, page_size=PAGE
            ):
                found["daily_data"] += page
                first = page[-1].date + timedelta(days=1)
            since = LONG_AGO
            while bars := await market.IntradayDataRepository(db).between(
                ticker, since, FAR_AHEAD, page_size=PAGE
            ):
                found["intraday_data"] += bars
                since = bars[-1].datetime + MICROSECOND
            last, last_id = date.min, 0
            while signals := await market.SignalHistoryRepository(db).between(
                ticker, last, date.max, after_id=last_id, page_size=PAGE
            ):
                found["signal_history"] += signals
                last, last_id = signals[-1].date, signals[-1].id
        found["metadata"] = [*await market.MetadataRepository(db).page(page_size=PAGE)]
        found["portfolio_positions"] = [*await market.PortfolioPositionRepository(db).page(page_size=PAGE)]
        found["portfolio_performance"] = [
            *await market.PortfolioPerformanceRepository(db).between(date.min, date.max, page_size=PAGE)
        ]
        found["system_events"] = [*await market.SystemEventRepository(db).after(page_size=PAGE)]
    return found


async def chat_rows(file: Path) -> Expected:
    """All rows of the `chat` system, read through its repositories."""
    found: Expected = {name: [] for name in ("sessions", "messages", "versions", "token_usage")}
    sessions: list[Session] = []
    async with DatabaseManager(url(file)) as db:
        repository = chat.SessionRepository(db)
        while page := await repository.recent(after=sessions[-1] if sessions else None, page_size=PAGE):
            sessions += page
        found["sessions"] = [*sorted(sessions, key=lambda session: session.created_at)]
        for session in found["sessions"]:
            assert isinstance(session, Session)
            found["messages"] += await chat.MessageRepository(db).of_session(session.id)
            found["versions"] += await chat.VersionRepository(db).page(session.id, page_size=PAGE)
            found["token_usage"] += await chat.TokenUsageRepository(db).page(session.id, page_size=PAGE)
    return found


# ---- values ----


@pytest.mark.parametrize("ddl", [BY_HAND, BY_ORM], ids=["by hand", "by an ORM"])
@pytest.mark.parametrize("count", [0, 1, 1000])
async def test_every_value_of_market_is_there(file: Path, count: int, ddl: str) -> None:
    """The repositories read every row of the old file, each value equal, whatever form it had."""
    expected = market_file(file, count, ddl=ddl)
    adopted = await adopt(file, "market")

    assert adopted.state == "adopted"
    assert adopted.rows == dict.fromkeys(expected, count)
    assert await market_rows(file) == expected


@pytest.mark.parametrize("ddl", [CHAT, CHAT_LOOSE], ids=["as declared", "loose"])
@pytest.mark.parametrize("count", [0, 1, 1000])
async def test_every_value_of_chat_is_there(file: Path, count: int, ddl: str) -> None:
    """The repositories read every row; ids of sessions are the same UUIDs, and versions are counted."""
    expected = chat_file(file, count, ddl=ddl)
    adopted = await adopt(file, "chat")

    assert adopted.rows == {table: len(models) for table, models in expected.items()}
    assert await chat_rows(file) == expected


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_hundred_thousand_bars(file: Path) -> None:
    """A large table arrives whole, and progress is told up to its last row."""
    expected = market_file(file, 100_000, 1000)
    told: list[tuple[str, int, int]] = []
    await adopt(file, "market", progress=lambda *step: told.append(step))

    assert await market_rows(file) == expected
    steps = [done for table, done, total in told if table == "daily_data" and total == 100_000]
    assert steps == sorted(set(steps))
    assert steps[-1] == 100_000
    assert len(steps) > 1


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_hundred_thousand_messages(file: Path) -> None:
    """The same for the texts of `chat`."""
    expected = chat_file(file, 100_000, ddl=CHAT_LOOSE)
    await adopt(file, "chat")

    assert await chat_rows(file) == expected


async def test_what_has_no_clock_gets_one(file: Path) -> None:
    """A row without a clock takes the other of its row, else the moment of the adoption; it is told."""
    market_file(file, 4)
    run(
        file,
        "UPDATE system_events SET created_at = NULL WHERE id = 2",
        "UPDATE system_events SET updated_at = NULL WHERE id = 3",
        "UPDATE system_events SET created_at = NULL, updated_at = NULL WHERE id = 4",
    )
    before = datetime.now(UTC)
    adopted = await adopt(file, "market")

    assert adopted.filled == {"system_events.created_at": 2, "system_events.updated_at": 2}
    async with DatabaseManager(url(file)) as db:
        events = await market.SystemEventRepository(db).after()
    assert events[1].created_at == events[1].updated_at
    assert events[2].updated_at == events[2].created_at
    assert before <= events[3].created_at == events[3].updated_at <= datetime.now(UTC)


async def test_tables_with_less(file: Path) -> None:
    """Missing tables are made, missing columns are empty, and rows without an id get their number."""
    write(
        file,
        "CREATE TABLE daily_data (ticker, date, open, high, low, close, volume, PRIMARY KEY (ticker, date));"
        "CREATE TABLE portfolio_positions (ticker TEXT PRIMARY KEY, shares REAL) WITHOUT ROWID;",
        {
            "daily_data": [
                {"ticker": 600519, "date": "2024-01-02", "open": 1, "high": "2", "low": 0.5, "close": 1e0,
                 "volume": 7.0}
            ],
            "portfolio_positions": [{"ticker": "B", "shares": 0.1}, {"ticker": "A", "shares": 2}],
        },
    )  # fmt: skip
    adopted = await adopt(file, "market")

    assert "metadata: the table is missing; an empty one is made" in map(str, adopted.differences)
    assert "daily_data: the column dividends is missing" in map(str, adopted.differences)
    assert rows(file, "SELECT id, ticker, open, high, low, close, volume, dividends FROM daily_data") == [
        (1, "600519", 1_000_000, 2_000_000, 500_000, 1_000_000, 7, None)
    ]
    assert rows(file, "SELECT id, ticker, shares FROM portfolio_positions ORDER BY ticker") == [
        (1, "A", 2_000_000),
        (2, "B", 100_000),
    ]


@given(st.decimals(min_value=0, max_value=10**9, places=6))
def test_a_float_is_the_decimal_that_was_meant(price: Decimal) -> None:
    """A price of up to 15 digits that went through a binary float, or text, comes back as it was."""
    conversions = Conversions(rounding=False)
    with closing(sqlite3.connect(":memory:")) as connection:
        conversions.register(connection)
        for form in (float(price), str(price), f"{price:E}"):
            assert connection.execute("SELECT as_units(?, 6)", (form,)).fetchone() == (
                int(price * 1_000_000),
            )


OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=OFFSETS))
def test_a_time_is_the_moment_that_was_meant(moment: datetime) -> None:
    """A time with an offset becomes the same moment in UTC."""
    with closing(sqlite3.connect(":memory:")) as connection:
        Conversions(rounding=False).register(connection)
        (text,) = connection.execute("SELECT as_moment(?)", (moment.isoformat(),)).fetchone()
    assert datetime.fromisoformat(text) == moment
    assert len(text) == len("2026-01-02T03:04:05.678901Z")


@pytest.mark.parametrize(
    ("call", "value", "found"),
    [
        ("as_units(?, 6)", 150, 150_000_000),
        ("as_units(?, 6)", " +1.5 ", 1_500_000),
        ("as_units(?, 6)", ".5", 500_000),
        ("as_units(?, 6)", "1.50000000000", 1_500_000),
        ("as_units(?, 6)", "0x10", b"is no number"),
        ("as_units(?, 6)", "1,5", b"is no number"),
        ("as_units(?, 6)", "1_000", b"is no number"),
        ("as_units(?, 6)", "", b"is no number"),
        ("as_units(?, 6)", None, None),
        ("as_integer(?)", "4.0", 4),
        ("as_integer(?)", 4.5, b"is no whole number"),
        ("as_integer(?)", 1e300, b"is no whole number"),
        ("as_key(?)", None, b"has no value"),
        ("as_day(?)", "2024-01-02T00:00:00-05:00", "2024-01-02"),
        ("as_day(?)", "02.01.2024", b"is no day as YYYY-MM-DD"),
        ("as_moment(?)", "2024-01-02", "2024-01-02T00:00:00.000000Z"),
        ("as_moment(?)", "2024-01-02 03:04", "2024-01-02T03:04:00.000000Z"),
        ("as_moment(?)", " 2024-01-02 03:04:05.5 ", "2024-01-02T03:04:05.500000Z"),
        ("as_moment(?)", "2024-01-02 03:04:05.1234560000", "2024-01-02T03:04:05.123456Z"),
        ("as_moment(?)", "2024-01-02T03:04:05+14:00", "2024-01-01T13:04:05.000000Z"),
        ("as_moment(?)", "2024-01-02 03:04.5", b"is no time as YYYY-MM-DD HH:MM:SS"),
        ("as_moment(?)", "2024-01-02 03:04:05+0100", b"is no time as YYYY-MM-DD HH:MM:SS"),
        ("as_moment(?)", "2024-06-30 23:59:60", b"is no time of the calendar"),
        ("as_moment(?)", "0001-01-01 00:00:00+01:00", b"is no time of the calendar"),
        ("as_text(?)", 1.5, b"is no text"),
        ("as_uuid(?)", "0B0E7A526F0C4C6E9D5B1F2A3B4C5D6E", "0b0e7a52-6f0c-4c6e-9d5b-1f2a3b4c5d6e"),
        ("as_uuid(?)", "0b0e7a52-6f0c4c6e-9d5b-1f2a3b4c5d6e", b"is no UUID"),
    ],
)
def test_forms_of_values(call: str, value: object, found: object) -> None:
    """Each form that is read, and what is said of one that is not: a BLOB, which no column takes."""
    with closing(sqlite3.connect(":memory:")) as connection:
        Conversions(rounding=False).register(connection)
        assert connection.execute(f"SELECT {call}", (value,)).fetchone() == (found,)


async def test_rounding_when_asked(file: Path) -> None:
    """Decimals are rounded half to even, and times cut after the microsecond."""
    market_file(file, 3)
    run(
        file,
        "UPDATE portfolio_positions SET shares = 0.1 + 0.2 WHERE id = 1",
        "UPDATE portfolio_positions SET shares = 1.0000005 WHERE id = 2",
        "UPDATE portfolio_positions SET created_at = '2024-01-02 03:04:05.123456789' WHERE id = 3",
    )
    await adopt(file, "market", rounding=True)

    found = rows(file, "SELECT shares, created_at FROM portfolio_positions ORDER BY id")
    assert [shares for shares, _ in found] == [300_000, 1_000_000, 250_000]
    assert found[2][1] == "2024-01-02T03:04:05.123456Z"


async def test_whole_numbers_when_asked(file: Path) -> None:
    """A decimal that was declared INTEGER is taken for a whole number once that is said."""
    market_file(file, 2, ddl=BY_HAND.replace("market_cap REAL", "market_cap BIGINT"))
    run(file, "UPDATE Metadata SET market_cap = 3500000000000 WHERE id = 2")
    await adopt(file, "market", whole=True)

    async with DatabaseManager(url(file)) as db:
        company = await market.MetadataRepository(db).get("M000001")
    assert company is not None
    assert company.market_cap == 3_500_000_000_000


# ---- what the file is afterwards ----


@pytest.mark.parametrize(("system", "make"), [("market", market_file), ("chat", chat_file)])
async def test_it_is_as_the_migrations_make_it(
    tmp_path: Path, file: Path, system: str, make: Callable[[Path, int], Expected]
) -> None:
    """Its catalog is that of a fresh file, yoyo and status find all applied, and nothing is left to apply."""
    make(file, 10)
    await adopt(file, system)
    fresh = tmp_path / "fresh.db"
    await migrate(url(fresh), ["base", system])

    assert schema(file) == schema(fresh)
    async with DatabaseManager(url(file)) as db:
        states = await migration_states(db, ["base", system])
    assert {found.state for found in states} == {"applied"}
    assert len(states) > 4
    assert await migrate(url(file), ["base", system]) == []
    folders = [f"migrations/{name}/sqlite" for name in ("base", system)]
    listed = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-m", "yoyo", "list", "--no-config-file", "-d", url(file), *folders],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    migrations = [line for line in listed.splitlines() if f"{system}-0" in line or "base-0" in line]
    assert len(migrations) == len(states)
    assert all(line.startswith("A") for line in migrations)


async def test_it_can_be_written_and_taken_back(file: Path) -> None:
    """Rows that are added are numbered on, and the rollbacks run."""
    market_file(file, 3)
    await adopt(file, "market")
    async with DatabaseManager(url(file)) as db:
        repository = market.SystemEventRepository(db)
        (last,) = await repository.after(2)
        added = await repository.add(market_event(last))

    assert added.id == 4
    assert len(await rollback(url(file), everything=True, systems=["base", "market"])) == 9


def market_event(like: BaseModel) -> NewSystemEvent:
    """A new event like one that is there."""
    return NewSystemEvent.model_validate(like.model_dump(exclude={"id", "created_at", "updated_at"}))


async def test_a_second_run_does_nothing(file: Path) -> None:
    """A file that is today's is told to be so, and not a byte of it changes."""
    market_file(file, 3)
    await adopt(file, "market")
    before = file.read_bytes()
    adopted = await adopt(file, "market")

    assert (adopted.state, adopted.differences, adopted.backup) == ("current", [], None)
    assert adopted.rows["daily_data"] == 3
    assert file.read_bytes() == before
    assert len(list(file.parent.iterdir())) == 2


async def test_a_dry_run_changes_nothing(file: Path) -> None:
    """It tells the differences and the rows, and leaves the file, and nothing beside it."""
    market_file(file, 3)
    before = file.read_bytes()
    adopted = await adopt(file, "market", dry_run=True)

    assert adopted.state == "adoptable"
    assert "daily_data: the column open: its type is REAL, today's INTEGER; it may be NULL" in map(
        str, adopted.differences
    )
    assert adopted.rows["system_events"] == 3
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


async def test_the_backup_is_the_old_file(file: Path) -> None:
    """It is beside the file, for its owner alone, with all that the old one held; the file keeps its mode."""
    market_file(file, 20)
    before = dump(file)
    file.chmod(0o640)
    adopted = await adopt(file, "market")

    assert adopted.backup is not None
    assert sorted(file.parent.iterdir()) == [file, adopted.backup]
    assert adopted.backup.name.startswith("app.db.before-adoption-2")
    assert dump(adopted.backup) == before
    assert stat.S_IMODE(adopted.backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


async def test_files_of_the_work_are_private(file: Path) -> None:
    """While it runs, nobody else can read the copy and the new file."""
    market_file(file, 20)
    seen: dict[str, int] = {}

    def look(*_: object) -> None:
        (folder,) = file.parent.glob(".app.db.adopting-*")
        seen.update({path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())})

    mask = os.umask(0)
    try:
        await adopt(file, "market", progress=look)
    finally:
        os.umask(mask)
    assert {name: mode for name, mode in seen.items() if not name.startswith(".")} == {
        "old.db": 0o600,
        "new.db": 0o600,
    }
    assert {mode for name, mode in seen.items() if name.startswith(".")} == {0o700}


async def test_what_is_in_the_wal_is_there(file: Path) -> None:
    """Rows that a killed program had committed to the WAL alone are adopted, and in the backup."""
    expected = market_file(file, 5, wal=True)
    program = (
        "import sqlite3, os, signal, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute(\"UPDATE portfolio_positions SET shares = '7.25'\")\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, file], check=False)  # noqa: ASYNC221
    assert killed.returncode == -signal.SIGKILL
    assert Path(f"{file}-wal").stat().st_size > 0
    adopted = await adopt(file, "market")

    assert adopted.backup is not None
    assert rows(adopted.backup, "SELECT DISTINCT shares FROM portfolio_positions") == [(7.25,)]
    found = await market_rows(file)
    assert [position.shares for position in found.pop("portfolio_positions")] == [Decimal("7.25")] * 5  # type: ignore[attr-defined]
    assert found == {table: expected[table] for table in found}


@pytest.mark.parametrize("pragma", ["encoding = 'UTF-16le'", "page_size = 1024", "auto_vacuum = 1"])
@pytest.mark.parametrize("wal", [False, True])
async def test_the_form_of_the_file_stays(file: Path, pragma: str, wal: bool) -> None:
    """Its encoding, page size, vacuum, journal, version and application's number are those of before."""
    name, _, value = pragma.partition(" = ")
    run(file, f"PRAGMA {pragma}", "CREATE TABLE first (id)", "DROP TABLE first")  # keeps an encoding, too
    run(file, "PRAGMA user_version = 42", "PRAGMA application_id = 7")
    assert str(rows(file, f"PRAGMA {name}")[0][0]) == value.strip("'")
    expected = market_file(file, 10, wal=wal)
    pragmas = ("encoding", "page_size", "auto_vacuum", "journal_mode", "user_version", "application_id")
    before = [rows(file, f"PRAGMA {name}") for name in pragmas]
    await adopt(file, "market")

    assert [rows(file, f"PRAGMA {name}") for name in pragmas] == before
    assert await market_rows(file) == expected


async def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """A file that is reached by a link is adopted where it lies."""
    (tmp_path / "data").mkdir()
    real, link = tmp_path / "data" / "app.db", tmp_path / "link.db"
    expected = market_file(real, 3)
    link.symlink_to(real)
    adopted = await adopt(link, "market")

    assert link.is_symlink()
    assert adopted.backup is not None
    assert adopted.backup.parent == real.parent
    assert await market_rows(real) == expected


# ---- what is the user's own ----


async def test_own_objects_are_kept(file: Path) -> None:
    """Own tables, with their indexes, triggers, views and numbers, are as they were; so are plain indexes."""
    expected = market_file(file, 3)
    own = [
        "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, of REFERENCES portfolio_positions,"
        " body BLOB, n REAL DEFAULT 0.5)",
        "CREATE TABLE pairs (a, b, PRIMARY KEY (a)) WITHOUT ROWID",
        "CREATE TABLE loose (x)",
        "CREATE INDEX notes_body ON notes (body) WHERE n > 0",
        "CREATE VIEW last_note AS SELECT max(id) AS id FROM notes",
        "CREATE TRIGGER notes_pair AFTER INSERT ON notes BEGIN INSERT INTO pairs VALUES (new.id, 1); END",
        "CREATE INDEX events_by_type ON system_events (event_type)",
        "CREATE INDEX last_bars ON daily_data (ticker, date DESC)",
        "CREATE TABLE old_daily_data (a)",
        "CREATE INDEX old_index ON old_daily_data (a)",
    ]
    run(
        file,
        *own,
        "INSERT INTO notes (of, body) VALUES (1, x'00ff'), (NULL, 'text'), (3, NULL)",
        "DELETE FROM notes WHERE id = 3",
        "INSERT INTO loose (rowid, x) VALUES (5, 1), (9, 1), (12, NULL)",
    )
    queries = [
        "SELECT * FROM notes ORDER BY id",
        "SELECT * FROM pairs",
        "SELECT rowid, x FROM loose ORDER BY rowid",
        "SELECT * FROM last_note",
        "SELECT * FROM sqlite_sequence WHERE name = 'notes'",
    ]
    before = [rows(file, query) for query in queries]
    adopted = await adopt(file, "market")

    assert [rows(file, query) for query in queries] == before
    assert {sql for *_, sql in schema(file)} >= set(own)
    assert set(adopted.kept) == {
        "notes", "pairs", "loose", "notes_body", "last_note", "notes_pair", "events_by_type",
        "last_bars", "old_daily_data", "old_index",
    }  # fmt: skip
    assert await market_rows(file) == expected
    assert (await adopt(file, "market")).state == "current"


async def test_two_systems_in_one_file(file: Path) -> None:
    """Each is adopted by itself; the other's tables wait as they are, then its own are taken along."""
    bars = market_file(file, 50)
    talk = chat_file(file, 200)
    await adopt(file, "market")
    assert await market_rows(file) == bars
    await adopt(file, "chat")

    assert (await market_rows(file), await chat_rows(file)) == (bars, talk)
    async with DatabaseManager(url(file)) as db:
        states = await migration_states(db, ["base", "chat", "market"])
    assert {found.state for found in states} == {"applied"}
    assert (await adopt(file, "market")).state == "current"


async def test_migrations_that_stopped_at_the_old_tables(file: Path) -> None:
    """`yoyo apply` of all systems stops where the old tables are; what it did before stays."""
    expected = market_file(file, 5)
    with pytest.raises(MigrationFailed, match="daily_data already exists"):
        await migrate(url(file))
    others = ["base", "chat", "currency", "documents"]
    async with DatabaseManager(url(file)) as db:
        await documents.ProcessedDocumentRepository(db).save(document("d", "coffee and cake"))
        before = await migration_states(db, others)
        tables = {row[0] for row in await db.fetch_all("SELECT name FROM sqlite_schema")}
    run(file, "INSERT INTO environment (name) VALUES ('test')")
    await adopt(file, "market")

    async with DatabaseManager(url(file)) as db:
        assert await migration_states(db, others) == before
        assert {found.state for found in await migration_states(db)} == {"applied"}
        assert await environment_of(db) == "test"
        assert {row[0] for row in await db.fetch_all("SELECT name FROM sqlite_schema")} > tables - OLD_INDEXES
        repository = documents.ProcessedDocumentRepository(db)
        assert [hit.document_id for hit in (await repository.search("coffee")).results] == ["d"]
        await repository.save(document("e", "tea"))
        assert [hit.document_id for hit in (await repository.search("tea")).results] == ["e"]
        await db.execute("INSERT INTO document_search (document_search, rank) VALUES ('integrity-check', 1)")
    assert await market_rows(file) == expected
    assert await migrate(url(file)) == []


OLD_INDEXES = {
    "idx_daily_data_ticker_date",
    "idx_intraday_data_ticker_datetime",
    "sqlite_sequence",
    "sqlite_autoindex_Metadata_1",
    "Metadata",
}


# ---- half-adopted files ----


async def half_adopted(file: Path) -> Expected:
    """A file whose first tables are today's, with rows, and whose others are old."""
    expected = market_file(file, 40)
    await adopt(file, "market")
    old = file.with_name("old.db")
    market_file(old, 40)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("ATTACH DATABASE ? AS old", (str(old),))
        for table in ("signal_history", "portfolio_performance", "system_events"):
            (ddl,) = connection.execute(
                "SELECT sql FROM old.sqlite_schema WHERE name = ?", (table,)
            ).fetchone()
            connection.execute(f"DROP TABLE {table}")
            connection.execute(ddl)
            connection.execute(f"INSERT INTO {table} SELECT * FROM old.{table}")
    old.unlink()
    return expected


async def test_some_tables_are_old(file: Path) -> None:
    """Tables in today's form keep their integers as they are; the others are converted."""
    expected = await half_adopted(file)
    adopted = await adopt(file, "market")

    assert {found.table for found in adopted.differences} == {
        "signal_history",
        "portfolio_performance",
        "system_events",
    }
    assert await market_rows(file) == expected


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM schema_versions WHERE version_id >= 'market-0003'",
        "DELETE FROM _yoyo_migration WHERE migration_id >= 'market-0003'",
        "DROP TABLE schema_versions",
        "DROP TABLE _yoyo_migration",
        "INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, '2026-01-02 03:04:05', 999999999)",
    ],
)
async def test_torn_records_are_made_whole(file: Path, statement: str) -> None:
    """Whatever of the records is missing is there afterwards; what was there keeps its time."""
    expected = await half_adopted(file)
    run(
        file,
        "UPDATE schema_versions SET applied_at = '2020-01-02T03:04:05.000000Z' WHERE version_id < 'market'",
        statement,
    )
    await adopt(file, "market")

    async with DatabaseManager(url(file)) as db:
        states = await migration_states(db, ["base", "market"])
    assert {found.state for found in states} == {"applied"}
    if statement != "DROP TABLE schema_versions":
        assert states[0].applied_at == datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert await market_rows(file) == expected
    assert rows(file, "SELECT * FROM yoyo_lock") == []


async def test_versions_are_counted_for_sessions_of_today(file: Path) -> None:
    """Sessions that are today's and versions that are not: the count is made anew."""
    chat_file(file, 100)
    await adopt(file, "chat")
    found = rows(file, "SELECT id, session_id, version, html, created_at FROM versions")
    run(
        file,
        "DROP TABLE versions",
        "UPDATE sessions SET current_version = 0, version_count = 0",
        "CREATE TABLE versions (id INTEGER PRIMARY KEY, session_id, version, html, description, created_at)",
    )
    write(
        file,
        "UPDATE sessions SET current_version = 2, version_count = 3;",
        {
            "versions": [
                dict(zip(("id", "session_id", "version", "html", "created_at"), row, strict=True))
                for row in found
            ]
        },
    )
    await adopt(file, "chat")

    async with DatabaseManager(url(file)) as db:
        session = await chat.SessionRepository(db).get(session_id(0))
        assert session is not None
        assert (session.current_version, session.version_count) == (2, 3)
        assert (await chat.VersionRepository(db).add(session.id, "<p>next</p>")).version == 3
