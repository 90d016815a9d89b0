"""Migrations: their form, and that they lead to the schema files and back, on each engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlparse

from dal.queries.dialects import DIALECTS
from dal.queries.scanner import split_statements
from tests.systems.checkouts import Checkout, Yoyo, checked_out
from tests.systems.engines import normal, opened
from tests.systems.fixtures import NewUrl, Schemas
from tests.systems.registry import (
    BASE,
    ENGINES,
    NAMES,
    ROOT,
    SERVERS,
    SYSTEMS,
    System,
    migrations_of,
    schema,
)

CREATE = re.compile(r"CREATE (?:VIRTUAL )?(?P<kind>TABLE|INDEX|TRIGGER|FUNCTION) (?P<name>\w+)")
DROP = re.compile(r"DROP (?P<kind>TABLE|INDEX|TRIGGER|FUNCTION) (?P<name>\w+)[^;]*;")
ADDED = re.compile(r"ADD (COLUMN|FULLTEXT INDEX) (\w+)")
DROPPED = re.compile(r"DROP (COLUMN|INDEX) (\w+)")
FIRST = "base-0001.schema_versions"
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s';"


def statements(path: Path) -> list[str]:
    """The statements of a file as yoyo cuts them, without comments."""
    texts = map(normal, sqlparse.split(path.read_text()))
    return [text for text in texts if text]


def changes(path: Path) -> list[str]:
    """The statements of a file but PostgreSQL's first, which changes nothing."""
    return [text for text in statements(path) if text != LOCK_TIMEOUT]


def dependencies(path: Path) -> list[str]:
    """What a migration says that it depends on."""
    return re.findall(r"^-- depends: (.*)$", path.read_text(), re.MULTILINE)


def rollback_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}.rollback.sql")


EVERY = sorted(
    {
        (engine, path)
        for system in SYSTEMS.values()
        for engine, paths in system.migrations.items()
        for path in paths
    }
)


@pytest.mark.parametrize(("engine", "path"), EVERY, ids=[f"{engine}-{path.stem}" for engine, path in EVERY])
class TestForm:
    """What protects a database from how yoyo reads files."""

    def test_opens_with_its_reason(self, engine: str, path: Path) -> None:
        """The first line is a sentence that says why, the same on every engine."""
        first = path.read_text().splitlines()[0]
        assert re.fullmatch(r"-- [A-Z].*\.", first)
        assert first == (path.parent.with_name("sqlite") / path.name).read_text().splitlines()[0]

    def test_depends_on_the_one_before(self, engine: str, path: Path) -> None:
        """Each names its predecessor, so that the order is declared, not guessed."""
        system = path.parent.parent.name
        first = [] if system == BASE else [FIRST]
        chain = [*first, *(other.stem for other in migrations_of(system, engine))]
        assert dependencies(path) == chain[: chain.index(path.stem)][-1:]

    def test_name_sorts(self, engine: str, path: Path) -> None:
        """The id is system-0001.what, so that text order is number order."""
        assert re.fullmatch(rf"{path.parent.parent.name}-\d{{4}}\.[a-z_]+", path.stem)

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
        assert verbs <= {"CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE"}
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


Checkouts = Callable[[str, System], AbstractContextManager[Checkout]]

every_system = pytest.mark.parametrize("system", SYSTEMS.values(), ids=repr)
every_engine = pytest.mark.parametrize("engine", ENGINES)


@every_system
@pytest.mark.parametrize("engine", SERVERS)
def test_same_ids_everywhere(engine: str, system: System) -> None:
    """An application asks for a version by the same name on every engine."""
    assert [path.stem for path in system.migrations[engine]] == system.ids


@every_system
@every_engine
def test_every_file_is_a_migration_or_its_rollback(engine: str, system: System) -> None:
    """yoyo takes a misspelt .rollback.sql for a migration."""
    paths = system.migrations[engine]
    expected = {path for migration in paths for path in (migration, rollback_of(migration))}
    folders = [ROOT / "migrations" / name / engine for name in (BASE, system.name)]
    assert {path for folder in folders for path in folder.iterdir()} == expected


@pytest.fixture(scope="module")
def checkouts(new_url: NewUrl, yoyo: Yoyo, tmp_path_factory: pytest.TempPathFactory) -> Checkouts:
    """Gives a checkout with an empty database."""

    @contextmanager
    def new(engine: str, system: System) -> Iterator[Checkout]:
        with new_url(engine) as url, opened(url, system) as database:
            yield Checkout(tmp_path_factory.mktemp("deploy"), database, yoyo)

    return new


@pytest.fixture
def checkout(checkouts: Checkouts, engine: str, system: System) -> Iterator[Checkout]:
    """A checkout with an empty database."""
    with checkouts(engine, system) as checkout:
        yield checkout


@pytest.fixture(scope="module")
def appliances(checkouts: Checkouts) -> Iterator[Callable[[str, System], Checkout]]:
    """Gives a checkout whose migrations are applied, the same to all tests, which change nothing in it."""
    with ExitStack() as stack:
        made: dict[tuple[str, System], Checkout] = {}

        def of(engine: str, system: System) -> Checkout:
            if (engine, system) not in made:
                checkout = stack.enter_context(checkouts(engine, system))
                checkout.yoyo("apply")
                made[engine, system] = checkout
            return made[engine, system]

        yield of


@pytest.fixture
def applied(appliances: Callable[[str, System], Checkout], engine: str, system: System) -> Checkout:
    """A checkout whose migrations are applied. Nothing is changed in it."""
    return appliances(engine, system)


@pytest.fixture
def catalog(schemas: Schemas, engine: str, system: System) -> dict[str, object]:
    """The catalog that the schema files lead to."""
    return schemas(engine, system).catalog


@every_system
@every_engine
class TestApply:
    """`yoyo apply`, and the way back."""

    def test_applied_migrations_are_the_schema(self, applied: Checkout, catalog: dict[str, object]) -> None:
        """`yoyo apply` leads to the catalog of the schema files."""
        assert applied.database.catalog() == catalog

    def test_versions_agree_with_yoyo(self, applied: Checkout, system: System) -> None:
        """schema_versions and yoyo's own table name the same migrations."""
        ours = applied.database.rows("SELECT version_id FROM schema_versions")
        theirs = applied.database.rows("SELECT migration_id FROM _yoyo_migration")
        assert sorted(ours) == sorted(theirs) == [(migration,) for migration in sorted(system.ids)]

    def test_rows_are_the_schemas(self, applied: Checkout, schemas: Schemas, system: System) -> None:
        """The migrations put in the rows that the schema file puts in, and no others."""
        expected = schemas(applied.database.engine, system).rows
        assert {table: applied.database.rows(f"SELECT * FROM {table}") for table in system.rows} == expected

    def test_apply_twice_does_nothing(self, applied: Checkout, catalog: dict[str, object]) -> None:
        """A second run finds nothing to do."""
        before = applied.database.rows("SELECT * FROM schema_versions")
        applied.yoyo("apply")
        assert applied.database.rows("SELECT * FROM schema_versions") == before
        assert applied.database.catalog() == catalog

    def test_rollback_leaves_nothing(self, checkout: Checkout) -> None:
        """`yoyo rollback` removes every object, with rows in all tables."""
        checkout.yoyo("apply")
        checkout.database.fill()
        checkout.yoyo("rollback", "--all", "--batch")
        assert checkout.database.catalog() == {}

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    def test_each_step_down_and_up(
        self, checkout: Checkout, catalog: dict[str, object], system: System
    ) -> None:
        """From each migration back to before it and up again is the same schema, with rows present."""
        checkout.yoyo("apply")
        paths = system.migrations[checkout.database.engine]
        every = tables_of(paths)
        assert every >= system.rows.keys()
        for number in reversed(range(len(paths))):
            checkout.database.fill()
            checkout.yoyo("rollback", "--batch", "-r", system.ids[number])
            left = tables_of(without(paths, system.ids[number]))
            assert checkout.database.catalog().keys() & every == left
            checkout.yoyo("apply")
            assert checkout.database.catalog() == catalog

    def test_a_failing_migration_destroys_nothing(self, checkout: Checkout, system: System) -> None:
        """If a table exists already, the migration fails as a whole and leaves it as it was."""
        *_, (precious,), (later,) = filter(
            None, (tables_of([path]) for path in system.migrations[checkout.database.engine])
        )
        checkout.database.rows(f"CREATE TABLE {precious} (precious VARCHAR(10))")
        checkout.database.rows(f"INSERT INTO {precious} VALUES ('kept')")
        with pytest.raises(AssertionError, match=rf"{precious}.* already exists"):
            checkout.yoyo("apply")
        assert checkout.database.rows(f"SELECT precious FROM {precious}") == [("kept",)]
        assert later not in checkout.database.catalog()


def tables_of(paths: list[Path]) -> set[str]:
    """The tables that migrations make."""
    made = (CREATE.match(text) for path in paths for text in changes(path))
    return {found["name"] for found in made if found and found[0].startswith("CREATE TABLE")}


def without(paths: list[Path], migration: str) -> list[Path]:
    """What is left when a migration is taken back, and with it those that depend on it."""
    gone = {migration}
    left = []
    for path in paths:
        if path.stem in gone or gone & set(dependencies(path)):
            gone.add(path.stem)
        else:
            left.append(path)
    return left


@every_engine
def test_systems_fit_into_one_database(new_url: NewUrl, schemas: Schemas, engine: str) -> None:
    """No two systems have an object of the same name, those of base apart."""
    systems = list(SYSTEMS.values())
    with new_url(engine) as url, opened(url, systems[0]) as database:
        database.script(schema(engine, BASE))
        shared = database.catalog().keys()
    names = [name for system in systems for name in schemas(engine, system).catalog.keys() - shared]
    assert sorted(names) == sorted(set(names))
    assert len(names) > len(systems)


class TestYoyoIni:
    """What `yoyo apply` does in the root, with nothing more said."""

    def test_names_every_system(self) -> None:
        """Its sources are the folders of SQLite, those of base first."""
        base, *systems = configured()
        assert base == f"migrations/{BASE}/sqlite"
        assert sorted(systems) == [f"migrations/{name}/sqlite" for name in NAMES]

    def test_applies_them_to_the_embedded_file(self, schemas: Schemas, yoyo: Yoyo, tmp_path: Path) -> None:
        """It leads to the catalogs of the systems that it names, in one file."""
        systems = [system for name, system in SYSTEMS.items() if f"migrations/{name}/sqlite" in configured()]
        folder = checked_out(tmp_path)
        yoyo.run(folder, "apply")
        with opened(f"sqlite:///{folder}/dal.db", systems[0]) as database:
            expected = {
                name: found for system in systems for name, found in schemas("sqlite", system).catalog.items()
            }
            assert database.catalog() == expected


def configured() -> list[str]:
    """The folders that yoyo.ini names, by their names or by a pattern."""
    parser = ConfigParser()
    parser.read(ROOT / "yoyo.ini")
    sources = parser["DEFAULT"]["sources"].split()
    return [str(path.relative_to(ROOT)) for source in sources for path in sorted(ROOT.glob(source))]
