"""SQLite, the embedded default."""

from dal.engines.sqlite.engine import SqliteEngine as SqliteEngine
