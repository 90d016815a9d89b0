"""Migrations: their form, and that they lead to the schema files and back."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlparse

from tests.documents.samples import BASE_SCHEMA, ROOT, ROWS, SCHEMA, insert

FOLDERS = [ROOT / "migrations" / "base" / "sqlite", ROOT / "migrations" / "documents" / "sqlite"]
MIGRATIONS = [
    path for folder in FOLDERS for path in sorted(folder.glob("*.sql")) if ".rollback." not in path.name
]
IDS = [path.stem for path in MIGRATIONS]

CREATE = re.compile(r"CREATE (?:VIRTUAL )?(?P<kind>TABLE|INDEX|TRIGGER) (?P<name>\w+)")
DROP = re.compile(r"DROP (?P<kind>TABLE|INDEX|TRIGGER) (?P<name>\w+);")


def statements(path: Path) -> list[str]:
    """The statements of a file as yoyo cuts them, without comments."""
    return [
        sqlparse.format(text, strip_comments=True).strip()
        for text in sqlparse.split(path.read_text())
        if sqlparse.format(text, strip_comments=True).strip()
    ]


def rollback_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}.rollback.sql")


class Checkout:
    """A copy of what `yoyo apply` needs, in a folder with a blank in its name."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        shutil.copy(ROOT / "yoyo.ini", folder)
        shutil.copytree(ROOT / "migrations", folder / "migrations")
        self.folder = folder
        self.file = folder / "dal.db"

    def yoyo(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "yoyo", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def connect(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(self.file, isolation_level=None))

    def catalog(self) -> dict[str, object]:
        with self.connect() as connection:
            return catalog(connection)

    def fill(self) -> None:
        """Put one row into each table that has none."""
        with self.connect() as connection:
            for table, row in ROWS.items():
                if connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,):
                    connection.execute(insert(table, row), row)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "check out")


def catalog(connection: sqlite3.Connection) -> dict[str, object]:
    """All that SQLite knows of a database's objects, apart from its own and yoyo's."""
    objects = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        " WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE '%yoyo%' AND tbl_name NOT LIKE '%yoyo%'"
    ).fetchall()
    found: dict[str, object] = {}
    for kind, name, table, sql in objects:
        details = [
            connection.execute(f"SELECT * FROM pragma_{pragma}(?)", (name,)).fetchall()
            for pragma in ("table_xinfo", "foreign_key_list", "index_list", "index_xinfo")
        ]
        indexes = [
            connection.execute("SELECT * FROM pragma_index_xinfo(?)", (index[1],)).fetchall()
            for index in details[2]
        ]
        found[name] = (kind, table, normal(sql), details, indexes)
    return found


def normal(sql: str) -> str:
    return " ".join(sqlparse.format(sql, strip_comments=True).split())


def of_schema_files() -> dict[str, object]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(BASE_SCHEMA)
        connection.executescript(SCHEMA)
        return catalog(connection)


@pytest.mark.parametrize("path", MIGRATIONS, ids=IDS)
class TestForm:
    """What protects a database from how yoyo reads files."""

    def test_opens_with_its_reason(self, path: Path) -> None:
        """The first line is a sentence that says why."""
        assert re.fullmatch(r"-- [A-Z].*\.", path.read_text().splitlines()[0])

    def test_depends_on_the_one_before(self, path: Path) -> None:
        """Each names its predecessor, so that the order is declared, not guessed."""
        number = MIGRATIONS.index(path)
        depends = re.findall(r"^-- depends: (.*)$", path.read_text(), re.MULTILINE)
        assert depends == IDS[max(number - 1, 0) : number]

    def test_name_sorts(self, path: Path) -> None:
        """The id is system-0001.what, so that text order is number order."""
        assert re.fullmatch(r"(base|documents)-\d{4}\.[a-z_]+", path.stem)

    def test_creates_one_table(self, path: Path) -> None:
        """One table, with what belongs to it."""
        kinds = [found["kind"] for text in statements(path) if (found := CREATE.match(text))]
        assert kinds.count("TABLE") == 1

    def test_ends_with_its_version(self, path: Path) -> None:
        """The last statement records the migration, in the same transaction."""
        last = statements(path)[-1]
        assert last.startswith("INSERT INTO schema_versions")
        assert f"'{path.stem}'" in last
        assert f"'{path.relative_to(ROOT / 'migrations')}'" in last

    def test_rollback_begins_with_its_version(self, path: Path) -> None:
        """The first rollback statement removes the record."""
        first = normal(statements(rollback_of(path))[0])
        assert first == f"DELETE FROM schema_versions WHERE version_id = '{path.stem}';"

    def test_rollback_mirrors(self, path: Path) -> None:
        """yoyo pairs statements by position: what is made last is dropped first, with none left out."""
        forth, back = statements(path), statements(rollback_of(path))
        assert len(forth) == len(back)
        for made, undone in zip(forth, reversed(back), strict=True):
            created, dropped = CREATE.match(made), DROP.fullmatch(undone)
            assert bool(created) == bool(dropped)
            if created and dropped:
                assert created.group("kind", "name") == dropped.group("kind", "name")

    def test_no_transaction_control(self, path: Path) -> None:
        """A COMMIT in the file would end yoyo's transaction."""
        verbs = {text.split()[0] for text in statements(path) + statements(rollback_of(path))}
        assert verbs <= {"CREATE", "DROP", "INSERT", "DELETE"}

    def test_is_plain_text(self, path: Path) -> None:
        """No byte order mark, no other character that a C locale cannot read."""
        assert path.read_bytes().isascii()


def test_every_file_is_a_migration_or_its_rollback() -> None:
    """yoyo takes a misspelt .rollback.sql for a migration."""
    expected = {path for migration in MIGRATIONS for path in (migration, rollback_of(migration))}
    assert {path for folder in FOLDERS for path in folder.iterdir()} == expected


def test_applied_migrations_are_the_schema(checkout: Checkout) -> None:
    """`yoyo apply` from the root leads to the catalog of the schema files."""
    checkout.yoyo("apply")
    assert checkout.catalog() == of_schema_files()


def test_versions_agree_with_yoyo(checkout: Checkout) -> None:
    """schema_versions and yoyo's own table name the same migrations."""
    checkout.yoyo("apply")
    with checkout.connect() as connection:
        ours = connection.execute("SELECT version_id FROM schema_versions ORDER BY version_id").fetchall()
        theirs = connection.execute("SELECT migration_id FROM _yoyo_migration ORDER BY 1").fetchall()
    assert ours == theirs == [(migration,) for migration in sorted(IDS)]


def test_rows_are_the_schemas(checkout: Checkout) -> None:
    """The migrations put in the rows that the schema file puts in, and no others."""
    checkout.yoyo("apply")
    with closing(sqlite3.connect(":memory:")) as fresh, checkout.connect() as migrated:
        fresh.executescript(SCHEMA)
        for table in ROWS:
            rows = f"SELECT * FROM {table}"
            assert migrated.execute(rows).fetchall() == fresh.execute(rows).fetchall()


def test_apply_twice_does_nothing(checkout: Checkout) -> None:
    """A second run finds nothing to do."""
    checkout.yoyo("apply")
    before = checkout.file.read_bytes()
    checkout.yoyo("apply")
    assert len(checkout.file.read_bytes()) == len(before)
    assert checkout.catalog() == of_schema_files()


def test_rollback_leaves_nothing(checkout: Checkout) -> None:
    """`yoyo rollback` removes every object, with rows in all tables."""
    checkout.yoyo("apply")
    checkout.fill()
    checkout.yoyo("rollback", "--all")
    assert checkout.catalog() == {}


def test_each_step_down_and_up(checkout: Checkout) -> None:
    """From each migration back to before it and up again is the same schema, with rows present."""
    checkout.yoyo("apply")
    for number in reversed(range(len(IDS))):
        checkout.fill()
        checkout.yoyo("rollback", "-r", IDS[number])
        with checkout.connect() as connection:
            left = {name for name in ("schema_versions", *ROWS) if _exists(connection, name)}
        assert left == _tables_until(number)
        checkout.yoyo("apply")
        assert checkout.catalog() == of_schema_files()


def test_search_index_finds_what_was_there(checkout: Checkout) -> None:
    """The full-text migration indexes the documents that exist already."""
    checkout.yoyo("apply")
    checkout.fill()
    checkout.yoyo("rollback", "-r", "documents-0007.document_search")
    checkout.yoyo("apply")
    with checkout.connect() as connection:
        found = connection.execute("SELECT rowid FROM document_search WHERE document_search MATCH 'some'")
        assert found.fetchall() == [(1,)]


def test_a_failing_migration_changes_nothing(checkout: Checkout) -> None:
    """If a table exists already, the migration fails as a whole and destroys nothing."""
    with checkout.connect() as connection:
        connection.execute("CREATE TABLE feedback_events (precious TEXT)")
        connection.execute("INSERT INTO feedback_events VALUES ('kept')")
    with pytest.raises(AssertionError, match="feedback_events already exists"):
        checkout.yoyo("apply")
    with checkout.connect() as connection:
        assert connection.execute("SELECT precious FROM feedback_events").fetchall() == [("kept",)]
        assert not _exists(connection, "usage_signals")


def _exists(connection: sqlite3.Connection, name: str) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", (name,))
    return found.fetchone() is not None


def _tables_until(number: int) -> set[str]:
    names = {migration.partition(".")[2] for migration in IDS[:number]}
    return names & {"schema_versions", *ROWS}
