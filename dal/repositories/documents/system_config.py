"""Runtime settings: the table system_config.

The settings of one version are read, and cached, as a whole. A change removes the cached copy of each
version that it touches.
"""

from __future__ import annotations

from pydantic import JsonValue, TypeAdapter

from dal.cache import FAMILIES, CacheManager
from dal.executor import Executor
from dal.models.documents import SystemConfig
from dal.repositories.copies import CachedCopies
from dal.repositories.documents.queries import QUERIES
from dal.transaction import Transaction
from dal.values import Json

_COPIES = FAMILIES["config_system"]

_SETTINGS: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


class SystemConfigRepository:
    """Runtime settings, cached by their version as a whole."""

    def __init__(self, executor: Executor, cache: CacheManager | None = None) -> None:
        self._executor = executor
        self._copies = CachedCopies(cache, executor)

    async def get(self, key: str) -> SystemConfig | None:
        """Return one setting, always from the database."""
        return await self._executor.fetch_one(QUERIES.config_entry, {"key": key})

    async def settings(self, schema_version: str = "1.0") -> dict[str, JsonValue]:
        """Return the values of all settings of a version; a cached copy may be some seconds old."""
        key = _COPIES.key(version=schema_version)
        copy = await self._copies.get(key, _SETTINGS)
        if copy is not None:
            return copy
        found = await self._values(schema_version)

        async def unchanged() -> bool:
            return await self._values(schema_version) == found

        await self._copies.put(key, _SETTINGS, found, still_valid=unchanged)
        return found

    async def put(
        self, key: str, value: JsonValue, *, schema_version: str = "1.0", updated_by: str = "system"
    ) -> None:
        """Write one setting, new or not."""
        row = {
            "key": key,
            "value": Json(value),
            "schema_version": schema_version,
            "updated_by": updated_by,
        }

        async def work(tx: Transaction) -> None:
            before: SystemConfig | None = await tx.fetch_one(QUERIES.config_entry, {"key": key})
            await tx.execute(QUERIES.put_config, row)
            self._forget(tx, schema_version, *([before.schema_version] if before else []))

        await self._executor.run_transaction(work)

    async def delete(self, key: str) -> bool:
        """Remove one setting; False if there was none."""

        async def work(tx: Transaction) -> bool:
            before: SystemConfig | None = await tx.fetch_one(QUERIES.config_entry, {"key": key})
            if before is None:
                return False
            await tx.execute(QUERIES.delete_config, {"key": key})
            self._forget(tx, before.schema_version)
            return True

        return await self._executor.run_transaction(work)

    async def _values(self, schema_version: str) -> dict[str, JsonValue]:
        entries: list[SystemConfig] = await self._executor.fetch_all(
            QUERIES.config_of_version, {"schema_version": schema_version}
        )
        return {entry.key: entry.value for entry in entries}

    def _forget(self, tx: Transaction, *versions: str) -> None:
        self._copies.forget_after(tx, {_COPIES.key(version=version) for version in versions})
