"""From the settings to stored rows and back, as an application does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dal.database import DatabaseManager
from dal.operations.migrate import migrate, rollback
from dal.repositories.currency import ConversationRepository
from dal.settings import load_settings
from tests.currency.samples import conversation
from tests.systems.fixtures import NewUrl
from tests.systems.registry import ENGINES

TABLES = ("conversations", "prediction_history", "agent_metrics", "system_logs")


async def test_settings_say_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is made where the configuration says, with its folders, and another manager reads it."""
    file = tmp_path / "deep" / "er" / "currency.db"
    config = tmp_path / "config.yaml"
    config.write_text(f"database:\n  path: {file}\n  sql_echo: false\n")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    settings = load_settings(config)
    await migrate(settings.database.resolved_url(), ("base", "currency"))
    async with DatabaseManager(settings=settings) as db:
        stored = await ConversationRepository(db).add(conversation(session_id="integration-test"))
    assert file.is_file()
    async with DatabaseManager(f"sqlite:///{file}") as db:
        assert await ConversationRepository(db).of_session("integration-test") == [stored]


@pytest.mark.parametrize("engine", ENGINES)
async def test_tables_come_and_go(new_url: NewUrl, engine: str) -> None:
    """The migrations make the four tables, ready to use, and take them back."""
    with new_url(engine) as url:
        applied = await migrate(url, ("base", "currency"))
        assert [name.partition(".")[2] for name in applied if name.startswith("currency-")] == list(TABLES)
        async with DatabaseManager(url) as db:
            await ConversationRepository(db).add(conversation())
        taken = await rollback(url, everything=True, systems=("base", "currency"))
        assert sorted(taken) == sorted(applied)
        async with DatabaseManager(url) as db:
            await db.execute("CREATE TABLE conversations (id INTEGER)")  # the name is free again
            assert await db.fetch_value("SELECT count(*) FROM conversations") == 0
