"""Adoptions that are killed, as no program can prevent, and called again."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from dal.errors import AdoptionRefused
from dal.operations.adopt import adopt
from tests.operations.old_files import Expected, chat_file, market_file
from tests.operations.test_adopt import chat_rows, dump, half_adopted, market_rows, run

# Many adoptions, one after the other: minutes on a slow machine.
pytestmark = pytest.mark.timeout(900)

PROGRAM = """
import asyncio, signal, sys, time
from pathlib import Path
from dal.errors import AdoptionRefused
from dal.operations.adopt import adopt

code, worked = 0, time.process_time()
print("begun", flush=True)
signal.setitimer(signal.ITIMER_PROF, float(sys.argv[3]))
try:
    asyncio.run(adopt(Path(sys.argv[1]), sys.argv[2]))
except AdoptionRefused:
    code = 3
print(time.process_time() - worked, flush=True)
sys.exit(code)
"""
REFUSED = 3
KILLED = {-signal.SIGKILL, -signal.SIGPROF}


class Old(NamedTuple):
    """A kind of old file.

    Attributes:
        make: Makes one, and returns its rows in today's models.
        kills: How many runs are killed at some time, which may be too late; every second one at the end of
            its work. One more is killed after a part of its work, which is in time on the slowest machine.
        system: Whose tables it has.
        rows: Reads them from the adopted file.
    """

    make: Callable[[Path], Expected | Awaitable[Expected]]
    kills: int
    system: str = "market"
    rows: Callable[[Path], Awaitable[Expected]] = market_rows


OLD = {
    "no row": Old(lambda file: market_file(file, 0), 4),
    "1 row": Old(lambda file: market_file(file, 1), 4),
    "3000 rows": Old(lambda file: market_file(file, 3000, 100), 5),
    "3000 rows, WAL": Old(lambda file: market_file(file, 3000, 100, wal=True), 5),
    "half-adopted": Old(half_adopted, 4),
    "chat": Old(lambda file: chat_file(file, 1000), 4, "chat", chat_rows),
}


def begun(file: Path, system: str, work: float = 0) -> subprocess.Popen[bytes]:
    """A process that adopts *file*, once it has begun; killed after *work* seconds of work, if not 0."""
    command = [sys.executable, "-c", PROGRAM, str(file), system, str(work)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    return process


def whole_time(file: Path, system: str, code: int = 0) -> tuple[float, float]:
    """How long an adoption takes that nobody kills, and how long a processor works for it."""
    with begun(file, system) as process:
        started = time.monotonic()
        assert process.wait() == code
        ended = time.monotonic()
        assert process.stdout is not None
        return ended - started, float(process.stdout.read())


def kill_between(file: Path, system: str, first: float, last: float) -> int:
    """Kill an adoption at any moment between two seconds of its time; return its exit code."""
    with begun(file, system) as process:
        time.sleep(random.Random(first).uniform(first, last))
        process.kill()
    return process.returncode


def kill_at_work(file: Path, system: str, work: float) -> int:
    """Kill an adoption after a part of its *work*, as no program can prevent; return its exit code."""
    with begun(file, system, random.Random(work).uniform(0, work / 2)) as process:
        return process.wait()


def kill_at_the_end(file: Path, system: str, number: int) -> int:
    """Kill an adoption while its new pages are written over the old ones, or shortly before or after."""
    with begun(file, system) as process:
        while process.poll() is None and not list(file.parent.glob("*.before-adoption-*")):
            time.sleep(0.0001)
        time.sleep(random.Random(number).uniform(0, 0.005))
        process.kill()
    return process.returncode


async def assert_nothing_is_lost(folder: Path, old: Old) -> None:
    """Adopt one file after the other, each killed later than the one before, and again."""
    first = folder / "first" / "app.db"
    first.parent.mkdir()
    made = old.make(first)
    expected = await made if isinstance(made, Awaitable) else made
    before = dump(first)
    kept = first.read_bytes()
    whole, work = whole_time(first, old.system)
    part = whole / old.kills
    codes = []
    for number in range(old.kills + 1):
        file = folder / str(number) / "app.db"
        file.parent.mkdir()
        file.write_bytes(kept)
        if number == old.kills:
            code = await asyncio.to_thread(kill_at_work, file, old.system, work)
        elif number % 2:
            code = await asyncio.to_thread(kill_at_the_end, file, old.system, number)
        else:
            code = await asyncio.to_thread(kill_between, file, old.system, number * part, (number + 2) * part)
        codes.append(code)
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        is_old = dump(file) == before

        adopted = await adopt(file, old.system)
        assert adopted.state == ("adopted" if is_old else "current")  # current: nothing was done
        assert await old.rows(file) == expected
        assert before in [dump(backup) for backup in file.parent.glob("*.before-adoption-*")]
        assert not list(file.parent.glob(".app.db.adopting-*"))
    assert codes[-1] in KILLED


@pytest.mark.parametrize("old", OLD.values(), ids=OLD)
async def test_killed_at_any_moment(tmp_path: Path, old: Old) -> None:
    """The file is then the old one or the new one, whole; the next run ends the work and loses no row."""
    await assert_nothing_is_lost(tmp_path, old)


@pytest.mark.slow
async def test_a_large_file_is_killed(tmp_path: Path) -> None:
    """The same for 40,000 rows, whose new pages take a while to be written."""
    await assert_nothing_is_lost(tmp_path, Old(lambda file: market_file(file, 40_000, 10), 2))


@pytest.mark.parametrize("wal", [False, True])
async def test_a_refused_file_is_killed(tmp_path: Path, wal: bool) -> None:
    """Killed before it is refused, it is what it was, byte for byte; the next run refuses it as before."""
    file = tmp_path / "app.db"
    market_file(file, 3000, 10, wal=wal)
    run(file, "UPDATE daily_data SET volume = -1 WHERE id = 3000")
    before = file.read_bytes()
    whole, work = whole_time(file, "market", REFUSED)
    runs = [
        partial(kill_between, first=0, last=whole / 2),
        partial(kill_between, first=whole / 2, last=whole),
        partial(kill_at_work, work=work),
    ]
    codes = []
    for kill in runs:
        codes.append(await asyncio.to_thread(kill, file, "market"))
        assert file.read_bytes() == before
        with pytest.raises(AdoptionRefused) as raised:
            await adopt(file, "market")
        assert raised.value.differences == ("daily_data id=3000: CHECK daily_data_volume_range",)
        assert file.read_bytes() == before
        assert list(tmp_path.iterdir()) == [file]
    assert codes[-1] in KILLED
