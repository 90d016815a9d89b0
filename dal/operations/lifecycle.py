"""A database from its first table to its last: making it, dropping it, making it anew.

Dropping is for development and tests. A database says that it is for one of them by the row of its table
``environment``; without that row it is production, and what drops everything refuses.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from dal.database import DatabaseManager
from dal.errors import UndefinedColumn, UndefinedTable, UsageError
from dal.models.base import MODELS, Environment
from dal.operations.migrate import BASE, migrate, rollback, systems_in
from dal.queries import load_queries
from dal.queries.files import shipped

QUERIES = load_queries(shipped("sql") / BASE, models=MODELS)
"""The named queries of what every system stands on."""

_MARKED_SINCE = "base-0002.environment"


async def init_db(
    database: str | DatabaseManager,
    *,
    environment: Environment | None = None,
    systems: Iterable[str] | None = None,
    root: Path | None = None,
) -> list[str]:
    """Bring a database up to date by its migrations, and return the ids of those applied.

    It may be called again and again: what is applied already is left alone.

    Args:
        database: A URL, as for `migrate`, or a connected manager, whose database may be ``:memory:``.
        environment: Marks the database as one that `drop_db` and `reset_db` may drop. Only one that
            this very call makes can be marked.
        systems: None takes all of *root*; `BASE` has to be among them for a mark.
        root: Where the migrations lie; None takes those that come with `dal`.

    Raises:
        UsageError: The database was there before, without this mark.
        ConfigurationError, CannotOpen, CorruptDatabase, MigrationFailed: See `migrate`.
    """
    if isinstance(database, str):
        async with DatabaseManager(database) as db:
            return await init_db(db, environment=environment, systems=systems, root=root)
    applied = await migrate(database.url, systems, root=root)
    if environment is None:
        return applied
    marked = await environment_of(database)
    if marked is None and _MARKED_SINCE in applied:
        await database.execute(QUERIES.mark_environment, {"name": environment})
    elif marked != environment:
        raise UsageError(
            f"the database was there before, and is marked as {marked or 'nothing, so it is production'}; "
            f"if it is for {environment}, its owner says so: "
            f"INSERT INTO environment (name) VALUES ('{environment}')"
        )
    return applied


async def environment_of(db: DatabaseManager) -> Environment | None:
    """Return what a database is marked to be for; None is production.

    An application may have a table ``environment`` of its own: what it says is no mark.
    """
    try:
        marked: Environment | None = await db.fetch_value(QUERIES.environment)
    except (UndefinedTable, UndefinedColumn):
        return None
    return marked if marked in get_args(Environment) else None


async def drop_db(database: str | DatabaseManager, *, root: Path | None = None) -> list[str]:
    """Drop all tables of all systems by their rollbacks, and return the ids of the migrations taken back.

    yoyo's own tables stay, and tell what was applied and taken back.

    Args:
        database: A URL, as for `migrate`, or a connected manager.
        root: Where the migrations lie; None takes those that come with `dal`.

    Raises:
        UsageError: The database is not marked as one for development or tests.
        ConfigurationError, CannotOpen, CorruptDatabase, MigrationFailed: See `migrate`.
    """
    if isinstance(database, str):
        async with DatabaseManager(database) as db:
            return await drop_db(db, root=root)
    if await environment_of(database) is None:
        raise UsageError(
            f"{database.public_url} is not marked as a database for development or tests; it stays as it is. "
            "init_db(url, environment=...) marks one that it makes"
        )
    return await rollback(database.url, everything=True, systems=systems_in(root), root=root)


async def reset_db(database: str | DatabaseManager, *, root: Path | None = None) -> list[str]:
    """Drop all tables and make them anew, empty, with the same mark; return the ids of what was applied.

    Args:
        database: A URL, as for `migrate`, or a connected manager.
        root: Where the migrations lie; None takes those that come with `dal`.

    Raises:
        UsageError: The database is not marked as one for development or tests.
        ConfigurationError, CannotOpen, CorruptDatabase, MigrationFailed: See `migrate`.
    """
    if isinstance(database, str):
        async with DatabaseManager(database) as db:
            return await reset_db(db, root=root)
    marked = await environment_of(database)
    dropped = await drop_db(database, root=root)
    systems = {migration.partition("-")[0] for migration in dropped}
    order = [system for system in systems_in(root) if system in systems]
    return await init_db(database, environment=marked, systems=order, root=root)
