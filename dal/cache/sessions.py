"""Sessions: hashes whose time to live begins anew with each use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dal.cache import codec
from dal.cache.deletions import Deletions
from dal.cache.families import KeyFamily
from dal.cache.reads import Reader
from dal.cache.stores.base import Store, WrongType
from dal.errors import CacheError


class Sessions:
    """The sessions in *store*. What the methods do stands in `CacheManager`."""

    def __init__(self, store: Store, reader: Reader, deletions: Deletions) -> None:
        self._store = store
        self._reader = reader
        self._deletions = deletions

    async def get(self, family: KeyFamily, key: str) -> Any | None:
        """See `CacheManager.session_get`."""
        _check(family)
        value = await self._reader.get(family, key)
        if value is not None:
            await self._store.touch(key, family.ttl)
        return value

    async def set(self, family: KeyFamily, key: str, fields: Mapping[str, Any]) -> None:
        """See `CacheManager.session_set`."""
        _check(family)
        encoded = await codec.encode_some_fields(family, dict(fields))
        await self._deletions.settle(key)
        try:
            await self._store.update_hash(key, encoded, family.ttl)
        except WrongType as error:
            raise CacheError(f"key family {family.name}: {error}") from None

    async def touch(self, family: KeyFamily, key: str) -> bool:
        """See `CacheManager.session_touch`."""
        _check(family)
        await self._deletions.settle(key)
        return await self._store.touch(key, family.ttl)


def _check(family: KeyFamily) -> None:
    if family.type != "hash":
        raise CacheError(f"key family {family.name} is a {family.type}; a session is a hash")
