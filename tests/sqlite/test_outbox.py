"""Answers from the threads: when their callers go on, and what becomes of the eventfd."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dal.database import DatabaseManager
from dal.engines.sqlite.outbox import Answer, Outbox


def eventfds() -> int:
    """Return how many this process holds, once what earlier tests dropped is gone."""
    gc.collect()
    held = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            held += "eventfd" in str(descriptor.readlink())
    return held


def settle(answer: Answer[Any]) -> Callable[[Any, BaseException | None], None]:
    def done(value: Any, error: BaseException | None) -> None:
        answer.set_result(value) if error is None else answer.set_exception(error)

    return done


@pytest.fixture(params=["eventfd", "no eventfd"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the loop is woken: not every system has an eventfd."""
    if request.param == "no eventfd":
        monkeypatch.delattr(os, "eventfd")
    return str(request.param)


async def test_a_manager_works_either_way(way: str, tmp_path: Path) -> None:
    """Reads, writes and blocks, many at once."""
    async with DatabaseManager(f"sqlite:///{tmp_path / 'a.db'}") as db:
        await db.execute("CREATE TABLE t (n INTEGER)")
        await asyncio.gather(*(db.execute("INSERT INTO t VALUES (:n)", {"n": n}) for n in range(200)))
        async with db.transaction() as tx:
            await tx.execute("DELETE FROM t WHERE n >= 100")
        counts = await asyncio.gather(*(db.fetch_value("SELECT count(*) FROM t") for _ in range(50)))
        assert counts == [100] * 50


async def test_a_caller_goes_on_as_it_is_answered(way: str) -> None:
    """Within the callback that brings its answer; an answer given from within a task comes a turn later."""
    loop = asyncio.get_running_loop()
    seen: list[str] = []

    async def caller(answer: Answer[str]) -> None:
        seen.append(await answer)

    def answered_by_the_loop(answer: Answer[str]) -> None:
        answer.set_result("from a callback")
        seen.append("after the callback's answer")

    first, second = Answer[str](loop=loop), Answer[str](loop=loop)
    tasks = [asyncio.ensure_future(caller(first)), asyncio.ensure_future(caller(second))]
    await asyncio.sleep(0)
    loop.call_soon(answered_by_the_loop, first)
    await tasks[0]
    second.set_result("from a task")
    seen.append("after the task's answer")
    await tasks[1]
    assert seen == [
        "from a callback",
        "after the callback's answer",
        "after the task's answer",
        "from a task",
    ]


async def test_a_caller_sees_its_own_context(way: str) -> None:
    """Not that of the callback which brings its answer."""
    loop = asyncio.get_running_loop()
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")

    async def caller(answer: Answer[None]) -> str:
        name.set("the caller")
        await answer
        return name.get()

    answer = Answer[None](loop=loop)
    task = asyncio.ensure_future(caller(answer))
    await asyncio.sleep(0)
    loop.call_soon(answer.set_result, None)
    assert (await task, name.get()) == ("the caller", "nobody")


async def test_a_cancelled_caller_goes_on_a_turn_later() -> None:
    """`Task.cancel` must have returned before the task runs."""
    loop = asyncio.get_running_loop()
    seen: list[str] = []

    async def caller(answer: Answer[None]) -> None:
        try:
            await answer
        finally:
            seen.append("left")

    def cancel() -> None:
        task.cancel()
        seen.append("cancelled")

    task = asyncio.ensure_future(caller(Answer(loop=loop)))
    await asyncio.sleep(0)
    loop.call_soon(cancel)
    await asyncio.wait([task])
    assert (seen, task.cancelled()) == (["cancelled", "left"], True)


def test_a_caller_that_ends_the_process_takes_no_answer_from_the_others(way: str) -> None:
    """KeyboardInterrupt and SystemExit leave the loop, as they do from any task; the rest was answered."""
    loop = asyncio.new_event_loop()
    outbox = Outbox(loop)
    answers = [Answer[int](loop=loop) for _ in range(3)]

    async def caller(answer: Answer[int]) -> int:
        if await answer == 0:
            raise KeyboardInterrupt
        return await answer

    tasks = [loop.create_task(caller(answer)) for answer in answers]
    for n, answer in enumerate(answers):
        loop.call_soon(outbox.post, settle(answer), n, None)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(asyncio.gather(*tasks))
    assert [task.result() for task in tasks[1:]] == [1, 2]
    assert isinstance(tasks[0].exception(), KeyboardInterrupt)
    outbox.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


async def test_callers_that_ask_again_at_once_leave_the_loop_its_turns(way: str, tmp_path: Path) -> None:
    """However fast the answers come, others run between them."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with DatabaseManager(f"sqlite:///{tmp_path / 'a.db'}") as db:

        async def ask() -> None:
            for _ in range(300):
                await db.fetch_value("SELECT 1")

        counting = asyncio.ensure_future(count())
        await asyncio.gather(*(ask() for _ in range(8)))
        counting.cancel()
    assert turns > 50


async def test_what_is_posted_after_close_arrives(way: str) -> None:
    outbox = Outbox(asyncio.get_running_loop())
    outbox.close()
    answer = Answer[str](loop=asyncio.get_running_loop())
    threading.Thread(target=outbox.post, args=(settle(answer), "late", None)).start()
    assert await answer == "late"


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="this system has no eventfd")
async def test_the_eventfd_is_given_back() -> None:
    """By close, and when an outbox is dropped; by whichever thread drops it."""
    loop = asyncio.get_running_loop()
    before = eventfds()
    for _ in range(10):
        Outbox(loop).close()
        dropped = [Outbox(loop)]
        thread = threading.Thread(target=dropped.clear)
        thread.start()
        await asyncio.to_thread(thread.join)
        Outbox(loop)
    async with asyncio.timeout(60):
        while eventfds() > before:
            await asyncio.sleep(0)
    assert eventfds() <= before


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="this system has no eventfd")
def test_the_eventfd_of_a_closed_loop_is_given_back() -> None:
    before = eventfds()
    for _ in range(3):
        loop = asyncio.new_event_loop()
        outbox = Outbox(loop)
        loop.close()
        outbox.post(lambda value, error: None, None, None)  # a thread that was not done when the loop ended
        del outbox, loop
    assert eventfds() <= before


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="this system has no eventfd")
async def test_a_forked_process_leaves_the_eventfd_to_its_parent() -> None:
    """The two share what the loop watches: the child must not end it."""
    loop = asyncio.get_running_loop()
    outbox: Outbox | None = Outbox(loop)
    child = os.fork()
    if not child:
        outbox = None
        gc.collect()
        os._exit(0)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert status == 0
    answer = Answer[str](loop=loop)
    assert outbox is not None
    threading.Thread(target=outbox.post, args=(settle(answer), "still here", None)).start()
    assert await asyncio.wait_for(answer, 60) == "still here"
    outbox.close()
