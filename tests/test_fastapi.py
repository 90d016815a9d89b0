"""A FastAPI application: real requests through its ASGI interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from dal import load_queries
from dal.errors import UsageError
from dal.fastapi import Database, lifespan
from dal.settings import Settings


@pytest.fixture
async def app(url: str, settings: Settings) -> AsyncIterator[FastAPI]:
    """An application that counts visits, running."""
    made = FastAPI(lifespan=lifespan(url, settings=settings))

    @made.post("/visits/{name}")
    async def visit(name: str, db: Database) -> int:
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO visit (name) VALUES (?)", [name])
            if name == "nobody":
                raise ValueError("nobody visits")
            count: int = await tx.fetch_value("SELECT count(*) FROM visit")
        return count

    @made.get("/visits")
    async def visits(db: Database) -> list[str]:
        return [row["name"] for row in await db.fetch_all("SELECT name FROM visit ORDER BY visit_id")]

    async with made.router.lifespan_context(made):
        await made.state.db.execute("CREATE TABLE visit (visit_id INTEGER PRIMARY KEY, name TEXT) STRICT")
        yield made


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose requests go to the application."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


async def test_requests_share_one_manager(client: httpx.AsyncClient) -> None:
    """What one request wrote, the next one reads; many at once lose nothing."""
    answers = await asyncio.gather(*(client.post(f"/visits/guest-{number}") for number in range(20)))
    assert sorted(answer.json() for answer in answers) == list(range(1, 21))
    assert len((await client.get("/visits")).json()) == 20


async def test_a_failed_request_stores_nothing(client: httpx.AsyncClient) -> None:
    """The block of the endpoint is rolled back before the answer is sent."""
    assert (await client.post("/visits/nobody")).status_code == 500
    assert (await client.get("/visits")).json() == []


async def test_the_database_is_disconnected_at_the_end(url: str, settings: Settings) -> None:
    """After the application has ended its manager cannot be used, and is not found."""
    made = FastAPI(lifespan=lifespan(url, settings=settings))
    async with made.router.lifespan_context(made):
        db = made.state.db
        assert await db.fetch_value("SELECT 1") == 1
    with pytest.raises(UsageError, match="not connected"):
        await db.fetch_value("SELECT 1")
    assert not hasattr(made.state, "db")


async def test_an_application_without_lifespan_says_so() -> None:
    """The error names what is missing."""
    made = FastAPI()

    @made.get("/")
    async def read(db: Database) -> int:
        return 1

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=made), base_url="http://test") as client:
        with pytest.raises(UsageError, match=r"FastAPI\(lifespan="):
            await client.get("/")


async def test_queries_are_handed_on(url: str, settings: Settings, tmp_path: Path) -> None:
    """An endpoint finds the named queries on its manager."""
    (tmp_path / "queries.sql").write_text("-- name: answer() :value\nSELECT 42;\n")
    made = FastAPI(lifespan=lifespan(url, queries=load_queries(tmp_path), settings=settings))

    @made.get("/")
    async def read(db: Database) -> int:
        value: int = await db.fetch_value(db.queries.answer)
        return value

    async with made.router.lifespan_context(made):
        transport = httpx.ASGITransport(app=made)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            assert (await client.get("/")).json() == 42
