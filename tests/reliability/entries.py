"""What must hold of the entries that `tests.reliability.programs` writes, however it was stopped."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.reliability.programs import TASKS


@dataclass(frozen=True)
class Found:
    """What a database file holds.

    Attributes:
        integrity: What SQLite's own check says; ``ok`` if nothing is wrong.
        writes: The task and number of each write of which there is a row.
        torn: Those of which a part is missing.
    """

    integrity: str
    writes: frozenset[tuple[int, int]]
    torn: frozenset[tuple[int, int]]


def found(path: Path) -> Found:
    """Return what the file holds, as SQLite itself recovers it; nothing for an empty or missing one."""
    with closing(sqlite3.connect(path)) as connection:
        (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'entries'").fetchall():
            return Found(integrity, frozenset(), frozenset())
        rows = connection.execute(
            "SELECT task, number, count(*) = max(parts) FROM entries GROUP BY task, number"
        ).fetchall()
    return Found(
        integrity,
        frozenset((task, number) for task, number, _ in rows),
        frozenset((task, number) for task, number, whole in rows if not whole),
    )


def acknowledged(lines: Iterable[str]) -> frozenset[tuple[int, int]]:
    """Return the task and number of each write that was acknowledged."""
    pairs = (line.split() for line in lines)
    return frozenset((int(task), int(number)) for task, number in pairs)


def begun_after(acks: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    """Return the one write of each task that it may have sent, and got no answer to."""
    sent: dict[int, int] = dict.fromkeys(range(TASKS), 0)
    for task, number in acks:
        sent[task] = max(sent[task], number + 1)
    return frozenset(sent.items())
