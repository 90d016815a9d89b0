"""The benchmark: its figures, its targets, that everyone does the same work, and what a run leaves.

The real cases, contenders and servers, with small tables and short slices: no figure is expected to be good.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import benchmark
from benchmarks import bars, cases, places, work
from benchmarks import own_queries as own_queries_of_a_project
from benchmarks.bars import Bar, Result
from benchmarks.cases import CASES, Case, Profile, Stage, WrongAnswer, run_bulk, run_case, run_stream
from benchmarks.contender import Contender, NotOffered
from benchmarks.figures import Spread, percentile, ratios
from benchmarks.floors import FLOORS
from benchmarks.measuring import Entrant, Plan, in_turn, measure
from benchmarks.ours import Ours
from benchmarks.peers import PEERS
from tests.servers import missing

ROWS = 1200
TINY = Plan(rounds=3, peer_rounds=1, seconds=0.002, peer_seconds=0.001, most=64)
PROFILE = Profile(
    (ROWS, 2 * ROWS), TINY, TINY, bulk=600, peer_bulk=300, stream=ROWS, peer_stream=700,
    memory_stream=ROWS, processes=1,
)  # fmt: skip

# The drivers of other libraries warn, block and start threads as they like.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


def test_percentiles_are_values_that_occurred() -> None:
    """The P99 of 1 to 200 is 198; of one value it is that value."""
    assert percentile(range(1, 201), 0.99) == 198
    assert percentile([5.0], 0.99) == 5.0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0


def test_ratios_are_taken_round_by_round() -> None:
    """A round that was slow for both does not move the ratio; rounds of one alone do not count."""
    assert ratios({0: 2.0, 1: 200.0, 2: 3.0}, {0: 1.0, 1: 100.0, 2: 1.0}) == Spread(2.0, 2.0, 3.0)
    assert ratios({0: 1.0}, {1: 1.0}) is None


def test_every_round_has_everyone_in_another_order() -> None:
    """Within as many rounds as there are contenders, each has begun and nobody was left out."""
    entrants = [Entrant(name, _nothing) for name in "abcd"]
    orders = ["".join(entrant.name for entrant in in_turn(entrants, number)) for number in range(4)]
    assert len(set(orders)) == 4
    assert all(sorted(order) == list("abcd") for order in orders)


async def test_peers_have_fewer_rounds() -> None:
    """Ours gets every round of the plan, a peer only its own."""
    ours, peer = Entrant("dal", _nothing), Entrant("other", _nothing, is_peer=True)
    await measure([ours, peer], TINY)
    assert set(ours.sample.per_round) == {0, 1, 2}
    assert set(peer.sample.per_round) == {0}
    assert ours.sample.us > 0


async def _nothing() -> None:
    pass


def result(case: str, engine: str = "sqlite", **known: Any) -> Result:
    return Result(case, engine, 10, "asyncio", 10.0, **known)


@pytest.mark.parametrize(("ratio", "ok"), [(1.14, True), (1.15, True), (1.16, False), (None, None)])
def test_a_ratio_decides_whether_a_target_is_met(ratio: float | None, ok: bool | None) -> None:
    """At the limit it is met, above it missed, and without a figure it is not known."""
    found = result("rows_1000", ratio=None if ratio is None else Spread(ratio, 1, 2))
    assert found.ok is ok
    assert found.target == "<= 1.15 x floor"


def test_a_missed_target_outweighs_an_unknown_one() -> None:
    """A case with several targets is missed if one of them is, and not known if a peer was not measured."""
    asked = frozenset({"databases", "SQLAlchemy ORM"})
    known = {"databases": Spread(9.0, 9, 9)}
    assert result("point_read", ratio=Spread(1, 1, 1), p99_us=1.0, asked=asked).ok is None
    assert result("point_read", ratio=Spread(1, 1, 1), p99_us=1.0, asked=asked, peer_ratios=known).ok is False
    assert result("point_read", ratio=Spread(1, 1, 1), p99_us=1.0).ok is True, "peers nobody asked for"


@pytest.mark.parametrize(
    ("case", "engine", "facts", "p99_us", "ok"),
    [
        ("growth", "mysql", {"growth": 1.51}, None, False),
        ("growth", "mysql", {"growth": 1.5}, None, True),
        ("import", "python", {"imports": ["redis"]}, None, False),
        ("import", "python", {"imports": []}, None, True),
        ("cache_get", "redis", {}, 10_000.0, False),
        ("readers_64", "postgresql", {}, 49_000.0, True),
    ],
)
def test_targets_of_other_kinds(
    case: str, engine: str, facts: dict[str, Any], p99_us: float | None, ok: bool
) -> None:
    """Growth, what an import loads, and the P99 have limits of their own."""
    assert result(case, engine, facts=facts, p99_us=p99_us).ok is ok


@pytest.fixture(scope="module", params=places.ENGINES)
def base(request: pytest.FixtureRequest) -> Iterator[places.Base]:
    """A small database with the benchmark's tables, on each engine."""
    try:
        with places.place(request.param) as where:
            yield where.new(ROWS)
    except places.NotHere as error:
        missing(str(error))


@pytest.fixture
async def stage(base: places.Base) -> AsyncIterator[Stage]:
    """Everyone who can take part, opened."""
    opened = Stage(base, PROFILE, "asyncio", frozenset(PEERS))
    async with AsyncExitStack() as stack:
        await opened.enter(stack)
        yield opened


async def test_the_filled_rows_are_those_that_are_computed(base: places.Base) -> None:
    """Each engine's own SQL makes the rows that Python expects."""
    columns = f"SELECT {work.LIST} FROM item ORDER BY item_id"
    assert await asyncio.to_thread(base.run, columns) == [work.record(n) for n in range(1, ROWS + 1)]


async def test_everyone_does_the_same_work(stage: Stage) -> None:
    """Each case is done by all who are there, and what they wrote is all in the table."""
    names = {contender.name for contender in stage.contenders}
    assert {"dal", FLOORS[stage.base.engine].name} <= names
    for case in CASES:
        found = await run_case(stage, case, with_peers=True)
        assert found.missing == stage.missing, case.name
        assert {"dal", found.floor, *found.peers} == names
        assert found.ratio is not None
        assert found.p99_us is not None
        assert found.p99_us >= found.ours_us * 0.5


async def test_many_rows_are_inserted_and_streamed_alike(stage: Stage) -> None:
    """Bulk inserts and streams are counted and summed up; who cannot stream is named."""
    bulk, stream = await run_bulk(stage), await run_stream(stage)
    assert bulk.missing == stage.missing
    assert bulk.ratio is not None
    assert stream.ratio is not None
    assert stream.facts["memory_rows"] == ROWS
    assert {"dal", stream.floor, *stream.peers, *stream.missing} >= {c.name for c in stage.contenders}


class Liar(Ours):
    """Answers with another row."""

    name = "liar"

    async def point(self, item_id: int) -> Any:
        return await super().point(item_id % 10 + 1)

    async def insert(self, row: Any) -> None:
        if row["item_id"] % 2:
            await super().insert(row)


async def entered(base: places.Base, stack: AsyncExitStack, *kinds: type[Contender]) -> Stage:
    opened = Stage(base, PROFILE, "asyncio", frozenset())
    for kind in kinds:
        contender = kind()
        await contender.open(base)
        stack.push_async_callback(contender.close)
        opened.contenders.append(contender)
        opened.locks[contender.name] = asyncio.Lock()
    return opened


def case_named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


async def test_who_answers_wrongly_is_not_measured(base: places.Base) -> None:
    """A peer with another answer gets no figure; if it is the library itself, the run ends."""
    async with AsyncExitStack() as stack:
        stage = await entered(base, stack, Ours, FLOORS[base.engine], Liar)
        found = await run_case(stage, case_named("point_read"), with_peers=True)
        assert found.missing == {"liar": "its answer is not the expected one"}
        assert "liar" not in found.peers
        Liar.name = "dal"
        try:
            with pytest.raises(WrongAnswer, match="dal on"):
                await run_case(stage, case_named("point_read"), with_peers=True)
        finally:
            Liar.name = "liar"


class Loser(Ours):
    """Acknowledges writes, and after a few stores no more of them."""

    name = "loser"
    stored = 0

    async def insert(self, row: Any) -> None:
        self.stored += 1
        if self.stored < 3:
            await super().insert(row)


async def test_lost_writes_end_the_run(base: places.Base) -> None:
    """What was acknowledged is counted in the table at the end."""
    async with AsyncExitStack() as stack:
        stage = await entered(base, stack, Ours, FLOORS[base.engine], Loser)
        with pytest.raises(WrongAnswer, match="acknowledged"):
            await run_case(stage, case_named("insert"), with_peers=True)


async def test_a_less_durable_contender_is_not_measured(tmp_path: Path) -> None:
    """On SQLite everyone writes with synchronous=FULL, or does not take part."""

    class Careless(Ours):
        async def synchronous(self) -> int:
            return 1

    small = places.Files(tmp_path).new(10)
    stage = Stage(small, PROFILE, "asyncio", frozenset())
    async with AsyncExitStack() as stack:
        with pytest.raises(WrongAnswer, match="FULL"):
            await stage._opened(Careless(), stack)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A peer that is not installed has a reason, not a figure."""

    def absent(name: str) -> type[Contender]:
        raise ModuleNotFoundError("No module named 'aiosql'", name="aiosql")

    monkeypatch.setattr(cases, "peer", absent)
    small = places.Files(tmp_path).new(10)
    stage = Stage(small, PROFILE, "asyncio", frozenset({"aiosql"}))

    async def enter() -> None:
        async with AsyncExitStack() as stack:
            await stage.enter(stack)

    asyncio.run(enter())
    assert stage.missing == {"aiosql": "aiosql is not installed"}


async def test_what_is_not_offered_has_a_reason() -> None:
    """Every piece of work that a contender does not define says that it is not there."""

    class Idle(Contender):
        name, distribution = "idle", "dal"

        async def open(self, base: places.Base) -> None: ...

        async def close(self) -> None: ...

    idle = Idle()
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: idle.point(1),
        lambda: idle.items(1, 2),
        lambda: idle.stream(3),
    ]
    for call in calls:
        with pytest.raises(NotOffered, match="no way"):
            await call()


KEYS = {
    "case", "engine", "rows", "ours_us", "floor_us", "p99_us", "ratio_to_floor", "peers", "target", "ok",
}  # fmt: skip


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run takes the tiny profile, and no target can be missed."""
    monkeypatch.setitem(cases.PROFILES, "quick", PROFILE)
    monkeypatch.setattr(bars, "BARS", (Bar("point_read", "at most", 1e9), Bar("cache_get", "p99", 1e9)))


@pytest.mark.usefixtures("tiny")
def test_a_run_leaves_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run whose targets are met ends 0, prints its tables, and writes JSON, Markdown, HTML and plots."""
    out = tmp_path / "out"
    arguments = ["--engine", "sqlite,memory,python", "--case", "point_read,growth,cache_get,import"]
    assert benchmark.main([*arguments, "--peers", "databases", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "All targets are met." in printed
    found = json.loads((out / "results.json").read_text())
    assert [(one["case"], one["engine"], one["rows"]) for one in found] == [
        ("point_read", "sqlite", ROWS),
        ("point_read", "sqlite", 2 * ROWS),
        ("growth", "sqlite", 2 * ROWS),
        ("cache_get", "memory", 500),
        ("import", "python", None),
    ]
    for one in found:
        assert one.keys() >= KEYS
        assert one["ours_us"] > 0
    assert found[0]["peers"].keys() == {"databases"}
    assert found[0]["ok"] is True
    assert found[4]["ok"] is None, "no target was set"
    assert "| point_read | sqlite |" in (out / "results.md").read_text()
    page = (out / "report.html").read_text()
    assert "<h2>Targets</h2>" in page
    if find_spec("matplotlib"):
        assert {file.stem for file in out.glob("*.png")} >= {"point_read", "cache_get", "growth"}
        assert page.count('src="data:image/png;base64,') == len(list(out.glob("*.png")))
    assert "http" not in page, "the page needs nothing else"


@pytest.mark.usefixtures("tiny")
def test_a_missed_target_ends_the_run_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code says that a target is missed, and standard error which one."""
    monkeypatch.setattr(bars, "BARS", (Bar("cache_get", "p99", 0.0),))
    assert benchmark.main(["--engine", "memory", "--case", "cache_get"]) == 1
    assert "1 targets are missed: cache_get on memory: P99 < 0 ms" in capsys.readouterr().err


@pytest.mark.usefixtures("tiny")
def test_an_engine_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its server an engine is a gap that the report tells, and no failure of the others."""

    def nowhere(engine: str) -> Any:
        raise places.NotHere("mariadbd was not found: apt-get install mariadb-server")

    monkeypatch.setattr(benchmark, "place", nowhere)
    assert benchmark.main(["--engine", "mysql,memory", "--case", "point_read,cache_get"]) == 0
    printed = capsys.readouterr().out
    assert "mysql: mariadbd was not found" in printed
    assert "Not all of it could be measured" in printed


@pytest.mark.parametrize(
    "arguments", [["--case", "nonsense"], ["--peers", "databases,nobody"], ["--queries", "sql"]]
)
def test_a_wrong_call_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is not known, or queries without a database, is a mistake in the call."""
    with pytest.raises(SystemExit) as end:
        benchmark.main(arguments)
    assert end.value.code == 2
    assert "benchmark: error:" in capsys.readouterr().err


SHOP = """
-- Orders of a shop.

-- name: order_by_id(order_id: int) :one
-- returns: Order
SELECT order_id, total FROM orders WHERE order_id = :order_id;

-- name: orders_above(total) :many
SELECT order_id, total FROM orders WHERE total > :total;

-- name: order_count() :value
-- returns: int
SELECT count(*) FROM orders;

-- name: add_order(total: int) :affected
INSERT INTO orders (total) VALUES (:total);

-- name: taken(total: int) :value
INSERT INTO orders (total) VALUES (:total) RETURNING order_id;

-- name: forgotten(total: int) :many
SELECT order_id FROM orders WHERE total = :total;

-- name: broken() :many
SELECT nothing FROM nowhere;
"""
PARAMS = """
order_by_id: [{order_id: 1}, {order_id: 2}]
orders_above: {total: 5}
add_order: {total: 7}
taken: {total: 8}
stranger: {a: 1}
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of someone else: a database, queries in a folder below sql/, and parameters."""
    monkeypatch.setitem(cases.PROFILES, "quick", PROFILE)
    monkeypatch.setattr("benchmarks.own_queries._TARGET", Bar("", "p99", 1e9))  # none is missed by chance
    queries = tmp_path / "sql" / "orders"
    queries.mkdir(parents=True)
    (queries / "queries.sql").write_text(SHOP)
    (tmp_path / "params.yaml").write_text(PARAMS)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE orders (order_id INTEGER PRIMARY KEY, total INTEGER NOT NULL)")
        connection.executemany("INSERT INTO orders (total) VALUES (?)", [(n,) for n in range(10)])
        connection.commit()
    return tmp_path


def own_queries(shop: Path, *more: str) -> int:
    queries, params = str(shop / "sql" / "orders"), str(shop / "params.yaml")
    url = f"sqlite:///{shop / 'shop.db'}"
    return benchmark.main(["--queries", queries, "--url", url, "--params", params, *more])


def test_queries_of_any_project_are_timed(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Reads run on the database and writes on a copy; what cannot be run is named with its reason."""
    assert own_queries(shop, "--out", str(shop / "out")) == 0
    found = {one["case"]: one for one in json.loads((shop / "out" / "results.json").read_text())}
    assert {name: one["rows"] for name, one in found.items()} == {
        "order_by_id": 1,
        "orders_above": 4,
        "order_count": 1,
        "add_order": None,
        "taken": None,
    }, "rows that came back; a write gives none"
    assert found["order_by_id"]["target"] == "P99 < 1e+09 ms"
    assert found["add_order"]["facts"]["on"] == found["taken"]["facts"]["on"] == "a scratch copy"
    assert found["order_count"]["facts"]["on"] == "the database"
    printed = capsys.readouterr().out
    assert "forgotten: no parameters are given for it" in printed
    assert "broken: it failed:" in printed
    assert "stranger: the file of parameters names it, but there is no such query" in printed
    with closing(sqlite3.connect(shop / "shop.db")) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (10,), "nothing was written"


def test_reads_of_a_project_have_a_target() -> None:
    """One read in a hundred may take longer than 50 ms."""
    assert str(own_queries_of_a_project._TARGET) == "P99 < 50 ms"


def test_a_slow_query_of_a_project_is_a_missed_target(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A read whose P99 is not below the target ends the run with 1."""
    monkeypatch.setattr("benchmarks.own_queries._TARGET", Bar("", "p99", 0.0))
    assert own_queries(shop) == 1
    assert "order_by_id on sqlite: P99 < 0 ms" in capsys.readouterr().err


def test_a_folder_of_folders_is_read(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Queries in folders below the given one carry the folder's name, so that none hides another."""
    url = f"sqlite:///{shop / 'shop.db'}"
    assert benchmark.main(["--queries", str(shop / "sql"), "--url", url]) == 0
    assert "orders/order_count" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["- a list", "order_by_id: 5", "order_by_id: []", "{"])
def test_wrong_parameter_files_are_refused(shop: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that maps no names to parameters is refused with its name."""
    (shop / "params.yaml").write_text(text)
    assert own_queries(shop) == 1
    assert "params.yaml" in capsys.readouterr().err


def test_writes_are_not_run_on_a_server(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server's data are nobody's scratch copy: its writes are named, with the reason."""
    from tests.servers import PostgresServer

    (shop / "sql" / "orders" / "queries.sql").write_text(
        "-- name: one() :value\nSELECT 1;\n\n-- name: add() :affected\nINSERT INTO orders VALUES (1, 1);\n"
    )
    with PostgresServer() as server, server.database() as name:
        server_url = server.url(name)
        assert benchmark.main(["--queries", str(shop / "sql" / "orders"), "--url", server_url]) == 0
    assert "add: not run, since writes run only on a copy" in capsys.readouterr().out
