"""What the migrations of the system do to documents that are there, and what stops them half way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dal.repositories.documents import QUERIES
from tests.systems.checkouts import Checkout, Yoyo
from tests.systems.engines import opened
from tests.systems.fixtures import NewUrl
from tests.systems.registry import BASE, ENGINES, SYSTEMS, migrations_of

DOCUMENTS = SYSTEMS["documents"]
FOURTH = "documents-0004.content_metadata"


def apply_until(checkout: Checkout, migration: str) -> None:
    """Apply all that comes before a migration."""
    base = migrations_of(BASE, checkout.database.engine)
    for last in (base[-1].stem, DOCUMENTS.ids[DOCUMENTS.ids.index(migration) - 1]):
        checkout.yoyo("apply", "-r", last)


@pytest.mark.parametrize("engine", ENGINES)
def test_search_finds_what_was_there(engine: str, new_url: NewUrl, yoyo: Yoyo, tmp_path: Path) -> None:
    """The full-text migration indexes the documents that exist already."""
    with new_url(engine) as url, opened(url, DOCUMENTS) as database:
        checkout = Checkout(tmp_path, database, yoyo)
        checkout.yoyo("apply")
        database.fill()
        checkout.yoyo("rollback", "--batch", "-r", "documents-0007.document_search")
        checkout.yoyo("apply")
        found = database.run(QUERIES.search_documents, words="some", page_size=10)
        assert [row[0] for row in found] == ["doc"]


class TestFailingHalfWay:
    """On MariaDB each statement that changes the schema commits by itself, and yoyo undoes by position."""

    @pytest.fixture
    def checkout(self, new_url: NewUrl, yoyo: Yoyo, tmp_path: Path) -> Iterator[Checkout]:
        """A database of MariaDB with all migrations before the fourth."""
        with new_url("mysql") as url, opened(url, DOCUMENTS) as database:
            checkout = Checkout(tmp_path, database, yoyo)
            apply_until(checkout, FOURTH)
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


def test_long_transaction_is_not_queued_behind(new_url: NewUrl, yoyo: Yoyo, tmp_path: Path) -> None:
    """On PostgreSQL a migration that finds its table in use gives up, and changes nothing."""
    with (
        new_url("postgresql") as url,
        opened(url, DOCUMENTS) as database,
        opened(url, DOCUMENTS) as other,
    ):
        checkout = Checkout(tmp_path, database, yoyo)
        apply_until(checkout, "documents-0007.document_search")
        other.rows("BEGIN")
        other.rows("SELECT count(*) FROM documents")
        before = database.catalog()
        with pytest.raises(AssertionError, match="lock timeout"):
            checkout.yoyo("apply")
        other.rows("ROLLBACK")
        assert database.catalog() == before
