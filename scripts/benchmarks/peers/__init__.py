"""The other libraries, each in the way in which its own documentation says that it is fast.

A row becomes the same Pydantic model, or the library's own entity where it has one, which is what its
users work with.
"""

from __future__ import annotations

from importlib import import_module

from benchmarks.contender import Contender

_WHERE = {
    "aiosqlite": ("benchmarks.floors", "AiosqliteExecute"),
    "asyncpg pool": ("benchmarks.peers.asyncpg_pool", "AsyncpgPool"),
    "databases": ("benchmarks.peers.encode_databases", "Databases"),
    "aiosql": ("benchmarks.peers.aiosql_files", "Aiosql"),
    "SQLAlchemy Core": ("benchmarks.peers.sqlalchemy_core", "Core"),
    "SQLAlchemy ORM": ("benchmarks.peers.sqlalchemy_orm", "Orm"),
    "SQLSpec": ("benchmarks.peers.sqlspec_session", "SqlSpec"),
    "Tortoise": ("benchmarks.peers.tortoise_orm", "Tortoise"),
}

PEERS = tuple(_WHERE)


def peer(name: str) -> type[Contender]:
    """Return a peer's class.

    Raises:
        ImportError: Its package is not installed.
    """
    module, attribute = _WHERE[name]
    found: type[Contender] = getattr(import_module(module), attribute)
    return found
