"""A database for the requests of a FastAPI application.

    app = FastAPI(lifespan=lifespan("sqlite:///app.db"))

    @app.get("/users/{user_id}")
    async def user(user_id: int, db: Database) -> User | None:
        return await db.fetch_one(QUERIES.user, {"user_id": user_id})

There is no dependency that gives a transaction: FastAPI ends what a dependency yields only after the
answer was sent, so a client could be told of a write whose commit then fails. Open the block in the
endpoint: ``async with db.transaction() as tx``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from starlette.requests import HTTPConnection

from dal.database import DatabaseManager
from dal.errors import UsageError
from dal.queries import Queries
from dal.settings import Settings


def lifespan(
    url: str | None = None, *, queries: Queries | None = None, settings: Settings | None = None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return what ``FastAPI(lifespan=...)`` takes: a manager that is connected while the application runs.

    The arguments are those of `DatabaseManager`. Applying migrations is the deploy's task; an application
    that wants to do it awaits `init_db` before it is served.
    """

    @asynccontextmanager
    async def connected(app: FastAPI) -> AsyncIterator[None]:
        async with DatabaseManager(url, queries=queries, settings=settings) as db:
            app.state.db = db
            try:
                yield
            finally:
                del app.state.db

    return connected


async def get_db(connection: HTTPConnection) -> DatabaseManager:
    """Return the manager of the application that serves this request or WebSocket.

    Raises:
        UsageError: The application was made without `lifespan`, or is not running.
    """
    db = getattr(connection.app.state, "db", None)
    if not isinstance(db, DatabaseManager):
        raise UsageError("the application has no database: FastAPI(lifespan=dal.fastapi.lifespan(url))")
    return db


Database = Annotated[DatabaseManager, Depends(get_db)]
"""The type of an endpoint's parameter that is to be the database."""
