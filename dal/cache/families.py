"""Key families: which keys there are, what lies under them, and for how long.

A key belongs to the family whose prefix it begins with. It is never split into its parts, which may hold
any character. `KeyFamily.key` builds a key so that different parts give different keys, and no part
can reach into another part or another family. No message holds a key: a session's id is a secret.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from urllib.parse import quote

from dal.errors import CacheError, ConfigurationError, UnknownKeyFamily

KeyType = Literal["string", "counter", "hash"]
Codec = Literal["gzip", "json", "integer"]

MAX_PART = 200
"""Characters of an escaped part; the SHA-256 of the part takes the place of a longer one."""

MAX_KEY = 1024
"""Characters of a whole key."""

MAX_TTL = 10 * 365 * 86_400

_CODECS: dict[KeyType, tuple[Codec, ...]] = {
    "string": ("gzip", "json"),
    "counter": ("integer",),
    "hash": ("json",),
}
_PATTERN = re.compile(r"(?P<prefix>(?:[a-z0-9_-]+:)+)(?P<parts>\{[a-z_]+\}(?:[:/]\{[a-z_]+\})*)")
_PART = re.compile(r"\{(?P<name>[a-z_]+)\}(?P<separator>[:/]?)")

# What a part keeps beside letters, digits and _.-~ : no separator, glob, brace (a hash tag in Redis
# Cluster), quote, space or control character. Fixed, so that every Python builds the same keys.
_SAFE = "/!$&()+,;=@"


@dataclass(frozen=True)
class KeyFamily:
    """One row of the table: the keys of one pattern.

    Attributes:
        name: What code calls the family.
        pattern: The key, with its parts in braces: ``github:repo:{owner}/{repo}:{path}``.
        type: ``string`` and ``counter`` hold one value, ``hash`` a dictionary field by field.
        codec: ``gzip`` is gzip-compressed JSON, ``json`` plain JSON (each field's, in a hash),
            ``integer`` decimal digits.
        ttl: Seconds that a value is kept when the caller does not say.
    """

    name: str
    pattern: str
    type: KeyType
    codec: Codec
    ttl: int

    def __post_init__(self) -> None:
        if _PATTERN.fullmatch(self.pattern) is None or len(set(self.parts)) != len(self.parts):
            raise ConfigurationError(
                f"key family {self.name}: the pattern {self.pattern!r} is not of the form"
                " word:...:{part}, with further distinct parts after : or /"
            )
        if self.codec not in _CODECS.get(self.type, ()):
            raise ConfigurationError(
                f"key family {self.name}: type {self.type} and codec {self.codec} do not go together"
            )
        if type(self.ttl) is not int or not 0 < self.ttl <= MAX_TTL:
            raise ConfigurationError(f"key family {self.name}: the ttl must be 1 to {MAX_TTL} seconds")

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
        pieces = [self.prefix]
        for match in _PART.finditer(self.pattern):
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


FAMILIES = KeyFamilies(
    KeyFamily(*row)
    for row in (
        # name, pattern, type, codec, seconds
        ("search_results", "search:results:{query_hash}", "string", "gzip", 3600),
        ("content_processed", "content:processed:{content_hash}", "string", "gzip", 86_400),
        ("ai_evaluation", "ai:evaluation:{query_hash}", "string", "json", 7200),
        ("github_repo", "github:repo:{owner}/{repo}:{path}", "string", "gzip", 3600),
        ("config_system", "config:system:{version}", "string", "json", 300),
        ("rate_limit", "rate_limit:api:{ip_address}", "counter", "integer", 60),
        ("session", "session:{session_id}", "hash", "json", 1800),
    )
)
"""The key families of the `documents` system."""
