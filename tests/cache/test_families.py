"""Keys: what belongs where, and that no part reaches into another."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dal.cache import FAMILIES, KeyFamilies, KeyFamily, Ttl
from dal.cache.families import MAX_KEY, MAX_TTL, is_ttl
from dal.errors import CacheError, ConfigurationError, UnknownKeyFamily

REPO = FAMILIES["github_repo"]
PARTS = st.one_of(
    st.text(alphabet="ab:/%*?[]\\{}-é\n\0 ", min_size=1, max_size=6),
    st.text(min_size=1),
    st.text(alphabet="a:", min_size=195, max_size=205),
    st.just("%sha256-" + "0" * 64),
)
TRIPLES = st.tuples(PARTS, PARTS, PARTS)


def repo_key(parts: tuple[str, str, str]) -> str:
    return REPO.key(owner=parts[0], repo=parts[1], path=parts[2])


def test_the_table_is_the_specified_one() -> None:
    """Patterns, types, codecs and times to live are those of the specification."""
    assert [(f.pattern, f.type, f.codec, f.ttl) for f in FAMILIES] == [
        ("search:results:{query_hash}", "string", "gzip", 3600),
        ("content:processed:{content_hash}", "string", "gzip", 86400),
        ("ai:evaluation:{query_hash}", "string", "json", 7200),
        ("github:repo:{owner}/{repo}:{path}", "string", "gzip", 3600),
        ("config:system:{version}", "string", "json", 300),
        ("rate_limit:api:{ip_address}", "counter", "integer", 60),
        ("session:{session_id}", "hash", "json", 1800),
    ]


def test_plain_parts_stay_readable() -> None:
    """A part without special characters is in the key as it is; a path keeps its slashes."""
    assert REPO.key(owner="encode", repo="databases", path="docs/index.md") == (
        "github:repo:encode/databases:docs/index.md"
    )


@settings(deadline=None)
@given(TRIPLES, TRIPLES)
def test_different_parts_give_different_keys(one: tuple[str, str, str], two: tuple[str, str, str]) -> None:
    """Keys are equal if and only if all parts are."""
    assert (repo_key(one) == repo_key(two)) == (one == two)


@settings(deadline=None)
@given(st.text(alphabet="ab:/%", min_size=3, max_size=12), st.data())
def test_moving_the_borders_of_parts_gives_another_key(text: str, data: st.DataObject) -> None:
    """The same characters, cut into parts at other places, are another key."""
    cuts = st.lists(st.integers(1, len(text) - 1), min_size=2, max_size=2, unique=True).map(sorted)
    (a, b), (c, d) = data.draw(cuts), data.draw(cuts)
    one, two = (text[:a], text[a:b], text[b:]), (text[:c], text[c:d], text[d:])
    assert (repo_key(one) == repo_key(two)) == (one == two)


@settings(deadline=None)
@given(TRIPLES)
def test_key_belongs_to_its_family(parts: tuple[str, str, str]) -> None:
    """A built key is found to be of the family that built it."""
    assert FAMILIES.of(repo_key(parts)) is REPO


@settings(deadline=None)
@given(TRIPLES)
def test_key_has_no_special_characters(parts: tuple[str, str, str]) -> None:
    """No glob, no white space, no control character and no further separator is in a key."""
    pattern = r"github:repo:[^:/*?\[\]\\{}\s]+/[^:*?\[\]\\{}\s]+:[^:*?\[\]\\{}\s]+"
    key = repo_key(parts)
    assert re.fullmatch(pattern, key)
    assert key.isascii()
    assert key.isprintable()


def test_long_part_becomes_its_hash() -> None:
    """The longest key stays below the bound that a cache accepts."""
    assert len(repo_key(("a" * 10**6, "\U0001f600" * 100, ":" * 500))) < MAX_KEY


@pytest.mark.parametrize("parts", [{}, {"query": "a"}, {"query_hash": "a", "more": "b"}])
def test_wrong_part_names_are_refused(parts: dict[str, str]) -> None:
    """Missing and superfluous parts raise with the right names."""
    with pytest.raises(CacheError, match="search_results takes the parts query_hash"):
        FAMILIES["search_results"].key(**parts)


@pytest.mark.parametrize("part", ["", "\ud800", 1, None, b"a"])
def test_wrong_part_is_refused(part: Any) -> None:
    """A part is text that is not empty and can be encoded."""
    with pytest.raises(CacheError, match="search_results: the part query_hash"):
        FAMILIES["search_results"].key(query_hash=part)


@pytest.mark.parametrize(
    "key", ["session:", "session:\ud800", "session:" + "a" * MAX_KEY, b"session:a", None]
)
def test_wrong_key_is_refused(key: Any) -> None:
    """A key by hand is text with something after its prefix, and not without end."""
    with pytest.raises(CacheError):
        FAMILIES.of(key)


@pytest.mark.parametrize("key", ["", "session", "Session:a", " session:a", "sessions:a", "search:result:a"])
def test_key_of_no_family_is_refused(key: str) -> None:
    """A key belongs to a family only by its exact prefix."""
    with pytest.raises(UnknownKeyFamily):
        FAMILIES.of(key)


def test_parts_of_a_key_by_hand_may_hold_separators() -> None:
    """A family is found by prefix, whatever follows."""
    assert FAMILIES.of("rate_limit:api:2001:db8::1").name == "rate_limit"


def test_unknown_name_lists_the_known_ones() -> None:
    """A wrong name raises and says which there are."""
    with pytest.raises(UnknownKeyFamily, match="known are search_results, content_processed"):
        FAMILIES["search"]


@pytest.mark.parametrize(
    ("pattern", "type", "codec", "ttl"),
    [
        ("a:{b}", "string", "gzip", 0),
        ("a:{b}", "string", "integer", 1),
        ("a:{b}", "counter", "json", 1),
        ("a:{b}", "set", "json", 1),
        ("a:", "string", "json", 1),
        ("{b}", "string", "json", 1),
        ("a:{b}{c}", "string", "json", 1),
        ("a:{b}:{b}", "string", "json", 1),
        ("a:{b}:c", "string", "json", 1),
    ],
)
def test_wrong_family_is_refused(pattern: str, type: Any, codec: Any, ttl: int) -> None:
    """A family whose columns do not fit each other cannot be made."""
    with pytest.raises(ConfigurationError, match="key family x: "):
        KeyFamily("x", pattern, type, codec, ttl)


@pytest.mark.parametrize("other", ["session:web:{id}", "session:{id}"])
def test_overlapping_families_are_refused(other: str) -> None:
    """No key may belong to two families."""
    with pytest.raises(ConfigurationError, match="a key could belong to both"):
        KeyFamilies([*FAMILIES, KeyFamily("other", other, "string", "json", 1)])


@pytest.mark.parametrize("seconds", [1, 300, 86_400, MAX_TTL])
def test_good_ttl_is_accepted(seconds: int) -> None:
    """A model takes it as it is, and so do a family and the cache."""
    assert TypeAdapter(Ttl).validate_python(seconds) == seconds
    assert is_ttl(seconds)
    assert KeyFamily("x", "a:{b}", "string", "json", seconds).ttl == seconds


@pytest.mark.parametrize(
    "seconds", [0, -1, MAX_TTL + 1, 2**63, True, False, 1.0, 1.5, float("nan"), "60", "", b"60", None]
)
def test_bad_ttl_is_refused(seconds: Any) -> None:
    """What is no whole number of seconds within the bounds is refused by a model, a family and the cache."""
    with pytest.raises(ValidationError):
        TypeAdapter(Ttl).validate_python(seconds)
    assert not is_ttl(seconds)
    with pytest.raises(ConfigurationError, match="the ttl must be 1 to"):
        KeyFamily("x", "a:{b}", "string", "json", seconds)
