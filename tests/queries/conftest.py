"""What the tests of queries share: encoders, and query files written for one test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dal.queries import Queries, Statement, load_queries
from dal.queries.dialects import SQLITE
from dal.queries.query import Query
from dal.queries.statement import EncodersOf
from dal.values import (
    Encoders,
    Json,
    ParameterType,
    checked_decimal,
    checked_float,
    checked_int,
    checked_text,
    checked_timestamp,
    json_text,
)


def same(value: Any) -> Any:
    return value


def encoders_of(declared: ParameterType | None) -> Encoders:
    """Encoders as an engine would give them, which change no more than they must."""
    table: dict[type, Callable[[Any], Any]] = {
        type(None): same,
        bool: same,
        int: checked_int,
        float: checked_float,
        str: checked_text,
        bytes: same,
        date: date.isoformat,
        datetime: checked_timestamp,
        UUID: str,
        Json: json_text,
    }
    if declared is not None and declared.kind == "json":
        table |= dict.fromkeys((dict, list, str, int, float, bool), json_text)
    if declared is not None and declared.scale is not None:
        scale = declared.scale
        table[Decimal] = lambda value: int(checked_decimal(value, scale).scaleb(scale))
    return table


@pytest.fixture
def encoders() -> EncodersOf:
    return encoders_of


class Files:
    """A folder of query files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, text: str, name: str = "queries.sql", **more: Any) -> Queries:
        """Write one file and load the folder."""
        self.write(name, text)
        return load_queries(self.folder, **more)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_bytes(text.encode())
        return path

    def one(self, text: str, name: str = "queries.sql", **more: Any) -> Query[Any]:
        """Write one file with one query and load it."""
        (query,) = self.load(text, name, **more)
        return query

    def statement(self, text: str, name: str = "queries.sql") -> Statement:
        """Write one file with one query, load it, and compile it for SQLite."""
        return self.one(text, name).statement(SQLITE, encoders_of)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)
