"""The cache: gzip/JSON values, counters and sessions under declared key families.

    async with CacheManager("memory://") as cache:
        key = FAMILIES["search_results"].key(query_hash=digest)
        await cache.set(key, results)
        results = await cache.get(key)

A store that is away raises `CacheUnavailable`; whether to go on without it is the caller's decision.
"""

from dal.cache.families import FAMILIES, KeyFamilies, KeyFamily
from dal.cache.manager import CacheManager

__all__ = ["FAMILIES", "CacheManager", "KeyFamilies", "KeyFamily"]
