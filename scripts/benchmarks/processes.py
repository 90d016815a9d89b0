"""What a new process pays: the import, and the way to the first answer. Each is a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import work
from benchmarks.bars import Result
from benchmarks.cases import WrongAnswer, compare
from benchmarks.figures import ratios
from benchmarks.measuring import Sample
from benchmarks.places import Base, scratch_folder

CASES = ("import", "startup")

LATE = (
    "asyncpg",
    "asyncmy",
    "aiosqlite",
    "psycopg",
    "pymysql",
    "sqlalchemy",
    "sqlglot",
    "typer",
    "rich",
    "redis",
)
"""Packages that `import dal` must not load."""

_IMPORT = """
import json, sys, time
begun = time.perf_counter()
import {0}
elapsed = time.perf_counter() - begun
print(json.dumps([elapsed, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""

_IMPORTED = {
    "pydantic": "pydantic",  # the floor: `dal` gives back its models
    "databases": "databases",
    "aiosql": "aiosql",
    "SQLAlchemy Core": "sqlalchemy.ext.asyncio",
    "SQLAlchemy ORM": "sqlalchemy.ext.asyncio, sqlalchemy.orm",
    "SQLSpec": "sqlspec",
    "Tortoise": "tortoise",
}

_MODEL = """
import asyncio
from pydantic import BaseModel
class Item(BaseModel):
    item_id: int
    code: str
    name: str
    quantity: int
    price: float
    note: str | None
"""

_STARTUPS = {
    "dal": _MODEL
    + """
from dal import DatabaseManager, load_queries
queries = load_queries({queries!r}, models=[Item])
async def main():
    async with DatabaseManager({url!r}, queries=queries) as db:
        return await db.fetch_one(queries.item_by_id, {{"item_id": 7}})
assert asyncio.run(main()).name == "item 7"
""",
    "aiosqlite by hand": _MODEL
    + """
import aiosqlite
from pydantic import TypeAdapter
async def main():
    async with aiosqlite.connect({path!r}) as connection:
        cursor = await connection.execute({point!r}, (7,))
        row = await cursor.fetchone()
        return TypeAdapter(Item).validate_python(dict(zip({columns!r}, row)))
assert asyncio.run(main()).name == "item 7"
""",
    "databases": _MODEL
    + """
import databases
async def main():
    async with databases.Database({url!r}) as db:
        row = await db.fetch_one({named!r}, {{"item_id": 7}})
        return Item(**dict(row._mapping))
assert asyncio.run(main()).name == "item 7"
""",
    "SQLAlchemy Core": _MODEL
    + """
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
async def main():
    engine = create_async_engine("sqlite+aiosqlite:///" + {path!r})
    async with engine.connect() as connection:
        row = (await connection.execute(text({named!r}), {{"item_id": 7}})).mappings().one()
    await engine.dispose()
    return Item(**row)
assert asyncio.run(main()).name == "item 7"
""",
}


def run_processes(
    names: list[str], rounds: int, peers: frozenset[str], advance: Callable[[], None]
) -> list[Result]:
    """Time import and start-up, everyone in turn."""
    results = []
    if "import" in names:
        results.append(_imports(rounds, peers))
        advance()
    if "startup" in names:
        results.append(_startups(rounds, peers))
        advance()
    return results


def _imports(rounds: int, peers: frozenset[str]) -> Result:
    programs = {"dal": _IMPORT.format("dal")}
    for name, module in _IMPORTED.items():
        if name == "pydantic" or name in peers:
            programs[name] = _IMPORT.format(module)
    loaded: set[str] = set()

    def run(program: str) -> float:
        elapsed, modules = json.loads(_output(program))
        if program is programs["dal"]:
            loaded.update(modules)
        return float(elapsed)

    result = _in_turn("import", programs, "pydantic", rounds, run, peers)
    result.facts["imports"] = sorted(loaded & set(LATE))
    return result


def _startups(rounds: int, peers: frozenset[str]) -> Result:
    with scratch_folder() as folder:
        base = Base("sqlite", f"sqlite:///{folder / 'startup.db'}", 100)
        base.make()
        values: dict[str, Any] = {
            "queries": str(Path(__file__).with_name("queries.sql")),
            "url": base.url,
            "path": base.path,
            "point": work.text(work.POINT, work.QMARK),
            "named": work.named(work.POINT, "item_id"),
            "columns": work.COLUMNS,
        }
        programs = {
            name: text.format(**values)
            for name, text in _STARTUPS.items()
            if name in ("dal", "aiosqlite by hand") or name in peers
        }

        def run(program: str) -> float:
            begun = time.perf_counter()
            _output(program)
            return time.perf_counter() - begun

        return _in_turn("startup", programs, "aiosqlite by hand", rounds, run, peers)


def _in_turn(
    case: str,
    programs: dict[str, str],
    floor: str,
    rounds: int,
    run: Callable[[str], float],
    peers: frozenset[str],
) -> Result:
    samples = {name: Sample() for name in programs}
    missing: dict[str, str] = {}
    for number in range(-1, rounds):
        for name, program in programs.items():
            if name in missing:
                continue
            try:
                elapsed = run(program)
            except WrongAnswer as error:
                if name in ("dal", floor):
                    raise
                missing[name] = str(error)
                continue
            if number >= 0:
                samples[name].per_round[number] = elapsed
    ours, below = samples.pop("dal"), samples.pop(floor)
    result = Result(case, "python", None, "none", ours.us, missing=missing, asked=peers)
    result.floor, result.floor_us = floor, below.us
    result.ratio = ratios(ours.per_round, below.per_round)
    compare(result, ours, {name: sample for name, sample in samples.items() if sample.per_round})
    return result


def _output(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise WrongAnswer((done.stderr.strip().split("\n") or ["it failed"])[-1][:120])
    return done.stdout
