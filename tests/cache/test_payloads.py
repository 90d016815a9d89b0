"""What earlier releases stored is read by this one. The files are never written again; new ones are added."""

from __future__ import annotations

from pathlib import Path

import pytest

from dal.cache import FAMILIES, CacheManager, codec
from tests.cache.conftest import DAY, store_of

PAYLOADS = sorted(Path(__file__).with_name("payloads").iterdir())

VALUE = {
    "text": 'Ünïcode \U0001f600\0"\\',
    "numbers": [0, -1, 2**63, -(2**63), 0.1, 1e300, -0.0],
    "more": [None, True, False, [], {}, ""],
}
FAMILY_OF_SUFFIX = {".gz": "search_results", ".json": "ai_evaluation", ".integer": "rate_limit"}


def test_each_writer_is_there() -> None:
    """Every library of each release has left a file."""
    names = {path.name for path in PAYLOADS}
    assert {f"v0.1.0-{j}-{g}.json.gz" for j in codec.JSON for g in codec.GZIP} <= names
    assert {f"v0.1.0-{j}.json" for j in codec.JSON} | {"v0.1.0.integer"} <= names


@pytest.mark.parametrize("gzip_name", codec.GZIP)
@pytest.mark.parametrize("json_name", codec.JSON)
@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.name)
async def test_stored_value_is_read(
    monkeypatch: pytest.MonkeyPatch, path: Path, json_name: str, gzip_name: str
) -> None:
    """Each file is read to its value, with every library."""
    monkeypatch.setattr(codec, "_json", codec.JSON[json_name])
    monkeypatch.setattr(codec, "_gzip", codec.GZIP[gzip_name])
    family = FAMILIES[FAMILY_OF_SUFFIX[path.suffix]]
    value = await codec.decode(family, path.read_bytes())
    assert repr(value) == repr(-(2**63) if path.suffix == ".integer" else VALUE)


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.name)
async def test_stored_value_is_a_hit(path: Path) -> None:
    """A value of an earlier release that lies in the store is read as a fresh one."""
    family = FAMILIES[FAMILY_OF_SUFFIX[path.suffix]]
    async with CacheManager("memory://") as cache:
        await store_of(cache).set(f"{family.prefix}a", path.read_bytes(), DAY)
        assert await cache.get(f"{family.prefix}a") is not None
