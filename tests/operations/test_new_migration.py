"""The files of a new migration."""

from __future__ import annotations

from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.errors import ConfigurationError, MigrationFailed, UsageError
from dal.operations.migrate import migrate, rollback
from dal.operations.new_migration import new_migration
from tests.systems.fixtures import NewUrl
from tests.systems.registry import ENGINES

CHANGE = "CREATE TABLE orders (order_id INTEGER PRIMARY KEY)"


def fill_in(files: list[Path]) -> None:
    """Write a change in place of the line in angle brackets, and its mirror."""
    for file in files:
        statement = "DROP TABLE orders" if ".rollback." in file.name else CHANGE
        lines = [statement + ";" if line.startswith("<") else line for line in file.read_text().splitlines()]
        file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_new_migration_is_applied_and_taken_back(
    new_url: NewUrl, tmp_path: Path, engine: str
) -> None:
    """Once the change is written in, it works as the others do, and leaves its row in schema_versions."""
    identity, files = new_migration("shop", "orders", "What a customer's orders are.", root=tmp_path)
    fill_in(files)
    with new_url(engine) as url:
        assert (await migrate(url, root=tmp_path))[-1] == identity
        async with DatabaseManager(url) as db:
            row = await db.fetch_one(
                "SELECT description, migration_script FROM schema_versions WHERE version_id = ?", [identity]
            )
            assert row is not None
            assert tuple(row) == ("What a customer's orders are.", f"shop/{engine}/{identity}.sql")
            assert (tmp_path / row["migration_script"]).is_file()
            assert await rollback(url, root=tmp_path) == [identity]
            assert (
                await db.fetch_value("SELECT count(*) FROM schema_versions WHERE version_id = ?", [identity])
                == 0
            )


@pytest.mark.parametrize("engine", ENGINES)
async def test_it_cannot_be_applied_before_it_is_written(
    new_url: NewUrl, tmp_path: Path, engine: str
) -> None:
    """A forgotten line is an error, not a migration that did nothing."""
    identity, _ = new_migration("shop", "orders", "Orders.", root=tmp_path)
    with new_url(engine) as url:
        with pytest.raises(MigrationFailed) as caught:
            await migrate(url, root=tmp_path)
        assert caught.value.migration == identity
        async with DatabaseManager(url) as db:
            assert (
                await db.fetch_value("SELECT count(*) FROM schema_versions WHERE version_id = ?", [identity])
                == 0
            )


def test_numbers_count_and_each_depends_on_the_one_before(tmp_path: Path) -> None:
    """The first depends on the newest of base; every engine has the same ids."""
    first, _ = new_migration("shop", "orders", "Orders.", root=tmp_path)
    second, files = new_migration("shop", "prices", "Prices.", root=tmp_path)
    assert (first, second) == ("shop-0001.orders", "shop-0002.prices")
    for engine in ENGINES:
        folder = tmp_path / "shop" / engine
        assert "-- depends: base-0002.environment\n" in (folder / f"{first}.sql").read_text()
        assert f"-- depends: {first}\n" in (folder / f"{second}.sql").read_text()
    assert {file.parent.name for file in files} == set(ENGINES)
    assert len(files) == 2 * len(ENGINES)


@pytest.mark.parametrize(
    ("system", "what", "description"),
    [
        ("../shop", "orders", "Orders."),
        ("Shop", "orders", "Orders."),
        ("shop", "or ders", "Orders."),
        ("shop", "", "Orders."),
        ("shop", "orders", " "),
        ("shop", "orders", "Orders.\nDROP TABLE users;"),
    ],
)
def test_unusable_words_write_nothing(tmp_path: Path, system: str, what: str, description: str) -> None:
    """A name that would leave its folder, and a description of two lines, are refused."""
    with pytest.raises(UsageError):
        new_migration(system, what, description, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_engines_that_differ_are_mended_first(tmp_path: Path) -> None:
    """A migration that one engine lacks is named."""
    _, files = new_migration("shop", "orders", "Orders.", root=tmp_path)
    for file in files:
        if file.parent.name == "mysql":
            file.unlink()
    (tmp_path / "shop" / "mysql" / "shop-0001.other.sql").write_text("SELECT 1;")
    with pytest.raises(ConfigurationError, match=r"not every engine has shop-0001\.orders, shop-0001\.other"):
        new_migration("shop", "prices", "Prices.", root=tmp_path)
