"""Logs: one line a record, the correlation id of its task, and no value of a parameter."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any, Literal
from uuid import UUID

import aiosqlite
import pytest

from dal.errors import UniqueViolation
from dal.logs import configure, correlation_id, current_correlation_id
from dal.settings import LoggingSettings

log = logging.getLogger("dal.test")


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    others = {name: logging.getLogger(name) for name in ("databases", "aiosqlite")}
    before = (root.level, root.handlers[:], {name: other.level for name, other in others.items()})
    yield
    root.level, root.handlers[:] = before[0], before[1]
    for name, other in others.items():
        other.setLevel(before[2][name])
    root.setLevel(before[0])


Format = Literal["json", "text"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def capture(form: Format = "json", level: Level = "DEBUG") -> io.StringIO:
    stream = io.StringIO()
    configure(LoggingSettings(level=level, format=form), stream)
    return stream


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines() if '"dal.test"' in line]


def test_json_record() -> None:
    """A record is one JSON object with its time in UTC, level, logger and message."""
    stream = capture()
    log.info("ingested %d documents", 3)
    (record,) = records(stream)

    assert record.pop("time").endswith("Z")
    assert record == {
        "level": "INFO",
        "logger": "dal.test",
        "message": "ingested 3 documents",
        "correlation_id": None,
    }


def test_extras_are_fields() -> None:
    """What extra= gives are fields of the object, also of a type that JSON does not have."""
    stream = capture()
    log.info("done", extra={"rows": 3, "run": UUID(int=7)})

    assert records(stream)[0]["rows"] == 3
    assert records(stream)[0]["run"] == "00000000-0000-0000-0000-000000000007"


def test_extra_named_like_a_field_is_kept() -> None:
    """An extra whose name the format uses itself is kept under another."""
    stream = capture()
    log.info("done", extra={"level": "high"})

    assert (records(stream)[0]["level"], records(stream)[0]["level_"]) == ("INFO", "high")


def test_text_record() -> None:
    """As text, a record is one line with its extras behind the message."""
    stream = capture("text")
    with correlation_id("req-1"):
        log.info("done", extra={"rows": 3})

    assert stream.getvalue().split(" ", 1)[1] == "INFO     [req-1] dal.test: done rows=3\n"


def test_line_break_forges_no_record() -> None:
    """A line break within a message stays within its line."""
    stream = capture("text")
    log.info("one\n2026-01-01 CRITICAL two")

    assert stream.getvalue().count("\n") == 1


def test_level_is_held() -> None:
    """Records below the level are not written."""
    stream = capture(level="WARNING")
    log.info("quiet")

    assert stream.getvalue() == ""


def test_configured_twice_writes_once() -> None:
    """A second call replaces what the first set up."""
    first, second = capture(), capture()
    log.info("done")

    assert first.getvalue() == ""
    assert len(records(second)) == 1


def test_handlers_of_others_stay() -> None:
    """A handler that the application added itself is left alone."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    capture()

    assert handler in logging.getLogger().handlers


def test_correlation_id_of_the_block() -> None:
    """Records of the block carry the id; after it there is none."""
    stream = capture()
    with correlation_id("req-1"):
        log.info("in")
    log.info("out")

    assert [record["correlation_id"] for record in records(stream)] == ["req-1", None]


def test_correlation_id_is_made_if_none_is_given() -> None:
    """Without a value each block has an id of its own."""
    with correlation_id() as one, correlation_id() as two:
        assert current_correlation_id() == two

    assert one != two
    assert UUID(one)


async def test_correlation_id_follows_the_task() -> None:
    """Each of many concurrent tasks keeps its own id, and its child tasks have the same."""
    stream = capture()

    async def child() -> None:
        await asyncio.sleep(0)
        log.info("child", extra={"expected": current_correlation_id()})

    async def request(identifier: str) -> None:
        with correlation_id(identifier):
            await asyncio.sleep(0)
            log.info("parent", extra={"expected": identifier})
            await asyncio.gather(
                child(), asyncio.to_thread(log.info, "thread", extra={"expected": identifier})
            )

    await asyncio.gather(*(request(f"req-{n}") for n in range(20)))
    written = records(stream)

    assert len(written) == 60
    assert all(record["correlation_id"] == record["expected"] for record in written)
    assert {record["expected"] for record in written} == {f"req-{n}" for n in range(20)}


async def test_aiosqlite_shows_no_value() -> None:
    """At DEBUG, aiosqlite's own records, which hold the parameters, are left out."""
    stream = capture()
    async with aiosqlite.connect(":memory:") as connection:
        await connection.execute("SELECT ?", ("s3cr3t",))

    assert "s3cr3t" not in stream.getvalue()


def test_value_showing_loggers_keep_a_higher_level() -> None:
    """A root level above WARNING holds for them too."""
    capture(level="ERROR")

    assert logging.getLogger("databases").level == logging.ERROR


@pytest.mark.parametrize("form", ["json", "text"])
def test_driver_error_behind_ours_keeps_its_text(form: Format) -> None:
    """A traceback names the driver's error behind one of ours, and leaves out its text."""
    stream = capture(form)
    try:
        try:
            raise ValueError(f"Key (email)=({'s3cr3t'.upper()}) already exists")
        except ValueError as error:
            raise UniqueViolation("the row exists already", query="add_user") from error
    except UniqueViolation:
        log.exception("failed")

    assert "S3CR3T" not in stream.getvalue()
    assert "builtins.ValueError: (text left out" in stream.getvalue()
    assert "query add_user: the row exists already" in stream.getvalue()


def test_traceback_of_another_error_is_whole() -> None:
    """An error that is not ours is written with its text, its cause and the members of a group."""
    stream = capture()
    try:
        raise ExceptionGroup("both", [KeyError("left"), OSError("right")]) from RuntimeError("cause")
    except ExceptionGroup:
        log.exception("failed")
    text = records(stream)[0]["exception"]

    assert all(word in text for word in ("RuntimeError: cause", "both", "KeyError: 'left'", "OSError: right"))
