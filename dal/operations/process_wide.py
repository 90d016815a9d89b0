"""One manager for a whole process, for applications that would rather not hand one around.

It belongs to the event loop that made it. Code that takes an `Executor` is easier to test.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dal.database import DatabaseManager
from dal.errors import UsageError
from dal.operations.lifecycle import init_db
from dal.queries import Queries
from dal.settings import Settings

_manager: DatabaseManager | None = None
_ready = False  # True from when `init_db_manager` returns the manager until it is closed


async def init_db_manager(
    url: str | None = None,
    *,
    queries: Queries | None = None,
    settings: Settings | None = None,
    systems: Iterable[str] | None = None,
    root: Path | None = None,
) -> DatabaseManager:
    """Connect the manager of this process, bring its database up to date, and return it.

    Args:
        url: As for `DatabaseManager`.
        queries: As for `DatabaseManager`.
        settings: As for `DatabaseManager`.
        systems: As for `init_db`; ``()`` applies no migration, where a deploy does that.
        root: As for `init_db`.

    Raises:
        UsageError: There is one already, or one being made; `close_db_manager` comes first. Or it was
            closed while it was being made.
        ConfigurationError, DatabaseError, MigrationFailed: See `DatabaseManager` and `init_db`.
    """
    global _manager, _ready
    if _manager is not None:
        raise UsageError(f"this process has a manager already: {_manager!r}; await close_db_manager() first")
    _manager = manager = DatabaseManager(url, queries=queries, settings=settings)
    try:
        await manager.connect()
        chosen = None if systems is None else tuple(systems)
        if chosen != ():
            await init_db(manager, systems=chosen, root=root)
        if _manager is not manager:
            raise UsageError("the manager of this process was closed while it was being made")
    except BaseException:
        if _manager is manager:
            _manager = None
        await manager.disconnect()
        raise
    _ready = True
    return manager


def get_db_manager() -> DatabaseManager:
    """Return the manager of this process.

    Raises:
        UsageError: `init_db_manager` was not awaited, or has not returned yet.
    """
    if _manager is None:
        raise UsageError("this process has no manager: await init_db_manager() first")
    if not _ready:
        raise UsageError("the manager of this process is being made: init_db_manager() has not returned yet")
    return _manager


async def close_db_manager() -> None:
    """Disconnect the manager of this process, and forget it; does nothing if there is none."""
    global _manager, _ready
    manager, _manager, _ready = _manager, None, False
    if manager is not None:
        await manager.disconnect()
