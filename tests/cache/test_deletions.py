"""The queue of deletions, where the store fails and works at chosen moments."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from dal.cache import FAMILIES
from dal.cache.deletions import Deletions
from dal.cache.stores.memory import MemoryStore
from dal.errors import CacheUnavailable
from dal.tasks import Background

FAMILY = FAMILIES["search_results"]
KEY = FAMILY.key(query_hash="a")


class Store(MemoryStore):
    """A store that is away when it is told to, and whose deletions can be held back."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def delete_with_leases(self, keys: Sequence[tuple[str, str]], /) -> None:
        if self.is_away:
            raise CacheUnavailable("away")
        await super().delete_with_leases(keys)
        self.asked.set()
        await self.open.wait()


async def test_what_is_queued_again_meanwhile_stays_queued() -> None:
    """A repetition that is under way does not speak for a deletion that came after it."""
    store, background = Store(), Background()
    deletions = Deletions(store, background)
    store.is_away = True
    with pytest.raises(CacheUnavailable):
        await deletions.delete([(FAMILY, KEY)])
    store.is_away = False
    store.open.clear()
    first = asyncio.create_task(deletions.settle(KEY))
    await store.asked.wait()  # the first deletion is done, its answer is under way
    await store.set(KEY, b"old", 60)  # by another process, before the write that the second one is for
    store.is_away = True
    with pytest.raises(CacheUnavailable):
        await deletions.delete([(FAMILY, KEY)])
    store.open.set()
    await first
    store.is_away = False
    assert len(deletions) == 1
    await deletions.settle(KEY)
    assert (await store.get(KEY), len(deletions)) == (None, 0)
    await background.join(5)
