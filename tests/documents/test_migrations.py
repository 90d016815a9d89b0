"""Migrations: their form, and that they lead to the schema files and back, on each engine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlparse

from dal.queries.dialects import DIALECTS
from dal.queries.scanner import split_statements
from dal.repositories.documents import QUERIES
from tests.documents.conftest import NewDatabase, NewUrl
from tests.documents.engines import ENGINES, SERVERS, Plain, normal, opened
from tests.documents.samples import ROOT, ROWS


def folders(engine: str) -> list[Path]:
    return [ROOT / "migrations" / system / engine for system in ("base", "documents")]


def migrations(engine: str) -> list[Path]:
    return [
        path
        for folder in folders(engine)
        for path in sorted(folder.glob("*.sql"))
        if ".rollback." not in path.name
    ]


MIGRATIONS = {engine: migrations(engine) for engine in ENGINES}
IDS = [path.stem for path in MIGRATIONS["sqlite"]]

CREATE = re.compile(r"CREATE (?:VIRTUAL )?(?P<kind>TABLE|INDEX|TRIGGER|FUNCTION) (?P<name>\w+)")
DROP = re.compile(r"DROP (?P<kind>TABLE|INDEX|TRIGGER|FUNCTION) (?P<name>\w+)[^;]*;")
ADDED = re.compile(r"ADD (COLUMN|FULLTEXT INDEX) (\w+)")
DROPPED = re.compile(r"DROP (COLUMN|INDEX) (\w+)")
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s';"


def statements(path: Path) -> list[str]:
    """The statements of a file as yoyo cuts them, without comments."""
    texts = map(normal, sqlparse.split(path.read_text()))
    return [text for text in texts if text]


def changes(path: Path) -> list[str]:
    """The statements of a file but PostgreSQL's first, which changes nothing."""
    return [text for text in statements(path) if text != LOCK_TIMEOUT]


def rollback_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}.rollback.sql")


class Checkout:
    """A copy of what `yoyo apply` needs, in a folder with a blank in its name, and a database."""

    def __init__(self, folder: Path, database: Plain) -> None:
        folder.mkdir(exist_ok=True)
        shutil.copy(ROOT / "yoyo.ini", folder)
        shutil.copytree(ROOT / "migrations", folder / "migrations")
        self.folder = folder
        self.database = database

    def yoyo(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "yoyo", *arguments, *self._database()],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _database(self) -> list[str]:
        if self.database.engine == "sqlite":
            return []  # as yoyo.ini says
        url = self.database.url.replace("postgresql://", "postgresql+psycopg://")
        return ["--database", url, *self.database.folders]


@pytest.fixture(params=ENGINES)
def checkout(request: pytest.FixtureRequest, new_url: NewUrl, tmp_path: Path) -> Iterator[Checkout]:
    """A checkout with an empty database, on each engine in turn."""
    folder = tmp_path / "check out"
    folder.mkdir()
    if request.param == "sqlite":
        with opened(f"sqlite:///{folder}/dal.db") as database:
            yield Checkout(folder, database)
    else:
        with new_url(request.param) as url, opened(url) as database:
            yield Checkout(folder, database)


@pytest.fixture(scope="module")
def of_schema_files(new_database: NewDatabase) -> dict[str, dict[str, object]]:
    """The catalog that the schema files lead to, on each engine."""
    found = {}
    for engine in ENGINES:
        with new_database(engine) as database:
            found[engine] = database.catalog()
    return found


EVERY = [(engine, path) for engine, paths in MIGRATIONS.items() for path in paths]


@pytest.mark.parametrize(("engine", "path"), EVERY, ids=[f"{engine}-{path.stem}" for engine, path in EVERY])
class TestForm:
    """What protects a database from how yoyo reads files."""

    def test_opens_with_its_reason(self, engine: str, path: Path) -> None:
        """The first line is a sentence that says why, the same on every engine."""
        first = path.read_text().splitlines()[0]
        assert re.fullmatch(r"-- [A-Z].*\.", first)
        assert first == MIGRATIONS["sqlite"][IDS.index(path.stem)].read_text().splitlines()[0]

    def test_depends_on_the_one_before(self, engine: str, path: Path) -> None:
        """Each names its predecessor, so that the order is declared, not guessed."""
        number = IDS.index(path.stem)
        depends = re.findall(r"^-- depends: (.*)$", path.read_text(), re.MULTILINE)
        assert depends == IDS[max(number - 1, 0) : number]

    def test_name_sorts(self, engine: str, path: Path) -> None:
        """The id is system-0001.what, so that text order is number order."""
        assert re.fullmatch(r"(base|documents)-\d{4}\.[a-z_]+", path.stem)

    def test_is_about_one_table(self, engine: str, path: Path) -> None:
        """One table is made, or one altered, with what belongs to it."""
        texts = changes(path)
        made = [found["kind"] for text in texts if (found := CREATE.match(text))].count("TABLE")
        altered = [text for text in texts if text.startswith("ALTER TABLE")]
        assert made + len(altered) == 1

    def test_ends_with_its_version(self, engine: str, path: Path) -> None:
        """The last statement records the migration, in the same transaction where there is one."""
        last = statements(path)[-1]
        assert last.startswith("INSERT INTO schema_versions")
        assert f"'{path.stem}'" in last
        assert f"'{path.relative_to(ROOT / 'migrations')}'" in last

    def test_rollback_begins_with_its_version(self, engine: str, path: Path) -> None:
        """The first rollback statement removes the record."""
        first = changes(rollback_of(path))[0]
        assert first == f"DELETE FROM schema_versions WHERE version_id = '{path.stem}';"

    def test_rollback_mirrors(self, engine: str, path: Path) -> None:
        """yoyo pairs statements by position: what is made last is dropped first, with none left out."""
        forth, back = changes(path), changes(rollback_of(path))
        assert len(forth) == len(back)
        for made, undone in zip(forth, reversed(back), strict=True):
            created, dropped = CREATE.match(made), DROP.fullmatch(undone)
            assert bool(created) == bool(dropped)
            if created and dropped:
                assert created.group("kind", "name") == dropped.group("kind", "name")
            added = [(kind.removeprefix("FULLTEXT "), name) for kind, name in ADDED.findall(made)]
            if made.startswith("ALTER"):
                assert DROPPED.findall(undone) == added[::-1]

    def test_no_transaction_control(self, engine: str, path: Path) -> None:
        """A COMMIT in the file would end yoyo's transaction."""
        verbs = {text.split()[0] for text in changes(path) + changes(rollback_of(path))}
        assert verbs <= {"CREATE", "ALTER", "DROP", "INSERT", "DELETE"}
        assert "transactional:" not in path.read_text()

    def test_waits_for_no_lock(self, engine: str, path: Path) -> None:
        """On PostgreSQL a file begins with a bound to its waiting; so does its rollback."""
        for file in (path, rollback_of(path)):
            assert (statements(file)[0] == LOCK_TIMEOUT) == (engine == "postgresql")

    def test_is_cut_as_by_dal(self, engine: str, path: Path) -> None:
        """yoyo's scanner and the library's agree where a statement ends."""
        for file in (path, rollback_of(path)):
            own = split_statements(file.read_text(), DIALECTS[engine])
            assert [normal(f"{text};") for text in own] == statements(file)

    def test_is_plain_text(self, engine: str, path: Path) -> None:
        """No byte order mark, no other character that a C locale cannot read."""
        assert path.read_bytes().isascii()

    def test_indexes_are_made_with_their_table(self, engine: str, path: Path) -> None:
        """On MariaDB nothing but triggers is left for a second statement: each commits by itself."""
        if engine == "mysql":
            kinds = [found["kind"] for text in changes(path) if (found := CREATE.match(text))]
            assert set(kinds[1:]) <= {"TRIGGER"}


@pytest.mark.parametrize("engine", SERVERS)
def test_same_ids_everywhere(engine: str) -> None:
    """An application asks for a version by the same name on every engine."""
    assert [path.stem for path in MIGRATIONS[engine]] == IDS


@pytest.mark.parametrize("engine", ENGINES)
def test_every_file_is_a_migration_or_its_rollback(engine: str) -> None:
    """yoyo takes a misspelt .rollback.sql for a migration."""
    expected = {path for migration in MIGRATIONS[engine] for path in (migration, rollback_of(migration))}
    assert {path for folder in folders(engine) for path in folder.iterdir()} == expected


def test_applied_migrations_are_the_schema(
    checkout: Checkout, of_schema_files: dict[str, dict[str, object]]
) -> None:
    """`yoyo apply` from the root leads to the catalog of the schema files."""
    checkout.yoyo("apply")
    assert checkout.database.catalog() == of_schema_files[checkout.database.engine]


def test_versions_agree_with_yoyo(checkout: Checkout) -> None:
    """schema_versions and yoyo's own table name the same migrations."""
    checkout.yoyo("apply")
    ours = checkout.database.rows("SELECT version_id FROM schema_versions")
    theirs = checkout.database.rows("SELECT migration_id FROM _yoyo_migration")
    assert sorted(ours) == sorted(theirs) == [(migration,) for migration in sorted(IDS)]


def test_rows_are_the_schemas(checkout: Checkout, new_database: NewDatabase) -> None:
    """The migrations put in the rows that the schema file puts in, and no others."""
    checkout.yoyo("apply")
    with new_database(checkout.database.engine) as fresh:
        for table in ROWS:
            rows = f"SELECT * FROM {table}"
            assert checkout.database.rows(rows) == fresh.rows(rows)


def test_apply_twice_does_nothing(checkout: Checkout, of_schema_files: dict[str, dict[str, object]]) -> None:
    """A second run finds nothing to do."""
    checkout.yoyo("apply")
    before = checkout.database.rows("SELECT * FROM schema_versions")
    checkout.yoyo("apply")
    assert checkout.database.rows("SELECT * FROM schema_versions") == before
    assert checkout.database.catalog() == of_schema_files[checkout.database.engine]


def test_rollback_leaves_nothing(checkout: Checkout) -> None:
    """`yoyo rollback` removes every object, with rows in all tables."""
    checkout.yoyo("apply")
    checkout.database.fill()
    checkout.yoyo("rollback", "--all", "--batch")
    assert checkout.database.catalog() == {}


@pytest.mark.slow
def test_each_step_down_and_up(checkout: Checkout, of_schema_files: dict[str, dict[str, object]]) -> None:
    """From each migration back to before it and up again is the same schema, with rows present."""
    checkout.yoyo("apply")
    for number in reversed(range(len(IDS))):
        checkout.database.fill()
        checkout.yoyo("rollback", "--batch", "-r", IDS[number])
        catalog = checkout.database.catalog()
        assert {name for name in ("schema_versions", *ROWS) if name in catalog} == _tables_until(number)
        checkout.yoyo("apply")
        assert checkout.database.catalog() == of_schema_files[checkout.database.engine]


def test_search_finds_what_was_there(checkout: Checkout) -> None:
    """The full-text migration indexes the documents that exist already."""
    checkout.yoyo("apply")
    checkout.database.fill()
    checkout.yoyo("rollback", "--batch", "-r", "documents-0007.document_search")
    checkout.yoyo("apply")
    found = checkout.database.run(QUERIES.search_documents, words="some", page_size=10)
    assert [row[0] for row in found] == ["doc"]


def test_a_failing_migration_destroys_nothing(checkout: Checkout) -> None:
    """If a table exists already, the migration fails as a whole and leaves it as it was."""
    checkout.database.rows("CREATE TABLE feedback_events (precious VARCHAR(10))")
    checkout.database.rows("INSERT INTO feedback_events VALUES ('kept')")
    with pytest.raises(AssertionError, match=r"feedback_events.* already exists"):
        checkout.yoyo("apply")
    assert checkout.database.rows("SELECT precious FROM feedback_events") == [("kept",)]
    assert "usage_signals" not in checkout.database.catalog()


def _tables_until(number: int) -> set[str]:
    names = {migration.partition(".")[2] for migration in IDS[:number]}
    return names & {"schema_versions", *ROWS}


class TestFailingHalfWay:
    """On MariaDB each statement that changes the schema commits by itself, and yoyo undoes by position."""

    @pytest.fixture
    def checkout(self, new_url: NewUrl, tmp_path: Path) -> Iterator[Checkout]:
        """A database of MariaDB with all migrations before the fourth."""
        with new_url("mysql") as url, opened(url) as database:
            checkout = Checkout(tmp_path / "check out", database)
            checkout.yoyo("apply", "-r", IDS[IDS.index(FOURTH) - 1])
            yield checkout

    def after(self, checkout: Checkout, problem: str) -> set[str]:
        """Apply the rest, which fails; return what differs from what was there before, by name."""
        before = checkout.database.catalog()
        with pytest.raises(AssertionError, match=problem):
            checkout.yoyo("apply")
        after = checkout.database.catalog()
        return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}

    @pytest.mark.parametrize("name", ["content_metadata_updated_at", "content_metadata_source_deleted"])
    def test_trigger_exists(self, checkout: Checkout, name: str) -> None:
        """What the file had made before is dropped, and the trigger of that name is left alone."""
        checkout.database.rows(
            f"CREATE TRIGGER {name} BEFORE INSERT ON system_config FOR EACH ROW SET new.updated_by = 'x'"
        )
        assert self.after(checkout, "already exists") == set()

    def test_version_exists(self, checkout: Checkout) -> None:
        """If the last statement fails, all that the file had made is dropped."""
        checkout.database.rows(f"INSERT INTO schema_versions (version_id) VALUES ('{FOURTH}')")
        assert self.after(checkout, "Duplicate entry") == set()

    def test_can_be_applied_then(self, checkout: Checkout) -> None:
        """Once the obstacle is gone, the same command goes on."""
        checkout.database.rows(f"INSERT INTO schema_versions (version_id) VALUES ('{FOURTH}')")
        self.after(checkout, "Duplicate entry")
        checkout.database.rows(f"DELETE FROM schema_versions WHERE version_id = '{FOURTH}'")
        checkout.yoyo("apply")
        assert "usage_signals" in checkout.database.catalog()


FOURTH = "documents-0004.content_metadata"


def test_long_transaction_is_not_queued_behind(new_url: NewUrl, tmp_path: Path) -> None:
    """On PostgreSQL a migration that finds its table in use gives up, and changes nothing."""
    with new_url("postgresql") as url, opened(url) as database, opened(url) as other:
        checkout = Checkout(tmp_path / "check out", database)
        checkout.yoyo("apply", "-r", "documents-0006.document_chunks")
        other.rows("BEGIN")
        other.rows("SELECT count(*) FROM documents")
        before = database.catalog()
        with pytest.raises(AssertionError, match="lock timeout"):
            checkout.yoyo("apply")
        other.rows("ROLLBACK")
        assert database.catalog() == before
