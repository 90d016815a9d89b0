"""What `execute_many` sends to MariaDB."""

from __future__ import annotations

import pytest

from dal.engines.mysql import statements
from dal.engines.mysql.encoders import encoders
from dal.queries import Query
from dal.queries.dialects import MYSQL

ROWS = [("1", "'a'"), ("2", "'b'"), ("3", "'c'")]


@pytest.mark.parametrize("end", ["", ";", ";\n", " ; "])
def test_plain_inserts_are_sent_together(end: str) -> None:
    """An INSERT of plain values becomes one statement for all rows, with its semicolon or without."""
    text = f"INSERT INTO account (id, name) VALUES (:id, :name){end}"
    statement = Query(name="add", shared=text).statement(MYSQL, encoders)
    [sent] = statements.bulk(statement, ROWS, 1 << 20)
    assert sent.endswith("(1, 'a'), (2, 'b'), (3, 'c')")


UPSERT = """
INSERT INTO account (id, name) VALUES (:id, :name)
ON DUPLICATE KEY UPDATE
    name = VALUES (name);
"""


def test_upserts_are_sent_together() -> None:
    """What is done with a row that is there already comes once, behind all rows."""
    statement = Query(name="put", shared=UPSERT).statement(MYSQL, encoders)
    [sent] = statements.bulk(statement, ROWS, 1 << 20)
    head, _, rest = sent.partition("(3, 'c')")
    assert head.endswith("(1, 'a'), (2, 'b'), ")
    assert " ".join(rest.split()) == "ON DUPLICATE KEY UPDATE name = VALUES (name)"


@pytest.mark.parametrize("change", ["name = :name", "name = (SELECT max(name) FROM other)", "name = 'a;b'"])
def test_other_upserts_are_sent_one_by_one(change: str) -> None:
    """Where a row's own values, a query or a literal stand behind the rows."""
    text = f"INSERT INTO account (id, name) VALUES (:id, :name) ON DUPLICATE KEY UPDATE {change}"
    statement = Query(name="put", shared=text).statement(MYSQL, encoders)
    rows = [(*row, row[1]) for row in ROWS] if ":name" in change else ROWS
    assert len(list(statements.bulk(statement, rows, 1 << 20))) == len(ROWS)


def test_rows_beyond_a_packet_are_cut() -> None:
    """A statement stays within what the server takes, and each has the whole upsert."""
    statement = Query(name="put", shared=UPSERT).statement(MYSQL, encoders)
    rows = [(str(number), f"'{'x' * 1000}'") for number in range(100)]
    sent = list(statements.bulk(statement, rows, 1 << 16))
    assert len(sent) > 5
    assert all(len(text) < 1 << 16 and "ON DUPLICATE KEY UPDATE" in text for text in sent)
    assert sum(text.count("x" * 1000) for text in sent) == 100
