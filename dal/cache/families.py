"""Key families: which keys there are, what lies under them, and for how long.

A key belongs to the family whose prefix it begins with. It is never split into its parts, which may hold
any character. `KeyFamily.key` builds a key so that different parts give different keys, and no part
can reach into another part or another family. No message holds a key: a session's id is a secret.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from itertools import islice
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field, TypeAdapter

from dal.errors import CacheError, ConfigurationError, UnknownKeyFamily

KeyType = Literal["string", "counter", "hash"]
Codec = Literal["gzip", "json", "integer"]
Outage = Literal["load", "count", "raise"]

MAX_PART = 200
"""Characters of an escaped part; the SHA-256 of the part takes the place of a longer one."""

MAX_KEY = 1024
"""Characters of a whole key."""

MIN_TTL, MAX_TTL = 1, 10 * 365 * 86_400

MAX_NEAR = 30
"""Seconds that a copy in the process may be behind."""

Ttl = Annotated[int, Field(strict=True, ge=MIN_TTL, le=MAX_TTL, description="Seconds that a value is kept")]
"""A time to live, for models and settings: what `is_ttl` takes."""


def is_ttl(seconds: object) -> bool:
    """Whether *seconds* is a time to live: a whole number from `MIN_TTL` to `MAX_TTL`."""
    return type(seconds) is int and MIN_TTL <= seconds <= MAX_TTL


_CODECS: dict[KeyType, tuple[Codec, ...]] = {
    "string": ("gzip", "json"),
    "counter": ("integer",),
    "hash": ("json",),
}
_OUTAGES: dict[KeyType, tuple[Outage, ...]] = {
    "string": ("load", "raise"),
    "counter": ("count", "raise"),
    "hash": ("raise",),
}

LEASE_PREFIX = "lease:"
"""What the key of a lease begins with, before the key that it is for."""

TABLE_PREFIX = "table:"
"""What the key of a table's state begins with, see `dal.cache.tables`."""

_PATTERN = re.compile(r"(?P<prefix>(?:[a-z0-9_-]+:)+)(?P<parts>\{[a-z_]+\}(?:[:/]\{[a-z_]+\})*)")
_PART = re.compile(r"\{(?P<name>[a-z_]+)\}(?P<separator>[:/]?)")

# What a part keeps beside letters, digits and _.-~ : no separator, glob, brace (a hash tag in Redis
# Cluster), quote, space or control character. Fixed, so that every Python builds the same keys.
_SAFE = "/!$&()+,;=@"


@dataclass(frozen=True)
class KeyFamily:
    """One row of the table: the keys of one pattern, and how they are treated.

    Attributes:
        name: What code calls the family.
        pattern: The key, with its parts in braces: ``github:repo:{owner}/{repo}:{path}``.
        type: ``string`` and ``counter`` hold one value, ``hash`` a dictionary field by field.
        codec: ``gzip`` is gzip-compressed JSON, ``json`` plain JSON (each field's, in a hash),
            ``integer`` decimal digits.
        ttl: Seconds that a value is fresh when the caller does not say.
        load_deadline: Seconds after which a load is cancelled.
        refresh_ahead: Load anew in the background before the value ends, so that nobody waits for it.
        stale_for: Seconds beyond its time that a value is kept, to be served while its load fails.
        retry_after: Seconds after a failed load in which none is tried if there is a value to serve.
        errors_for: Seconds after a failed load in which its error is raised again if there is none.
        outage: What happens while the store is away. ``load``: `get_or_load` loads, a few at a time.
            ``count``: a rate limit counts in the process. ``raise``: `CacheUnavailable`. None is the
            first of these that goes with the type.
        bulkhead: Loads at a time while the store is away.
        finish_abandoned: Whether a load goes on, and is stored, when nobody waits for it any more.
        near: Seconds, up to `MAX_NEAR`, for which this process may answer from a copy of its own of what
            lies on a server, see `dal.cache.near`; 0 for no copies. What others change is then seen once the
            server has told of it, a moment later; if it cannot and nobody notices, after these seconds.
        model: A Pydantic model, or a type like ``list[Model]``: values are written from it, and read as it.
    """

    name: str
    pattern: str
    type: KeyType
    codec: Codec
    ttl: Ttl
    _: KW_ONLY
    load_deadline: float = 10.0
    refresh_ahead: bool = False
    stale_for: int = 0
    retry_after: float = 10.0
    errors_for: float = 0.0
    outage: Outage | None = None
    bulkhead: int = 8
    finish_abandoned: bool = False
    near: float = 0
    model: Any = None

    def __post_init__(self) -> None:
        if _PATTERN.fullmatch(self.pattern) is None or len(set(self.parts)) != len(self.parts):
            raise self._wrong(
                f"the pattern {self.pattern!r} is not of the form word:...:{{part}}, with further distinct"
                " parts after : or /"
            )
        for own in (LEASE_PREFIX, TABLE_PREFIX):
            if self.prefix.startswith(own):
                raise self._wrong(f"keys that begin with {own} are the cache's own")
        if self.codec not in _CODECS.get(self.type, ()):
            raise self._wrong(f"type {self.type} and codec {self.codec} do not go together")
        if not is_ttl(self.ttl):
            raise self._wrong(f"the ttl must be {MIN_TTL} to {MAX_TTL} seconds")
        if self.outage is None:
            object.__setattr__(self, "outage", _OUTAGES[self.type][0])
        if self.outage not in _OUTAGES[self.type]:
            raise self._wrong(f"type {self.type} and outage {self.outage} do not go together")
        if self.type != "string" and (self.refresh_ahead or self.stale_for):
            raise self._wrong(f"a {self.type} is not loaded, and never served stale or refreshed")
        if self.type == "counter" and self.model is not None:
            raise self._wrong("a counter is an integer and has no model")
        if not (type(self.stale_for) is int and 0 <= self.stale_for <= MAX_TTL):
            raise self._wrong(f"stale_for must be 0 to {MAX_TTL} seconds")
        if type(self.near) not in (int, float) or not 0 <= self.near <= MAX_NEAR:
            raise self._wrong(f"near must be 0 to {MAX_NEAR} seconds")
        if self.near and self.type != "string":
            raise self._wrong(f"of a {self.type} no copy is kept in the process")
        for name, least in (("load_deadline", 0.001), ("retry_after", 0), ("errors_for", 0), ("bulkhead", 1)):
            if not least <= getattr(self, name) <= MAX_TTL:
                raise self._wrong(f"{name} must be {least} to {MAX_TTL}")

    def _wrong(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"key family {self.name}: {what}")

    @cached_property
    def adapter(self) -> TypeAdapter[Any] | None:
        """What reads and writes the model, None if the family declares none."""
        return None if self.model is None else TypeAdapter(self.model)

    @cached_property
    def prefix(self) -> str:
        """What every key of the family begins with, and no other."""
        return self.pattern.partition("{")[0]

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts, in their order."""
        return tuple(match["name"] for match in _PART.finditer(self.pattern))

    def key(self, **parts: str) -> str:
        """Build the key for *parts*, each escaped; one that is long becomes its SHA-256.

        Raises:
            CacheError: A part is missing, unknown, empty, or no valid text.
        """
        if parts.keys() != set(self.parts):
            raise CacheError(
                f"key family {self.name} takes the parts {', '.join(self.parts)};"
                f" given were {', '.join(sorted(parts)) or 'none'}"
            )
        return self._built(parts)

    def leading(self, **parts: str) -> str:
        """Build what the keys with these leading parts begin with, and no others of the family.

        Without parts that is the prefix of the family; with all of them it would be one key, see `key`.

        Raises:
            CacheError: They are not the first parts of the pattern, or are all of them, or no valid text.
        """
        if set(parts) != set(self.parts[: len(parts)]) or len(parts) == len(self.parts):
            raise CacheError(
                f"key family {self.name}: the leading parts of its keys are"
                f" {', '.join(self.parts[:-1]) or 'none'}; given were {', '.join(sorted(parts)) or 'none'}"
            )
        return self._built(parts)

    def _built(self, parts: Mapping[str, str]) -> str:
        pieces = [self.prefix]
        for match in islice(_PART.finditer(self.pattern), len(parts)):
            pieces += (
                self._escaped(match["name"], parts[match["name"]], match["separator"]),
                match["separator"],
            )
        return "".join(pieces)

    def _escaped(self, name: str, part: str, separator: str) -> str:
        if type(part) is not str or not part:
            what = "empty" if part == "" else f"of type {type(part).__name__}"
            raise CacheError(f"key family {self.name}: the part {name} is {what}; it must be text")
        try:
            # A part ends at its separator, so only the last one may keep it.
            escaped = quote(part, safe=_SAFE.replace(separator, "") if separator else _SAFE)
        except UnicodeEncodeError:
            raise CacheError(
                f"key family {self.name}: the part {name} holds a lone surrogate, which is no text"
            ) from None
        if len(escaped) <= MAX_PART:
            return escaped
        # "%s" cannot begin an escaped character, so no other part comes out like this.
        return f"%sha256-{hashlib.sha256(part.encode()).hexdigest()}"


class KeyFamilies:
    """A table of key families: iterate over it, or take one by name."""

    def __init__(self, families: Iterable[KeyFamily]) -> None:
        self._by_name: dict[str, KeyFamily] = {}
        for family in families:
            self._add(family)

    def _add(self, family: KeyFamily) -> None:
        if family.name in self._by_name:
            raise ConfigurationError(f"two key families are named {family.name}")
        for other in self:
            if family.prefix.startswith(other.prefix) or other.prefix.startswith(family.prefix):
                raise ConfigurationError(
                    f"key families {other.name} and {family.name}: a key could belong to both,"
                    f" since the prefixes are {other.prefix!r} and {family.prefix!r}"
                )
        self._by_name[family.name] = family

    def __getitem__(self, name: str) -> KeyFamily:
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownKeyFamily(
                f"there is no key family {name!r}; known are {', '.join(self._by_name)}"
            ) from None

    def __iter__(self) -> Iterator[KeyFamily]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def of(self, key: str) -> KeyFamily:
        """Return the family that *key* belongs to.

        Raises:
            UnknownKeyFamily: It begins like none of them.
            CacheError: It is no text, too long, or ends with its prefix.
        """
        if type(key) is not str:
            raise CacheError(f"a cache key is text, not {type(key).__name__}")
        for family in self:
            if key.startswith(family.prefix):
                return _checked(key, family)
        known = ", ".join(family.pattern for family in self)
        raise UnknownKeyFamily(f"no key family has keys that begin with {_beginning(key)}; known are {known}")


def _checked(key: str, family: KeyFamily) -> KeyFamily:
    if len(key) == len(family.prefix):
        raise CacheError(f"key family {family.name}: the key ends where its parts should begin")
    if len(key) > MAX_KEY:
        raise CacheError(
            f"key family {family.name}: a key of {len(key)} characters; {MAX_KEY} are allowed,"
            " and KeyFamily.key shortens long parts"
        )
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError:
            raise CacheError(f"key family {family.name}: a lone surrogate in the key is no text") from None
    return family


def _beginning(key: str) -> str:
    word, colon, _ = key.partition(":")
    return ascii(word[:40] + colon) if colon else "no word and colon"


_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

FAMILIES = KeyFamilies(
    (
        KeyFamily(
            *("search_results", "search:results:{query_hash}", "string", "gzip", _HOUR),
            load_deadline=10,
            refresh_ahead=True,
            stale_for=10 * _MINUTE,
        ),
        KeyFamily(  # named by its content, which never changes: nothing to refresh, and never out of date
            *("content_processed", "content:processed:{content_hash}", "string", "gzip", _DAY),
            load_deadline=60,
            stale_for=6 * _DAY,
        ),
        KeyFamily(  # each load costs money
            *("ai_evaluation", "ai:evaluation:{query_hash}", "string", "json", 2 * _HOUR),
            load_deadline=120,
            refresh_ahead=True,
            stale_for=_HOUR,
            retry_after=30,
            errors_for=8,
            bulkhead=3,
            finish_abandoned=True,
        ),
        KeyFamily(
            *("github_repo", "github:repo:{owner}/{repo}:{path}", "string", "gzip", _HOUR),
            load_deadline=15,
            refresh_ahead=True,
            stale_for=_DAY,
            retry_after=30,
        ),
        KeyFamily(
            *("config_system", "config:system:{version}", "string", "json", 5 * _MINUTE),
            load_deadline=2,
            refresh_ahead=True,
            stale_for=_HOUR,
            near=MAX_NEAR,
        ),
        KeyFamily("rate_limit", "rate_limit:api:{ip_address}", "counter", "integer", _MINUTE, outage="count"),
        KeyFamily(  # "no session" would log everyone out
            "session", "session:{session_id}", "hash", "json", 30 * _MINUTE, outage="raise"
        ),
    )
)
"""The key families of the `documents` system."""
