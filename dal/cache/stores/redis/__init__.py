"""The cache on a Redis or Valkey server (7 or later): the only package that imports redis.

No caller owns a socket. A caller appends its command to a lane and awaits a future of its own; the lane's
pump sends what waits in one write and settles each future from the replies, which come in the same order.
A caller that leaves, by cancellation or at its deadline, leaves the socket and everyone else alone.

    store      the commands of a `Store`
    lanes      commands, the lanes that carry them, and the pump of each
    tracking   the connection on which the server says what was changed
    breaker    calls fail at once while the server is away
    wire       one connection of redis-py, and what the lanes need of its inside
    failures   each error as one of ours
"""

from dal.cache.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
