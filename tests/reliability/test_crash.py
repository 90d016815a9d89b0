"""A process that is killed in the middle of its writes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from tests.reliability.entries import acknowledged, begun_after, found
from tests.reliability.processes import program


def killed_while_writing(path: Path, after: int) -> list[str]:
    """Kill a writing process once it has printed *after* acknowledgements; return all that it printed."""
    with program("write", path, 100) as running:
        lines = [running.line() for _ in range(after)]
        return lines + running.kill()


@pytest.mark.parametrize("run", range(6))
def test_acknowledged_writes_survive_a_kill(tmp_path: Path, run: int) -> None:
    """After kill -9 every acknowledged write is there, whole, and no other but those under way."""
    acks = acknowledged(killed_while_writing(tmp_path / "a.db", random.randint(1, 2000)))

    left = found(tmp_path / "a.db")
    assert (left.integrity, left.torn, acks - left.writes) == ("ok", frozenset(), frozenset())
    assert left.writes - acks <= begun_after(acks)


async def test_next_process_writes_on(tmp_path: Path) -> None:
    """A file whose writer was killed is opened and written as if nothing had happened."""
    acks = acknowledged(killed_while_writing(tmp_path / "a.db", 200))

    async with DatabaseManager(f"sqlite:///{tmp_path / 'a.db'}") as db:
        await db.execute("INSERT INTO entries VALUES (-1, 0, 0, 1, '')")
        assert await db.fetch_value("SELECT count(DISTINCT task * 1000000 + number) FROM entries") > len(acks)
