"""Times the queries of any project: reads on its database, writes on a copy of it that is made here.

A query is a read if its kind gives back rows and a read-only transaction has run it. Everything else
counts as a write. Of a SQLite file a copy is made by SQLite's backup for each of them, so that the file
itself is never written; on a server writes are not run.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchmarks.bars import Bar, Result
from benchmarks.figures import percentile
from benchmarks.measuring import collector_off
from benchmarks.places import scratch_folder
from dal import DatabaseManager, Query, load_queries
from dal.errors import ConfigurationError, DalError
from dal.executor import Executor
from dal.queries.dialects import DIALECTS
from dal.queries.loader import VALUE_TYPES

_WRITES = ("affected", "batch", "script")
_LEAST = 20
_MOST = 5_000
_TARGET = Bar("", "p99", 50)


class _AnyModel(Mapping[str, type]):
    """Has a class for every name: the project's own models are not known here."""

    def __getitem__(self, name: str) -> type:
        if name in VALUE_TYPES or name.startswith("decimal("):
            raise KeyError(name)
        return type(name, (BaseModel,), {})

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 1


@dataclass
class Found:
    """What the queries of a project take.

    Attributes:
        results: One for each query that was timed.
        absent: Each query that was not, and why.
    """

    results: list[Result] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)


def read_queries(path: Path) -> dict[str, Query[Any]]:
    """Return the queries of a file, or of a folder and those below it, by their names.

    Rows are not made models: `returns` names classes of the project.

    Raises:
        ConfigurationError: There are none.
        QueryFileError: A file is wrong.
    """
    places = [path]
    if path.is_dir():
        folders = {
            file.parent for file in path.rglob("*.sql") if not file.name.startswith(("schema.", "adopt."))
        }
        places = sorted(folders)
    found: dict[str, Query[Any]] = {}
    for place in places:
        prefix = "" if place == path else f"{place.relative_to(path)}/"
        for query in load_queries(place, models=_AnyModel()):
            if query.kind != "value":
                query.returns = None
            found[f"{prefix}{query.name}"] = query
    if not found:
        raise ConfigurationError(f"no queries were found in {path}")
    return found


def read_params(path: Path | None) -> dict[str, list[Any]]:
    """Return the parameters to call each query with, from a JSON or YAML file.

    The file maps a name to parameters, or to a list of them that are used in turn.

    Raises:
        ConfigurationError: It has another form.
    """
    if path is None:
        return {}
    import yaml

    try:
        given = yaml.safe_load(path.read_text())  # JSON is YAML
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is neither JSON nor YAML: {error}") from None
    if not isinstance(given, dict):
        raise ConfigurationError(
            f"{path}: a mapping from the names of queries to their parameters is expected"
        )
    params = {str(name): value if isinstance(value, list) else [value] for name, value in given.items()}
    for name, sets in params.items():
        if not sets or not all(isinstance(one, dict) for one in sets):
            raise ConfigurationError(f"{path}: {name}: parameters are a mapping, or a list of mappings")
    return params


async def time_queries(
    queries: Mapping[str, Query[Any]],
    params: Mapping[str, Sequence[Any]],
    url: str,
    *,
    seconds: float,
    loop: str,
    advance: Callable[[], None] = lambda: None,
) -> Found:
    """Time each query with its parameters for *seconds*."""
    found = Found()
    found.absent |= {
        name: "the file of parameters names it, but there is no such query"
        for name in params
        if name not in queries
    }
    writes: dict[str, str] = {}
    async with DatabaseManager(url) as db:
        engine = db.engine_name
        for name, query in queries.items():
            sets = params.get(name) or [{}]
            if not query.has_text(DIALECTS[engine]):
                found.absent[name] = f"it has no text for {engine}"
            elif query.parameters and name not in params:
                found.absent[name] = "no parameters are given for it"
            elif query.kind in _WRITES:
                writes[name] = f"it is of the kind :{query.kind}"
            else:
                try:
                    async with db.transaction(readonly=True) as tx:
                        rows = await _call(tx, query, sets[0], sets)
                except DalError as error:
                    writes[name] = f"a read-only transaction refused it: {error}"
                else:
                    await _timed(found, name, db, query, sets, engine, seconds, loop, rows=rows)
            advance()
        path = db.url.removeprefix("sqlite:///") if engine == "sqlite" else None
        for name, reason in writes.items():
            if path is None:
                found.absent[name] = (
                    f"not run, since writes run only on a copy, which is made of SQLite files: {reason}"
                )
                continue
            with scratch_folder() as folder:
                copy = folder / "copy.db"
                _backup(path, copy)
                async with DatabaseManager(f"sqlite:///{copy}") as scratch:
                    sets = params.get(name) or [{}]
                    await _timed(found, name, scratch, queries[name], sets, engine, seconds, loop)
    return found


def _backup(path: str, copy: Path) -> None:
    with closing(sqlite3.connect(Path(path).absolute().as_uri() + "?mode=ro", uri=True)) as source:
        with closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        copy.chmod(0o600)


async def _timed(
    found: Found,
    name: str,
    db: Executor,
    query: Query[Any],
    sets: Sequence[Any],
    engine: str,
    seconds: float,
    loop: str,
    rows: int | None = None,
) -> None:
    durations: list[float] = []
    turn = cycle(sets)
    failure = None
    with collector_off():
        end = time.perf_counter() + seconds
        while len(durations) < _LEAST or (time.perf_counter() < end and len(durations) < _MOST):
            begun = time.perf_counter()
            try:
                await _call(db, query, next(turn), sets)
            except DalError as error:
                failure = str(error)
                break
            durations.append(time.perf_counter() - begun)
            if durations[-1] > seconds * 10:
                break
    if not durations:
        found.absent[name] = f"it failed: {failure}"
        return
    ours = statistics.median(durations) * 1e6
    is_read = rows is not None
    result = Result(
        name, engine, rows, loop, ours, percentile(durations, 0.99) * 1e6, bars=(_TARGET,) if is_read else ()
    )
    result.facts |= {"calls": len(durations), "on": "the database" if is_read else "a scratch copy"}
    if failure:
        result.facts["ended_by"] = failure
    found.results.append(result)


async def _call(db: Executor, query: Query[Any], params: Any, sets: Sequence[Any]) -> int:
    """Call a query by the verb of its kind, and return how many rows it gave back."""
    match query.kind:
        case "value":
            return int(await db.fetch_value(query, params) is not None)
        case "one" | "first":
            return int(await db.fetch_one(query, params) is not None)
        case "affected":
            await db.execute(query, params)
        case "batch":
            await db.execute_many(query, sets)
        case "script":
            await db.execute_script(query)
        case _:
            return len(await db.fetch_all(query, params))
    return 0
