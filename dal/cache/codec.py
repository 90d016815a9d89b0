"""Values as bytes: strict JSON, gzip-compressed JSON, and integers.

Plain formats: ``gunzip | jq`` reads what is written here. isal and orjson are used where they are installed
(``dal[speed]``); each reads what the other wrote, and all refuse the same values. Whatever is read
is untrusted: bytes that are no valid value, or would inflate beyond `MAX_BYTES`, are `Unreadable`.
No message holds a value.

What takes long, beyond about a millisecond, is done in a thread, so that the event loop goes on; a thread
costs a tenth of one. Measured with Python 3.11 on two busy cores, in milliseconds for a list of documents:

    JSON       check   orjson: write, read   isal: pack, unpack   json: write, read   zlib: pack, unpack
    70 kB       0.25       0.02   0.13          0.27   0.19         0.81   0.43         1.2    0.4
    282 kB      1.2        0.10   0.55          1.4    0.7          3.7    2.0          4.6    1.8
    1 MB        4.0        0.34   2.5           4.2    2.8         12      7.5         17      4.7
    7 MB       25          2.0   17            21     17           61     51          104     40

On the loop remains a copy of what is written, before its caller may change it (0.6 ms for 1 MB; of a model
its JSON form), and the writing of what has few items, however long its texts. Reading and writing JSON are
each one call into C, which keeps the interpreter to itself in a thread too: the loop then waits for one such
call at a time, and not for all that is done.
"""

from __future__ import annotations

import asyncio
import json
import marshal
import math
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn, Protocol

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from dal.cache.families import KeyFamily
from dal.errors import CacheValueError
from dal.values import TOO_MANY_ITEMS, flaw_of_json

MAX_BYTES = 8 * 1024 * 1024
"""The most that a value may take, as JSON and as stored."""

_FEW_ITEMS = 2000
"""Items of one level up to which a value is looked at and written on the event loop: half a millisecond."""

# Speed counts for more than the sixth of the bytes that level 6 would save at twice the time.
_LEVEL = 1
_GZIP_FORMAT = 31  # zlib's wbits for a gzip header and checksum; its header holds no time
_GZIP_MAGIC = b"\x1f\x8b"
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")


class Unreadable(Exception):
    """The bytes under a key are no value; the text says why, without the bytes."""


class Inflater(Protocol):
    """What zlib and isal have in common for reading."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Json(NamedTuple):
    """One JSON library. Its *dumps* gets only what `flaw_of_json` let through.

    Text that is longer than *inline* bytes is read in a thread.
    """

    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]
    inline: int


class Gzip(NamedTuple):
    """One gzip library. JSON that is longer than *inline* bytes is packed and unpacked in a thread."""

    compress: Callable[[bytes], bytes]
    inflater: Callable[[], Inflater]
    inline: int


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number beyond the range of a float")
    return number


def _stdlib_dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), check_circular=False).encode()


def _stdlib_loads(data: bytes) -> Any:
    value = json.loads(data.decode(), parse_constant=_refuse_constant, parse_float=_finite)
    if rb"\u" in data:
        _stdlib_dumps(value)  # an escaped lone surrogate does not encode
    return value


def _stdlib_compress(data: bytes) -> bytes:
    return zlib.compress(data, _LEVEL, _GZIP_FORMAT)


JSON: dict[str, Json] = {"json": Json(_stdlib_dumps, _stdlib_loads, inline=64 * 1024)}
"""The JSON libraries that are installed; the last one is used."""

GZIP: dict[str, Gzip] = {
    "zlib": Gzip(_stdlib_compress, lambda: zlib.decompressobj(_GZIP_FORMAT), inline=64 * 1024)
}
"""The gzip libraries that are installed; the last one is used."""

try:
    import orjson
except ImportError:
    pass
else:
    JSON["orjson"] = Json(orjson.dumps, orjson.loads, inline=256 * 1024)

try:
    from isal import isal_zlib
except ImportError:
    pass
else:

    def _isal_compress(data: bytes) -> bytes:
        return isal_zlib.compress(data, _LEVEL, _GZIP_FORMAT)

    GZIP["isal"] = Gzip(_isal_compress, lambda: isal_zlib.decompressobj(_GZIP_FORMAT), inline=256 * 1024)

_json = JSON[next(reversed(JSON))]
_gzip = GZIP[next(reversed(GZIP))]


async def encode(family: KeyFamily, value: Any) -> bytes:
    """Return *value* as the bytes that *family* stores.

    The value is read before the first await: it may be changed as soon as the call has begun.

    Raises:
        CacheValueError: It does not fit the family, is no strict JSON, or is too large.
    """
    if family.codec == "integer":
        return _encode_integer(family, value)
    value = _plain(family, value)
    if value is None:
        raise CacheValueError(f"key family {family.name}: None cannot be told from a miss; delete the key")
    flaw = flaw_of_json(value, items=_FEW_ITEMS)
    if flaw is TOO_MANY_ITEMS and (copy := _copied(value)) is not None:
        return await asyncio.to_thread(_packed_copy, family, copy)
    data = _dump(family, value, flaw if flaw is not TOO_MANY_ITEMS else flaw_of_json(value))
    if family.codec != "gzip":
        return data
    if len(data) > _gzip.inline:
        return await asyncio.to_thread(_packed, family, data)
    return _packed(family, data)


async def decode(family: KeyFamily, data: bytes) -> Any:
    """Return the value that *data* holds.

    JSON is read compressed or plain, so that a family may change its codec while values are stored.

    Raises:
        Unreadable: It holds none.
    """
    if family.codec == "integer":
        return _decode_integer(data)
    if data.startswith(_GZIP_MAGIC):
        # gzip ends with the length of what it holds. A forged length only picks the wrong side.
        is_short = int.from_bytes(data[-4:], "little") <= min(_gzip.inline, _json.inline)
    else:
        is_short = len(data) <= _json.inline
    return _decoded(family, data) if is_short else await asyncio.to_thread(_decoded, family, data)


async def encode_fields(family: KeyFamily, value: Any) -> dict[str, bytes]:
    """Return the dictionary *value* as the fields of a hash; it is read before the first await.

    Raises:
        CacheValueError: It is no dictionary, is empty, or `encode` would refuse it.
    """
    fields = _plain(family, value)
    if type(fields) is not dict or not fields:
        raise CacheValueError(
            f"key family {family.name}: a hash takes a dictionary of one field or more;"
            " to remove it, delete its key"
        )
    return await _fields(family, fields)


async def encode_some_fields(family: KeyFamily, fields: Any) -> dict[str, bytes]:
    """Return the dictionary *fields* as some of the fields of a hash, whatever model the family has.

    Raises:
        CacheValueError: It is no dictionary, is empty, or holds what is no JSON.
    """
    if type(fields) is not dict or not fields:
        raise CacheValueError(f"key family {family.name}: a hash takes a dictionary of one field or more")
    return await _fields(family, fields)


async def decode_fields(family: KeyFamily, fields: Mapping[str, bytes]) -> Any:
    """Return what the *fields* of a hash hold: a dictionary, or the family's model.

    Raises:
        Unreadable: At least one of them is no field of ours, or together they do not fit the model.
    """
    if sum(map(len, fields.values())) <= _json.inline:
        return _decoded_fields(family, fields)
    return await asyncio.to_thread(_decoded_fields, family, fields)


def inflate(data: bytes, gzip: Gzip = _gzip) -> bytes:
    """Return what the one gzip member *data* holds.

    Raises:
        Unreadable: It is damaged, cut off, followed by something, or inflates beyond `MAX_BYTES`.
    """
    inflater = gzip.inflater()
    try:
        inflated = inflater.decompress(data, MAX_BYTES + 1)
    except Exception as error:  # each library has exceptions of its own
        raise Unreadable(f"damaged gzip data ({type(error).__name__})") from None
    if len(inflated) > MAX_BYTES:
        raise Unreadable(f"inflates beyond {MAX_BYTES} bytes")
    if not inflater.eof:
        raise Unreadable("gzip data that is cut off")
    if inflater.unused_data:
        raise Unreadable("something follows the gzip data")
    return inflated


def load(data: bytes, library: Json = _json) -> Any:
    """Return the value of the JSON text *data*.

    Raises:
        Unreadable: It is no strict JSON in UTF-8, or too large.
    """
    if len(data) > MAX_BYTES:
        raise Unreadable(f"longer than {MAX_BYTES} bytes")
    try:
        return library.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"no valid JSON ({type(error).__name__})") from None


def _copied(value: Any) -> bytes | None:
    """Return a copy of *value* that nobody can change, None if it holds what is no JSON.

    It keeps each type as it is, and is made several times faster than the value is looked at.
    """
    try:
        return marshal.dumps(value)
    except ValueError:
        return None


def _packed_copy(family: KeyFamily, copy: bytes) -> bytes:
    value = marshal.loads(copy)
    data = _dump(family, value, flaw_of_json(value))
    return _packed(family, data) if family.codec == "gzip" else data


def _packed(family: KeyFamily, data: bytes) -> bytes:
    data = _gzip.compress(data)
    _check_size(family, len(data))
    return data


def _decoded(family: KeyFamily, data: bytes) -> Any:
    if data.startswith(_GZIP_MAGIC):
        data = inflate(data, _gzip)
    return _typed(family, load(data, _json), data)


def _dump(family: KeyFamily, value: Any, flaw: str | None) -> bytes:
    _refuse(family, flaw)
    data = _written(family, value)
    _check_size(family, len(data))
    return data


def _written(family: KeyFamily, value: Any) -> bytes:
    try:
        return _json.dumps(value)
    except (ValueError, TypeError):  # UnicodeEncodeError is a ValueError; orjson's error is a TypeError
        raise CacheValueError(f"key family {family.name}: text with a lone surrogate is no JSON") from None


async def _fields(family: KeyFamily, fields: dict[str, Any]) -> dict[str, bytes]:
    flaw = flaw_of_json(fields, items=_FEW_ITEMS)
    if flaw is TOO_MANY_ITEMS and (copy := _copied(fields)) is not None:
        return await asyncio.to_thread(_written_copy, family, copy)
    return _written_fields(family, fields, flaw if flaw is not TOO_MANY_ITEMS else flaw_of_json(fields))


def _written_copy(family: KeyFamily, copy: bytes) -> dict[str, bytes]:
    fields = marshal.loads(copy)
    return _written_fields(family, fields, flaw_of_json(fields))


def _written_fields(family: KeyFamily, fields: dict[str, Any], flaw: str | None) -> dict[str, bytes]:
    _refuse(family, flaw)
    encoded = {_text(family, name): _written(family, item) for name, item in fields.items()}
    _check_size(family, sum(len(name.encode()) + len(item) for name, item in encoded.items()))
    return encoded


def _decoded_fields(family: KeyFamily, fields: Mapping[str, bytes]) -> Any:
    value = {name: load(item, _json) for name, item in fields.items()}
    return value if family.adapter is None else _typed(family, value, _json.dumps(value))


def _text(family: KeyFamily, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CacheValueError(f"key family {family.name}: a field's name holds a lone surrogate") from None
    return text


def _plain(family: KeyFamily, value: Any) -> Any:
    """Return the JSON form of a model, or of what the family declares, and anything else as it is."""
    if family.adapter is None and not isinstance(value, BaseModel):
        return value
    try:
        if family.adapter is not None:
            return family.adapter.dump_python(value, mode="json", warnings="error")
        return value.model_dump(mode="json", warnings="error")
    except (PydanticSerializationError, ValueError):  # their texts show the value
        raise CacheValueError(
            f"key family {family.name}: a {type(value).__name__} holds what it cannot write as JSON"
        ) from None


def _typed(family: KeyFamily, value: Any, data: bytes) -> Any:
    """Return *value*, whose JSON text is *data*, as the model that the family declares, if any.

    From the text, since a strict model takes a time from JSON, but not from a str.
    """
    if family.adapter is None:
        return value
    try:
        return family.adapter.validate_json(data)
    except Exception:  # a validator may raise what it likes, and its text shows the value
        raise Unreadable(f"it does not fit {family.model}") from None


def _refuse(family: KeyFamily, flaw: str | None) -> None:
    if flaw is not None:
        raise CacheValueError(f"key family {family.name}: {flaw}")


def _check_size(family: KeyFamily, size: int) -> None:
    if size > MAX_BYTES:
        raise CacheValueError(f"key family {family.name}: the value takes more than {MAX_BYTES} bytes")


def _encode_integer(family: KeyFamily, value: Any) -> bytes:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise CacheValueError(f"key family {family.name}: a counter takes an integer of 64 bits")
    return b"%d" % value


def _decode_integer(data: bytes) -> int:
    if _INTEGER.fullmatch(data) is None or not -(2**63) <= (value := int(data)) < 2**63:
        raise Unreadable("no integer of 64 bits")
    return value
