"""Every engine in turn: its case, an empty database, and a manager connected to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.engines import pool
from dal.queries import load_queries
from dal.settings import DatabaseSettings, Settings
from dal.tasks import Background
from tests.clock import Clock
from tests.conformance import things
from tests.conformance.steps import Steps, install
from tests.engine_cases import CASES, EngineCase, Place
from tests.servers import DatabaseServer

Places = Callable[[EngineCase], Place]
LetPass = Callable[[float], Awaitable[None]]


@pytest.fixture(scope="session")
def places() -> Iterator[Places]:
    """Starts the server of an engine when its first test comes."""
    with ExitStack() as servers:
        started: dict[str, Place] = {}

        def of(case: EngineCase) -> Place:
            if case.name not in started:
                started[case.name] = servers.enter_context(case.open())
            return started[case.name]

        yield of


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> EngineCase:
    """The engine under test; skips the test if it lacks what the claim needs."""
    found: EngineCase = request.param
    for mark in request.node.iter_markers("needs"):
        for capability in mark.args:
            if capability in found.lacks:
                pytest.skip(f"{found.name}: {found.lacks[capability]}")
    return found


@pytest.fixture
def place(case: EngineCase, places: Places) -> Place:
    """Where the engine's databases come from."""
    return places(case)


@pytest.fixture
def url(place: Place, patience: None, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database. No session on it outlives the test."""
    yield place.empty(tmp_path)
    place.assert_left_alone()


@pytest.fixture(scope="session")
def own_servers() -> Iterator[Callable[[EngineCase], DatabaseServer]]:
    """Starts the servers that tests may freeze, kill and fill, one of each engine."""
    with ExitStack() as servers:
        started: dict[str, DatabaseServer] = {}

        def of(case: EngineCase) -> DatabaseServer:
            assert case.server is not None, "the test needs Capability.SERVER"
            if case.name not in started:
                few = {case["connections option"]: "50"}
                started[case.name] = servers.enter_context(case.server(options=few))
            return started[case.name]

        yield of


@pytest.fixture
def own_server(
    case: EngineCase, own_servers: Callable[[EngineCase], DatabaseServer]
) -> Iterator[DatabaseServer]:
    """A server that the test may freeze, kill and start again."""
    server = own_servers(case)
    yield server
    server.thaw()


@pytest.fixture
def own_url(own_server: DatabaseServer) -> Iterator[str]:
    """The URL of an empty database on it."""
    with own_server.database() as name:
        yield own_server.url(name)


@pytest.fixture
def steps(case: EngineCase, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Sees every statement that goes to the driver."""
    return install(case, monkeypatch)


@pytest.fixture
def patience(case: EngineCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library gives up on a server after a few seconds it gives up after a minute."""
    if case.server is not None:
        monkeypatch.setattr(case["open seconds"], 60.0)
        monkeypatch.setattr(pool, "_CLEANUP_SECONDS", 60.0)
    if case.dialect == "mysql":  # the others stop what runs for a connection that is gone
        monkeypatch.setattr(pool, "_FAREWELL_SECONDS", 60.0)


@pytest.fixture
def let_pass(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> LetPass:
    """Puts the clock forward, once the library's own tasks have ended: they have time limits too."""
    own: set[asyncio.Task[Any]] = set()
    start = Background.start

    def noted(background: Background, *args: Any, **options: Any) -> asyncio.Task[Any]:
        task = start(background, *args, **options)
        own.add(task)
        task.add_done_callback(own.discard)
        return task

    async def passing(seconds: float) -> None:
        while own:
            await asyncio.wait(own)
        clock.forward(seconds)

    monkeypatch.setattr(Background, "start", noted)
    return passing


@pytest.fixture
async def time_flies(case: EngineCase, steps: Steps, let_pass: LetPass) -> AsyncIterator[None]:
    """An hour passes once an endless statement has gone to the driver.

    So the statement meets its time limit, if that is shorter, and whatever comes before it does not.
    """
    loop = asyncio.get_running_loop()
    hours: set[asyncio.Task[None]] = set()

    async def pass_an_hour() -> None:
        await asyncio.sleep(0.02)  # the server may have begun, or not: it is all the same
        await let_pass(3600)

    def begin() -> None:
        hours.add(asyncio.create_task(pass_an_hour()))

    steps.at_text_with(case.endless, lambda _: loop.call_soon_threadsafe(begin))
    yield
    for hour in hours:
        hour.cancel()


@pytest.fixture
def settings() -> Settings:
    """A small pool, and no environment variable."""
    return Settings(database=DatabaseSettings(pool_size=3, max_overflow=2))


@pytest.fixture
async def db(case: EngineCase, url: str, settings: Settings) -> AsyncIterator[DatabaseManager]:
    """A connected database with the table ``account``."""
    async with DatabaseManager(url, settings=settings) as manager:
        await manager.execute(case.account)
        yield manager


@pytest.fixture
async def thing_db(
    case: EngineCase, url: str, settings: Settings, tmp_path: Path
) -> AsyncIterator[DatabaseManager]:
    """A database with a table of every type, and queries that declare them."""
    file = tmp_path / "things.sql"
    file.write_text(things.FILE)
    queries = load_queries(file, models=[things.Thing])
    columns = ", ".join(f"{name} {case.types[kind]}" for name, kind in things.KINDS.items())
    async with DatabaseManager(url, settings=settings, queries=queries) as db:
        await db.execute(f"CREATE TABLE thing (id {case.key}, {columns}) {case['strict']}")
        yield db
