"""Leases: which of several processes loads a key, and whether it may still store what it loaded.

A lease is a random token under a key of its own in the store. It is short and is renewed while the load
goes on, so that the lease of a process that was killed soon ends. A deletion removes it: who then comes with
a value that was loaded before does not hold the lease any more, and cannot store it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets

from dal.cache.families import LEASE_PREFIX
from dal.cache.stores.base import Store
from dal.errors import CacheError

SECONDS = 3.0
"""How long a lease lasts that is not renewed."""

RENEWAL = SECONDS / 3
"""Seconds between two renewals."""


class Lease:
    """The right to load and store *key*, for whoever holds this object."""

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        self._lease_key = LEASE_PREFIX + key
        self._token = secrets.token_hex(16)
        self._may_be_held = False

    async def take(self) -> bool:
        """Take the lease; False if somebody holds it."""
        self._may_be_held = True  # also if no answer comes
        self._may_be_held = await self._store.acquire(self._lease_key, self._token, SECONDS)
        return self._may_be_held

    async def is_held(self) -> bool:
        """Whether nobody took it away, so that nothing was deleted since it was taken."""
        return await self._store.get(self._lease_key) == self._token.encode()

    async def keep(self) -> None:
        """Renew it until cancelled; a renewal that fails is left to the next one."""
        while True:
            with contextlib.suppress(CacheError):
                if await self.is_held():
                    await self._store.touch(self._lease_key, SECONDS)
            await asyncio.sleep(RENEWAL)

    async def store(self, data: bytes, ttl: float) -> bool:
        """Store *data* under the key and give the lease back; False, and nothing, if it is not held."""
        stored = await self._store.set_if_held(self._lease_key, self._token, self._key, data, ttl)
        self._may_be_held = False
        return stored

    async def release(self) -> None:
        """Give the lease back if it is still held; it ends soon if the store does not hear of it."""
        if self._may_be_held:
            with contextlib.suppress(CacheError):
                await self._store.release(self._lease_key, self._token)
