"""Makes calls on the hot paths of `dal`, each beside a reference: the same work by hand.

scripts/instructions.py starts it under callgrind, with a folder for its database, and the percentage of
work that `dal` is to do on top. What is counted goes into callgrind's dumps; a line of standard output
names each path as it begins.

Counted are instructions in user space, in all threads, from one request to callgrind to the next: no
start-up, no warm-up, no clean-up. What would make counts differ is off: garbage collection, and switching
between threads by the clock.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import itertools
import json
import mmap
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from isal import igzip
from pydantic import TypeAdapter

from benchmarks import ours
from benchmarks.contender import Contender
from benchmarks.floors import Aiosqlite
from benchmarks.ours import QUERIES, Ours
from benchmarks.places import Base
from benchmarks.work import COLUMNS, Item, record
from dal import load_queries
from dal.cache import FAMILIES, CacheManager
from dal.engines.base import Rows
from dal.engines.sqlite.encoders import encoders
from dal.engines.sqlite.engine import SqliteEngine
from dal.queries.dialects import SQLITE
from dal.rows import decoded

ROUNDS = 3
"""How often each path is counted."""

WARM_UP = 10
"""The fewest calls before: caches are filled, and the interpreter has specialized its code."""

QUERY_FILE = Path(ours.__file__).with_name("queries.sql")

TOKEN = re.compile(r":(?P<parameter>[a-z_]+)|\w+|\s+|'[^']*'|.")


class Callgrind:
    """The requests that a program can make of the callgrind under which it runs.

    valgrind sees a request as instructions that do nothing elsewhere; Python has no way to write them
    but as machine code.
    """

    _ZERO, _START, _DUMP_AS = (0x43540000 + number for number in (1, 4, 3))

    # mov rax, rdi; xor edx, edx; the four rotations and the exchange; mov rax, rdx; ret
    _CODE = bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3")

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._page.write(self._CODE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        self._ask = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t * 6))(address)

    def start(self) -> None:
        """Begin to count; until then the program runs much faster."""
        self._request(self._START)

    def zero(self) -> None:
        """Forget what was counted."""
        self._request(self._ZERO)

    def dump(self, name: str) -> None:
        """Write what was counted since `zero` into a file that has *name* in it."""
        text = ctypes.create_string_buffer(name.encode())
        self._request(self._DUMP_AS, ctypes.addressof(text))

    def _request(self, code: int, argument: int = 0) -> None:
        self._ask((ctypes.c_size_t * 6)(code, argument))


@dataclass(frozen=True)
class HotPath:
    """What is counted.

    Attributes:
        name: What the stored figures call it.
        ours: One call of `dal`.
        reference: The same work by hand, with the same result.
        calls: How many make a round.
        is_async: What the two return is to be awaited.
    """

    name: str
    ours: Callable[[], Any]
    reference: Callable[[], Any]
    calls: int
    is_async: bool = False


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[list[HotPath]]:
    """Open in *folder* what the paths need, and give them."""
    base = Base("sqlite", f"sqlite:///{folder}/hot.db", 1000)
    base.make()
    async with CacheManager("memory://") as cache, AsyncExitStack() as stack:
        layer, by_hand = Ours(), Aiosqlite()
        for contender in (layer, by_hand):
            await contender.open(base)
            stack.push_async_callback(contender.close)
        yield [
            HotPath("point read", lambda: layer.point(77), lambda: by_hand.point(77), 100, is_async=True),
            HotPath("insert", inserting(layer, 1), inserting(by_hand, 1_000_000), 100, is_async=True),
            HotPath("parse", parse, parse_by_hand, 3),
            binding(),
            decoding(),
            caching(cache),
        ]


def inserting(contender: Contender, first: int) -> Callable[[], Awaitable[None]]:
    """Return what inserts one row, the next at each call."""
    numbers = itertools.count(first)
    return lambda: contender.insert(contender.shaped([record(next(numbers))])[0])


def parse() -> dict[str | None, str]:
    """Read a query file and compile its queries."""
    return {
        query.name: query.statement(SQLITE, encoders).sql for query in load_queries(QUERY_FILE, models=[Item])
    }


def parse_by_hand() -> dict[str | None, str]:
    """Read a query file and put markers for its parameters, token by token."""
    texts: dict[str | None, str] = {}
    for part in QUERY_FILE.read_text(encoding="utf-8").split("-- name: ")[1:]:
        head, _, rest = part.partition("\n")
        body = "\n".join(line for line in rest.splitlines() if not line.startswith("--"))
        tokens = TOKEN.finditer(body.rstrip())
        texts[head.partition("(")[0]] = "".join(["?" if t.lastgroup == "parameter" else t[0] for t in tokens])
    return texts


def binding() -> HotPath:
    """Return the way of a dictionary's values into a statement."""
    statement = QUERIES.add_written.statement(SQLITE, encoders)
    row = record(77)._asdict()
    kinds = {name: frozenset((type(value), type(None))) for name, value in row.items()}

    def checked(value: Any, kind: frozenset[type]) -> Any:
        if type(value) not in kind:
            raise TypeError
        return value

    return HotPath(
        "bind",
        lambda: statement.bind(row)[1],
        lambda: tuple([checked(row[name], kinds[name]) for name in COLUMNS]),
        1000,
    )


def decoding() -> HotPath:
    """Return the way of 100 rows to models."""
    values = [tuple(record(number)) for number in range(1, 101)]
    adapter = TypeAdapter(list[Item])
    return HotPath(
        "decode 100 rows",
        lambda: decoded(Rows(COLUMNS, values), Item, SqliteEngine.storage),
        lambda: adapter.validate_python([dict(zip(COLUMNS, row, strict=False)) for row in values]),
        5,
    )


def caching(cache: CacheManager) -> HotPath:
    """Return the way of a value of 10 kB into the cache in memory, and back."""
    value = {"hits": [record(number)._asdict() for number in range(1, 81)]}
    key = FAMILIES["search_results"].key(query_hash="hot")
    stored: dict[str, bytes] = {}

    async def there_and_back() -> Any:
        await cache.set(key, value)
        return await cache.get(key)

    async def by_hand() -> Any:
        stored[key] = igzip.compress(orjson.dumps(value), 1)
        return orjson.loads(igzip.decompress(stored[key]))  # type: ignore[no-untyped-call]  # it has no types

    return HotPath("cache 10 kB", there_and_back, by_hand, 5, is_async=True)


async def repeat(call: Callable[[], Any], times: int, *, is_async: bool) -> Any:
    """Make *call* a number of times, and return its last result."""
    result = None
    if is_async:
        for _ in range(times):
            result = await call()
    else:
        for _ in range(times):
            result = call()
    return result


async def count(path: HotPath, slower: int, callgrind: Callgrind) -> None:
    """Dump the counts of *path*, round by round; ours makes *slower* percent more calls than it says."""
    for side, call, extra in (("ours", path.ours, slower), ("reference", path.reference, 0)):
        times = path.calls * (100 + extra) // 100
        for _ in range(ROUNDS):
            callgrind.zero()
            await repeat(call, times, is_async=path.is_async)
            callgrind.dump(json.dumps([path.name, side, path.calls]))


async def main(folder: Path, slower: int, words: list[str]) -> None:
    """Count the paths that have one of *words* in their names, all of them if there are none."""
    async with opened(folder) as paths:
        chosen = [path for path in paths if not words or any(word in path.name for word in words)]
        for path in chosen:
            times = max(WARM_UP, path.calls)
            answer = await repeat(path.ours, times, is_async=path.is_async)
            if answer != await repeat(path.reference, times, is_async=path.is_async):
                raise SystemExit(f"hot_paths: {path.name}: dal and the reference bring different results")
        gc.collect()
        gc.disable()
        sys.setswitchinterval(1000)
        callgrind = Callgrind()
        callgrind.start()
        for number, path in enumerate(chosen, 1):
            print(f"{number}/{len(chosen)}  {path.name} ...", flush=True)
            await count(path, slower, callgrind)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
