"""How much memory a stream takes, seen in a process of its own, whose heap nobody else has stretched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import asyncio
from benchmarks.ours import QUERIES
from dal import DatabaseManager

def mb(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(field))

async def stream(db, rows):
    count = 0
    async for item in db.stream(QUERIES.items_from, {{"first_id": 1, "row_count": rows}}):
        count += 1
    assert count == rows

async def main():
    async with DatabaseManager({url!r}) as db:
        await stream(db, {first})
        before = mb("VmRSS")
        await stream(db, {rows})
        print(max(0.0, mb("VmHWM") - before))

asyncio.run(main())
"""


def stream_growth(url: str, rows: int) -> float:
    """Return by how many MB memory grows at most while *rows* are streamed to models.

    One batch is streamed before: what a first use loads is no part of it.

    Raises:
        OSError: This system does not tell, or the process failed.
    """
    if not Path("/proc/self/status").exists():
        raise OSError("this system does not tell the highest use of memory")
    program = _PROGRAM.format(url=url, first=min(rows, 500), rows=rows)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise OSError(f"the process that streams failed: {done.stderr.strip()[-300:]}")
    return float(done.stdout)
