"""Every repository method on every engine: the same calls on the same data give the same answers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, is_dataclass
from decimal import Decimal
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import Any

import pytest
from pydantic import BaseModel

from dal.cache import CacheManager
from dal.database import DatabaseManager
from dal.executor import Executor
from tests.systems.calls import Call
from tests.systems.fixtures import NewDatabase
from tests.systems.moments import is_now
from tests.systems.registry import ENGINES, SERVERS, SYSTEMS, System

every_system = pytest.mark.parametrize("system", SYSTEMS.values(), ids=repr)
with_and_without_cache = pytest.mark.parametrize("cached", [False, True], ids=["alone", "cached"])


@dataclass(frozen=True)
class Outcome:
    """What a step led to.

    Attributes:
        call: The step.
        raised: What it raised.
        result: What it returned.
    """

    call: Call
    raised: Exception | None
    result: Any


Run = Callable[[str, System, bool], list[Outcome]]


@pytest.fixture(scope="module")
def run(new_database: NewDatabase) -> Run:
    """Gives what the steps of a system led to on an engine, with a cache or without. They are done once."""

    @cache
    def of(engine: str, system: System, cached: bool) -> list[Outcome]:
        with new_database(engine, system) as database:
            return asyncio.run(_outcomes(database.url, system, cached))

    return of


async def _outcomes(url: str, system: System, cached: bool) -> list[Outcome]:
    """The outcomes of the steps, up to the first one that raised what it should not."""
    done: list[Outcome] = []
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(DatabaseManager(url))
        copies = await stack.enter_async_context(CacheManager("memory://")) if cached else None
        result: Any = None
        for step in system.steps():
            call = step if isinstance(step, Call) else step(result)
            raised = None
            try:
                result = await _result(call, repositories(system)[call.names[0]], db, copies)
            except Exception as error:  # compared with what the step says
                raised, result = error, None
            done.append(Outcome(call, raised, result))
            if raised is not None and type(raised) is not call.error:
                break
    return done


async def _result(
    call: Call, repository: Callable[..., Any], executor: Executor, copies: CacheManager | None
) -> Any:
    options = {"cache": copies} if "cache" in inspect.signature(repository).parameters else {}
    answer = call.method(repository(executor, **options), *call.args, **call.kwargs)
    return [item async for item in answer] if hasattr(answer, "__aiter__") else await answer


def described(value: Any, own: Mapping[str, str]) -> Any:
    """What a value is, with its type; without trailing zeros, the present, and what is each engine's own."""
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
    elif is_dataclass(value):
        fields = {name: getattr(value, name) for name in value.__dataclass_fields__}
    elif isinstance(value, dict):
        return {repr(key): described(item, own) for key, item in sorted(value.items())}
    elif isinstance(value, list | tuple):
        return [described(item, own) for item in value]
    elif isinstance(value, Decimal):
        return f"Decimal {value.normalize()}"
    else:
        return repr(value)
    kind = type(value).__name__
    return kind, {
        name: "the present" if name in CLOCKS and is_now(item) else described(item, own)
        for name, item in fields.items()
        if f"{kind}.{name}" not in own
    }


CLOCKS = {"created_at", "updated_at"}


def repositories(system: System) -> dict[str, type]:
    """The repository classes that the system exports."""
    exported = vars(import_module(f"dal.repositories.{system.name}"))
    return {name: found for name, found in exported.items() if name.endswith("Repository")}


def methods(system: System) -> dict[tuple[str, str], FunctionType]:
    """The public methods of the repositories, by class and name."""
    return {
        (name, method): function
        for name, repository in repositories(system).items()
        for method, function in inspect.getmembers(repository, inspect.isfunction)
        if not method.startswith("_")
    }


@every_system
@with_and_without_cache
@pytest.mark.parametrize("engine", ENGINES)
def test_each_step_does_what_it_says(run: Run, engine: str, system: System, cached: bool) -> None:
    """It returns, or raises the error that it names."""
    done = run(engine, system, cached)
    for number, one in enumerate(done):
        if one.raised is not None and type(one.raised) is not one.call.error:
            raise AssertionError(f"step {number}, {one.call.names}: {one.raised!r}") from one.raised
        assert type(one.raised) is (one.call.error or type(None)), f"step {number}, {one.call.names}"
    assert len(done) == len(system.steps())


@every_system
@with_and_without_cache
@pytest.mark.parametrize("engine", SERVERS)
def test_answers_are_the_same_on_every_engine(run: Run, engine: str, system: System, cached: bool) -> None:
    """The models are equal to those from SQLite, in values and types."""
    there, here = run("sqlite", system, cached), run(engine, system, cached)
    own = system.engines_own()
    assert len(there) == len(here)
    for number, (one, other) in enumerate(zip(there, here, strict=True)):
        place = f"step {number}, {'.'.join(one.call.names)}"
        assert type(other.result) is type(one.result), place
        if ".".join(one.call.names) not in own:
            assert described(other.result, own) == described(one.result, own), place


@every_system
def test_every_method_is_called(run: Run, system: System) -> None:
    """No public method of a repository is left out, and no other is called."""
    called = {outcome.call.names for outcome in run("sqlite", system, False)}
    assert called == methods(system).keys()


@every_system
def test_every_method_answers(run: Run, system: System) -> None:
    """What returns anything returns something else than None, False, 0 or nothing at least once."""
    answered = {outcome.call.names for outcome in run("sqlite", system, False) if outcome.result}
    silent = {
        name for name, function in methods(system).items() if function.__annotations__["return"] == "None"
    }
    assert methods(system).keys() - answered - silent == set()
