"""Each error of redis-py, and of the connection, as one of ours.

What a server answers may quote the key, the value or the login: it is neither shown nor chained.
"""

from __future__ import annotations

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    DataError,
    ExecAbortError,
    InvalidResponse,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from dal.cache.stores.base import WrongType
from dal.cache.stores.url import StoreUrl
from dal.errors import CacheError, CacheUnavailable

_UNABLE = (BusyLoadingError, ReadOnlyError, OutOfMemoryError, ClusterDownError, TryAgainError)
_QUOTING = (ResponseError, AuthenticationError, InvalidResponse, DataError)
_WRONG_TYPE = ("WRONGTYPE", "value is not an integer", "increment or decrement would overflow")


def translated(url: StoreUrl, name: str, error: Exception) -> CacheError:
    """Return our error for *error*, which the command *name* met."""
    ours = _ours(url, name, error)
    if not isinstance(error, _QUOTING):
        ours.__cause__ = error
    return ours


def too_late(url: StoreUrl, name: str, timeout: float) -> CacheUnavailable:
    """Return the error of a call whose deadline has passed."""
    return CacheUnavailable(f"the cache at {url} did not answer {name} within {timeout:g} s")


def _ours(url: StoreUrl, name: str, error: Exception) -> CacheError:
    what = type(error).__name__
    if isinstance(error, AuthenticationError):
        return CacheUnavailable(f"the cache at {url} refused the login; check user and password")
    if isinstance(error, _UNABLE) or str(error).startswith("MISCONF"):
        return CacheUnavailable(f"the cache at {url} cannot do {name} now ({what})")
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return CacheUnavailable(f"the cache at {url} did not answer {name} in time")
    if isinstance(error, RedisConnectionError | OSError):
        return CacheUnavailable(f"the cache at {url} cannot be reached for {name} ({what})")
    if isinstance(error, ResponseError) and str(error).startswith(_WRONG_TYPE):
        return WrongType(f"the cache cannot do {name}: another kind of value lies under the key")
    if isinstance(error, ExecAbortError | ResponseError | DataError):
        return CacheError(f"the cache at {url} refused {name} ({what})")
    return CacheUnavailable(f"the connection to the cache at {url} broke in {name} ({what})")
