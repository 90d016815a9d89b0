"""The cache: gzip/JSON values, counters and sessions under declared key families.

    async with CacheManager("memory://") as cache:
        key = FAMILIES["search_results"].key(query_hash=digest)
        await cache.set(key, results)
        results = await cache.get(key)

Code that does not await has `dal.cache.synchronous`.

A store that is away raises `CacheUnavailable`; what is to be done without it stands in the key's family.
"""

from dal.cache.families import FAMILIES, KeyFamilies, KeyFamily, Ttl
from dal.cache.limits import RateLimit
from dal.cache.loads import Loaded
from dal.cache.manager import CacheManager
from dal.cache.statistics import FamilyStatistics

__all__ = [
    "FAMILIES",
    "CacheManager",
    "FamilyStatistics",
    "KeyFamilies",
    "KeyFamily",
    "Loaded",
    "RateLimit",
    "Ttl",
]
