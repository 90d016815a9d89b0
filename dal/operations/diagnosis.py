"""What a database says of itself: whether it answers, and what it is. No password is in any answer."""

from __future__ import annotations

import time

from pydantic import BaseModel, ConfigDict

from dal.database import DatabaseManager
from dal.errors import DalError, UndefinedTable
from dal.models.base import AppliedMigration, Environment
from dal.operations.lifecycle import QUERIES, environment_of


class Health(BaseModel):
    """Whether a database answers.

    Attributes:
        seconds: How long it took.
        problem: What was wrong if it did not.
    """

    model_config = ConfigDict(frozen=True)

    ok: bool
    seconds: float
    problem: str | None = None


class ConnectionCount(BaseModel):
    """The connections of a manager: open, held by a call, and the calls in line for one."""

    model_config = ConfigDict(frozen=True)

    open: int
    in_use: int
    waiting: int


class DatabaseInfo(BaseModel):
    """What a database is.

    Attributes:
        engine: ``sqlite``, ``postgresql`` or ``mysql``.
        url: Without its password.
        environment: What it is marked to be for; None is production.
        tables: By name.
        schema_version: The newest migration of each system, by system.
        migrations: All that were applied, in their order.
    """

    model_config = ConfigDict(frozen=True)

    engine: str
    server_version: str
    url: str
    environment: Environment | None
    tables: list[str]
    schema_version: dict[str, str]
    migrations: list[AppliedMigration]
    connections: ConnectionCount


async def health_check(db: DatabaseManager, *, timeout: float = 5) -> Health:
    """Ask *db* for a sign of life. A database that is away is an answer, not an error.

    Args:
        timeout: Seconds.

    Raises:
        UsageError: *db* is not connected.
    """
    outside = db.outside()
    begun = time.perf_counter()
    try:
        await outside.fetch_value(QUERIES.probe, timeout=timeout)
    except DalError as error:
        return Health(ok=False, seconds=time.perf_counter() - begun, problem=str(error))
    return Health(ok=True, seconds=time.perf_counter() - begun)


async def database_info(db: DatabaseManager) -> DatabaseInfo:
    """Return what *db* is, for people and for reports of errors.

    Raises:
        DatabaseError: It does not answer.
    """
    try:
        migrations = await db.fetch_all(QUERIES.applied_migrations)
    except UndefinedTable:
        migrations = []
    by_system: dict[str, str] = {}
    for migration in migrations:
        system = migration.version_id.partition("-")[0]
        by_system[system] = max(migration.version_id, by_system.get(system, ""))
    return DatabaseInfo(
        engine=db.engine_name,
        server_version=await db.fetch_value(QUERIES.server_version),
        url=db.public_url,
        environment=await environment_of(db),
        tables=[row[0] for row in await db.fetch_all(QUERIES.table_names)],
        schema_version=by_system,
        migrations=migrations,
        connections=ConnectionCount(**db.connections._asdict()),
    )
