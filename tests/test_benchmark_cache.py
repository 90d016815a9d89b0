"""`benchmark cache`: what it leaves, and that everyone does the same; no figure is expected to be good."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

import benchmark
from benchmarks import cache_run
from benchmarks.cache_clients import Client, Dictionary, RawSocket, RedisPy, Store
from benchmarks.measuring import Plan
from benchmarks.places import NotHere, redis_url
from tests.servers import missing

TINY = cache_run.Lengths(
    Plan(rounds=2, peer_rounds=1, seconds=0.002, peer_seconds=0.001, most=64), 1, seconds=0.1, silence=0.3
)

# Other libraries warn and block as they like.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


def test_records(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each case has its figures, the bars their verdicts, and the exit code says whether all are met."""
    monkeypatch.setitem(cache_run.LENGTHS, "quick", TINY)
    code = benchmark.main(["cache"])
    shown = capsys.readouterr()
    if "was not found" in shown.err:
        missing(shown.err)
    records = {record["case"]: record for record in json.loads(shown.out)}
    assert {"redis_get_1", "redis_get_64", "redis_get_64_p99", "redis_set_64", "memory_get_1"} <= set(records)
    assert {"near_get_1", "near_get_64"} <= set(records)
    for case, record in records.items():
        assert record["unit"], case
        assert record["ours"] is not None, case
        if case.startswith(("redis_get_", "redis_set_")) and "mix" not in case:
            assert {"redis-py"} <= set(record["peers"]), case
            assert record["peer"] == record["peers"]["redis-py"], case
            assert min(record["floor"], record["ratio"]) > 0, case
    assert sum(record["bar"] is not None for record in records.values()) == 9
    assert code == (1 if any(record["ok"] is False for record in records.values()) else 0)


async def test_everyone_keeps_the_same_bytes() -> None:
    """What one stores on the server the others read."""
    value = random.Random(1).randbytes(10_000)
    try:
        with redis_url() as url:
            clients: list[Client] = [Store(f"{url}?timeout=60"), RedisPy(url), await RawSocket.connect(url)]
            for number, client in enumerate(clients):
                assert await client.get(f"key:{number}") is None
                await client.set(f"key:{number}", value)
                assert [await other.get(f"key:{number}") for other in clients] == [value] * 3
            for client in clients:
                await client.close()
    except NotHere as error:
        missing(str(error))
    floor = Dictionary("memory://")
    await floor.set("key", value)
    assert (await floor.get("key"), await floor.get("other")) == (value, None)


async def test_the_floor_reads_replies_in_any_pieces() -> None:
    """Wherever the network cuts a reply, each call gets its own."""
    socket = RawSocket()
    replies = b"$-1\r\n+OK\r\n$5\r\na\r\nbc\r\n$0\r\n\r\n"
    for cut in range(len(replies) + 1):
        futures = [asyncio.get_running_loop().create_future() for _ in range(4)]
        socket._waiting.extend(futures)
        socket.data_received(replies[:cut])
        socket.data_received(replies[cut:])
        assert [future.result() for future in futures] == [None, None, b"a\r\nbc", b""]
