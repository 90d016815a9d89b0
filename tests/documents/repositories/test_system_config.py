"""Runtime settings."""

from __future__ import annotations

from typing import Any

import pytest

from dal.cache import FAMILIES, CacheManager
from dal.database import DatabaseManager
from dal.errors import CheckViolation, DataError
from dal.repositories.documents import SystemConfigRepository


class TestSystemConfig:
    """Runtime settings."""

    @pytest.mark.parametrize("value", [None, True, 0, 1.5, "text", "", [], {"a": [1, {"b": None}]}, 2**53])
    async def test_any_json(self, db: DatabaseManager, value: Any) -> None:
        """Any JSON value comes back as it was."""
        config = SystemConfigRepository(db)
        await config.put("key", value)
        entry = await config.get("key")
        assert entry is not None
        assert entry.value == value
        assert type(entry.value) is type(value)

    async def test_defaults(self, db: DatabaseManager) -> None:
        """A setting belongs to version 1.0 and is the system's, unless it says otherwise."""
        config = SystemConfigRepository(db)
        await config.put("key", 1)
        entry = await config.get("key")
        assert entry is not None
        assert (entry.schema_version, entry.updated_by) == ("1.0", "system")

    async def test_settings_of_a_version(self, db: DatabaseManager, cache: CacheManager) -> None:
        """A version's settings come as a whole, and from the cache the second time."""
        config = SystemConfigRepository(db, cache)
        await config.put("b", 2)
        await config.put("a", 1)
        await config.put("c", 3, schema_version="2.0")
        assert await config.settings() == {"a": 1, "b": 2}
        assert await cache.get(FAMILIES["config_system"].key(version="1.0")) == {"a": 1, "b": 2}
        await db.execute("DELETE FROM system_config")
        assert await config.settings() == {"a": 1, "b": 2}

    async def test_change_shows_at_once(self, db: DatabaseManager, cache: CacheManager) -> None:
        """A setting that moves to another version leaves one and enters the other."""
        config = SystemConfigRepository(db, cache)
        await config.put("a", 1)
        assert (await config.settings("1.0"), await config.settings("2.0")) == ({"a": 1}, {})
        await config.put("a", 2, schema_version="2.0")
        assert (await config.settings("1.0"), await config.settings("2.0")) == ({}, {"a": 2})

    async def test_delete(self, db: DatabaseManager, cache: CacheManager) -> None:
        """A deleted setting is gone from the copies too; a second delete is False."""
        config = SystemConfigRepository(db, cache)
        await config.put("a", 1)
        await config.settings()
        assert (await config.delete("a"), await config.delete("a")) == (True, False)
        assert await config.settings() == {}

    async def test_no_key(self, db: DatabaseManager) -> None:
        """An empty key is refused by the table's constraint."""
        with pytest.raises(CheckViolation) as caught:
            await SystemConfigRepository(db).put("", 1)
        assert caught.value.constraint == "system_config_key_length"

    async def test_what_is_no_json(self, db: DatabaseManager) -> None:
        """A value that JSON lacks is refused before it is sent."""
        with pytest.raises(DataError):
            await SystemConfigRepository(db).put("key", float("nan"))
