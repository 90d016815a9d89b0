"""A live `databases.Database`, for code that was written against that package.

A module of its own, imported when a manager connects: the package brings SQLAlchemy along.
"""

from __future__ import annotations

import databases


class Database(databases.Database):
    """A `databases.Database` on back ends whose connections keep the settings of `dal`."""

    SUPPORTED_BACKENDS = {  # noqa: RUF012  # as the base class has it
        "sqlite": "dal.engines.sqlite.backend:SqliteBackend",
        "postgresql": "dal.engines.postgresql.backend:PostgresBackend",
        "postgres": "dal.engines.postgresql.backend:PostgresBackend",
        "mysql": "dal.engines.mysql.backend:MysqlBackend",
        "mariadb": "dal.engines.mysql.backend:MysqlBackend",
    }
