"""Values as bytes: strict on the way in, suspicious on the way out."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import random
import shutil
import subprocess
import tracemalloc
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from dal.cache import FAMILIES, codec
from dal.errors import CacheValueError
from dal.values import MAX_JSON_DEPTH
from tests.servers import missing

GZIP_FAMILY = FAMILIES["search_results"]
JSON_FAMILY = FAMILIES["ai_evaluation"]

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)

LIBRARIES = list(
    itertools.product(itertools.product(codec.JSON, codec.GZIP), itertools.product(codec.JSON, codec.GZIP))
)


class Colour(StrEnum):
    RED = "red"


class Model(BaseModel):
    number: float


class Text(str):
    """Not exactly a str."""


def use(monkeypatch: pytest.MonkeyPatch, json_name: str, gzip_name: str) -> None:
    monkeypatch.setattr(codec, "_json", codec.JSON[json_name])
    monkeypatch.setattr(codec, "_gzip", codec.GZIP[gzip_name])


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def doubled() -> list[Any]:
    value: list[Any] = ["x"]
    for _ in range(100):
        value = [value, value]
    return value


@settings(deadline=None)
@given(JSON_VALUES.filter(lambda value: value is not None), st.sampled_from([GZIP_FAMILY, JSON_FAMILY]))
def test_json_round_trip(value: Any, family: Any) -> None:
    """Every JSON value comes back equal, and of the same types."""
    stored = asyncio.run(codec.encode(family, value))
    assert repr(asyncio.run(codec.decode(family, stored))) == repr(value)


@settings(deadline=None, max_examples=25)  # for each of sixteen pairs
@given(value=JSON_VALUES.filter(lambda value: value is not None))
@pytest.mark.parametrize(("writer", "reader"), LIBRARIES)
def test_each_library_reads_what_the_others_wrote(
    writer: tuple[str, str], reader: tuple[str, str], value: Any
) -> None:
    """Any writer's bytes give the same value with any reader."""
    data = codec.GZIP[writer[1]].compress(codec.JSON[writer[0]].dumps(value))
    read = codec.load(codec.inflate(data, codec.GZIP[reader[1]]), codec.JSON[reader[0]])
    assert repr(read) == repr(value)


def test_all_libraries_are_tried() -> None:
    """The optional libraries are installed where this runs."""
    assert (list(codec.JSON), list(codec.GZIP)) == (["json", "orjson"], ["zlib", "isal"])


WRONG = [
    float("nan"), float("inf"), [float("-inf")], "\ud800", ["a\udfff"], {"\ud800": 1}, {1: 2}, {None: 1},
    {True: 1}, 2**64, -(2**63) - 1, (1, 2), {1, 2}, b"a", Decimal(1), datetime.now(UTC), UUID(int=0),
    Colour.RED, Text("a"), object(), {"a": Model(number=1)}, {Text("a"): 1}, None, Model(number=float("nan")),
    Model.model_construct(number="secret"), nested(MAX_JSON_DEPTH + 1), endless(), doubled(),
]  # fmt: skip


@pytest.mark.parametrize("value", WRONG, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("json_name", codec.JSON)
async def test_what_is_no_json_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: Any, json_name: str
) -> None:
    """The same values are refused with every library, with the family's name."""
    use(monkeypatch, json_name, "zlib")
    with pytest.raises(CacheValueError, match="key family search_results: "):
        await codec.encode(GZIP_FAMILY, value)


async def test_refusal_does_not_show_the_value() -> None:
    """Neither the error nor its causes hold what was refused."""
    with pytest.raises(CacheValueError) as raised:
        await codec.encode(GZIP_FAMILY, Model.model_construct(number="secret"))
    assert "secret" not in str(raised.value)
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("json_name", codec.JSON)
async def test_deepest_value_is_stored(monkeypatch: pytest.MonkeyPatch, json_name: str) -> None:
    """The bound on depth is one that every library can write and read."""
    use(monkeypatch, json_name, "zlib")
    value = nested(MAX_JSON_DEPTH)
    assert await codec.decode(GZIP_FAMILY, await codec.encode(GZIP_FAMILY, value)) == value


@pytest.mark.parametrize("gzip_name", codec.GZIP)
def test_bytes_are_deterministic(gzip_name: str) -> None:
    """The header holds no time, so that equal values are equal bytes."""
    data = codec.GZIP[gzip_name].compress(b"{}")
    assert data[4:8] == bytes(4)


@pytest.mark.parametrize("gzip_name", codec.GZIP)
async def test_gunzip_and_jq_read_a_value(monkeypatch: pytest.MonkeyPatch, gzip_name: str) -> None:
    """A stored value can be looked at with the usual programs."""
    if not (shutil.which("gunzip") and shutil.which("jq")):
        missing("gunzip or jq is not on the PATH: apt-get install gzip jq")
    use(monkeypatch, "json", gzip_name)
    data = await codec.encode(GZIP_FAMILY, {"a": ["ü", 1]})
    text = await asyncio.to_thread(
        subprocess.run, "gunzip | jq -c .", shell=True, input=data, capture_output=True, check=True
    )
    assert text.stdout == '{"a":["ü",1]}\n'.encode()


@pytest.mark.parametrize("text", [b"{}", b"[1]"])
async def test_gzip_family_reads_plain_json(text: bytes) -> None:
    """A value written before its family was compressed is still read."""
    assert await codec.decode(GZIP_FAMILY, text) == json.loads(text)


def damaged() -> list[bytes]:
    whole = gzip.compress(json.dumps(list(range(200))).encode(), mtime=0)
    cut = [whole[:n] for n in range(1, len(whole))]
    return [*cut, whole + b"x", whole + whole, whole[:-8] + bytes(4) + whole[-4:], whole[:-4] + bytes(4)]


@pytest.mark.parametrize("gzip_name", codec.GZIP)
def test_damaged_gzip_is_unreadable(gzip_name: str) -> None:
    """Cut off anywhere, followed by something, or with a wrong checksum or length: never a value."""
    for data in damaged():
        with pytest.raises(codec.Unreadable):
            codec.inflate(data, codec.GZIP[gzip_name])


@pytest.mark.parametrize("gzip_name", codec.GZIP)
def test_flipped_bit_is_never_another_value(gzip_name: str) -> None:
    """A bit that is flipped anywhere gives what was stored (a flag of the header) or is unreadable."""
    text = json.dumps({"items": list(range(50))}).encode()
    whole = gzip.compress(text, mtime=0)
    for bit in range(8 * len(whole)):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        try:
            found = codec.inflate(bytes(data), codec.GZIP[gzip_name])
        except codec.Unreadable:
            continue
        assert found == text


@pytest.mark.parametrize("gzip_name", codec.GZIP)
def test_bomb_is_unreadable(gzip_name: str) -> None:
    """What inflates beyond the bound is given up at the bound."""
    bomb = gzip.compress(b" " * (64 * codec.MAX_BYTES), 1)
    tracemalloc.start()
    try:
        with pytest.raises(codec.Unreadable, match="inflates beyond"):
            codec.inflate(bomb, codec.GZIP[gzip_name])
        assert tracemalloc.get_traced_memory()[1] < 3 * codec.MAX_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("gzip_name", codec.GZIP)
def test_largest_value_is_read(gzip_name: str) -> None:
    """The bound itself is within it."""
    data = b" " * codec.MAX_BYTES
    assert codec.inflate(gzip.compress(data, 1), codec.GZIP[gzip_name]) == data


@pytest.mark.parametrize("json_name", codec.JSON)
@pytest.mark.parametrize(
    "text",
    [b"", b"NaN", b"Infinity", b"1e999", b'"\\ud800"', b'{"\\udfff":1}', b"\xef\xbb\xbf1", b"'a'", b"[1,]",
     b"1 2", "{}".encode("utf-16"), b"\xff", b'"\n"', b"[" * 100_000, b"1" * 5000, b"01"],
)  # fmt: skip
def test_text_that_is_no_json_is_unreadable(json_name: str, text: bytes) -> None:
    """Every library refuses the same texts."""
    with pytest.raises(codec.Unreadable):
        codec.load(text, codec.JSON[json_name])


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_are_unreadable(data: bytes) -> None:
    """Reading raises nothing else, whatever is read."""
    for family in (GZIP_FAMILY, FAMILIES["rate_limit"]):
        for prefix in (b"", b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0\0\xff"):
            try:
                value = asyncio.run(codec.decode(family, prefix + data))
            except codec.Unreadable:
                continue
            assert isinstance(value, dict | list | str | int | float | None)


async def test_value_is_read_before_the_first_await() -> None:
    """A large value may be changed while it is being compressed in a thread."""
    value = [random.random() for _ in range(50_000)]
    before = list(value)
    task = asyncio.create_task(codec.encode(GZIP_FAMILY, value))
    await asyncio.sleep(0)
    value.clear()
    assert await codec.decode(GZIP_FAMILY, await task) == before
