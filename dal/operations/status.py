"""Which migrations a database has seen, and which are still to come."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from dal.database import DatabaseManager
from dal.errors import MigrationFailed, UndefinedTable
from dal.operations.lifecycle import QUERIES
from dal.operations.migrate import migration_ids, migrations_of, systems_in
from dal.values import UtcDatetime

State = Literal["applied", "pending", "torn", "unknown"]
"""``torn``: only one of schema_versions and yoyo's own table has it, since a run was killed between the
two. ``unknown``: it was applied, and there is no file of it."""

_DEPENDS = re.compile(r"^--\s*depends:\s*(.+)$", re.MULTILINE)


class MigrationState(BaseModel):
    """One migration, in the tree or in the database.

    Attributes:
        file: Where it is; None if it is unknown.
        applied_at: None if it is pending.
    """

    model_config = ConfigDict(frozen=True)

    migration: str
    state: State
    file: Path | None
    applied_at: UtcDatetime | None


async def migration_states(
    db: DatabaseManager, systems: Iterable[str] | None = None, *, root: Path | None = None
) -> list[MigrationState]:
    """Return all migrations in the order in which they are applied, those without a file at the end.

    Args:
        db: A connected manager.
        systems: None takes all of *root*.
        root: Where the migrations lie; None takes those that come with `dal`.

    Raises:
        ConfigurationError: A system has no migrations for this engine.
        MigrationFailed: The migrations depend on each other in a circle, or on one that is not there.
    """
    chosen = systems_in(root) if systems is None else tuple(systems)
    files = in_order([migrations_of(system, db.engine_name, root=root) for system in chosen])
    try:
        recorded = {row.version_id: row.applied_at for row in await db.fetch_all(QUERIES.applied_migrations)}
    except UndefinedTable:
        recorded = {}
    try:
        by_yoyo = {row["migration_id"] for row in await db.fetch_all(QUERIES.yoyo_migrations)}
    except UndefinedTable:
        by_yoyo = set()
    known = {file.name.removesuffix(".sql"): file for file in files}
    strangers = sorted(
        name for name in {*recorded, *by_yoyo} - known.keys() if name.partition("-")[0] in chosen
    )
    found = []
    for name in (*known, *strangers):
        state: State = "pending"
        if name in recorded or name in by_yoyo:
            whole = name in recorded and name in by_yoyo
            state = "torn" if not whole else "applied" if name in known else "unknown"
        found.append(
            MigrationState(migration=name, state=state, file=known.get(name), applied_at=recorded.get(name))
        )
    return found


def in_order(folders: Iterable[Path]) -> list[Path]:
    """Return the migrations of *folders* as yoyo applies them: by dependency, else by folder and name.

    Raises:
        MigrationFailed: They depend on each other in a circle, or on one that is not there.
    """
    waiting = {name: folder / f"{name}.sql" for folder in folders for name in sorted(migration_ids(folder))}
    needs = {name: _dependencies(file) for name, file in waiting.items()}
    ordered: list[Path] = []
    done: set[str] = set()
    while waiting:
        ready = next((name for name in waiting if needs[name] <= done), None)
        if ready is None:
            name, missing = next((name, needs[name] - done) for name in waiting)
            raise MigrationFailed(
                f"{name} depends on {', '.join(sorted(missing))}, which is not there or depends on it",
                migration=name,
            )
        done.add(ready)
        ordered.append(waiting.pop(ready))
    return ordered


def _dependencies(file: Path) -> set[str]:
    head = file.read_text(encoding="utf-8").partition("\n\n")[0]
    return {name for line in _DEPENDS.findall(head) for name in line.split()}
