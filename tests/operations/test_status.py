"""Which migrations a database has seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.errors import MigrationFailed
from dal.operations.migrate import migrate, rollback
from dal.operations.status import in_order, migration_states
from tests.systems.fixtures import NewUrl
from tests.systems.registry import ENGINES

SYSTEMS = ("base", "documents")


async def states(db: DatabaseManager, root: Path | None = None) -> dict[str, str]:
    found = await migration_states(db, None if root else SYSTEMS, root=root)
    return {state.migration: state.state for state in found}


@pytest.mark.parametrize("engine", ENGINES)
async def test_pending_becomes_applied(new_url: NewUrl, engine: str) -> None:
    """In the order in which they are applied; only what was applied has a time."""
    with new_url(engine) as url:
        async with DatabaseManager(url) as db:
            assert set((await states(db)).values()) == {"pending"}
            applied = await migrate(url, SYSTEMS)
            await rollback(url, systems=SYSTEMS)
            found = await migration_states(db, SYSTEMS)
            assert [state.migration for state in found] == applied
            assert [state.state for state in found] == ["applied"] * (len(applied) - 1) + ["pending"]
            assert [state.applied_at is None for state in found] == [False] * (len(applied) - 1) + [True]
            assert all(state.file is not None and state.file.is_file() for state in found)


@pytest.mark.parametrize("engine", ENGINES)
async def test_torn_and_unknown(new_url: NewUrl, engine: str) -> None:
    """A run that was killed between the change and yoyo's own note, and a migration whose file is gone."""
    with new_url(engine) as url:
        newest = (await migrate(url, SYSTEMS))[-1]
        async with DatabaseManager(url) as db:
            await db.execute("DELETE FROM _yoyo_migration WHERE migration_id = ?", [newest])
            await db.execute("INSERT INTO schema_versions (version_id) VALUES ('documents-0099.lost')")
            noted = "INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('h', ?)"
            await db.execute(noted, ["documents-0099.lost"])
            await db.execute("INSERT INTO schema_versions (version_id) VALUES ('others-0001.thing')")
            found = await states(db)
    assert found[newest] == "torn"
    assert found["documents-0099.lost"] == "unknown"
    assert "others-0001.thing" not in found  # a system that was not asked for
    assert list(found)[-1] == "documents-0099.lost"


def written(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, depends in files.items():
        (folder / f"{name}.sql").write_text(f"-- depends: {depends}\n\nSELECT 1;" if depends else "SELECT 1;")
    return folder


def test_order_is_by_dependency_then_folder_and_name(tmp_path: Path) -> None:
    """As yoyo has it."""
    one = written(tmp_path / "one", a="z", b="", c="a b")
    other = written(tmp_path / "other", z="")
    assert [file.stem for file in in_order([one, other])] == ["b", "z", "a", "c"]


def test_a_circle_is_named(tmp_path: Path) -> None:
    """And what is missing."""
    with pytest.raises(MigrationFailed, match="a depends on b, which is not there or depends on it"):
        in_order([written(tmp_path / "one", a="b", b="a")])
    with pytest.raises(MigrationFailed, match="a depends on lost"):
        in_order([written(tmp_path / "two", a="lost")])
