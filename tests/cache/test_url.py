"""The URL of a cache, and that its password is seen nowhere."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from dal.cache import CacheManager
from dal.cache.stores.url import StoreUrl
from dal.errors import ConfigurationError
from dal.settings import CacheSettings, Settings


def test_pieces_are_read() -> None:
    """User, password, host, port, database and options are taken from the URL, decoded."""
    url = StoreUrl.parse("redis://us%40er:p%3A%2Fw@127.0.0.1:7000/3?timeout=0.5")
    assert (url.username, url.password, url.host, url.port, url.database, url.options) == (
        "us@er", "p:/w", "127.0.0.1", 7000, 3, {"timeout": 0.5},
    )  # fmt: skip


def test_defaults() -> None:
    """Without them the port is 6379, the database 0, and there is no login."""
    url = StoreUrl.parse("redis://localhost")
    assert (url.port, url.database, url.username, url.password) == (6379, 0, None, None)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "[::1]"])
def test_this_machine_needs_no_tls(host: str) -> None:
    """A plain connection within the machine is accepted."""
    assert str(StoreUrl.parse(f"redis://{host}:7000")) == f"redis://{host}:7000/0"


@pytest.mark.parametrize("host", ["cache.example.test", "10.0.0.1", "localhost.example.test"])
def test_another_machine_needs_tls(host: str) -> None:
    """A plain connection to another machine is refused with both ways out."""
    with pytest.raises(ConfigurationError, match="rediss://, or end it with"):
        StoreUrl.parse(f"redis://{host}")


def test_tls_may_be_given_up_in_words() -> None:
    """tls=off allows a plain connection to another machine."""
    assert StoreUrl.parse("redis://cache.example.test?tls=off").host == "cache.example.test"


BAD = [
    "", "secret", "secret:6379", "http://localhost", "redis:localhost", "redis:///0", "redis://:secret",
    "redis://localhost:secret", "redis://localhost:0", "redis://localhost:70000", "redis://localhost/secret",
    "redis://localhost/0/1", "redis://u:sec/ret@localhost", "redis://u:sec?ret@localhost", "redis://u:12?secret@h",
    "redis://u:sec#ret@localhost", "redis://u:sec[ret@localhost", "redis://u:[secret]@[x]", "redis://u:%ff@localhost",
    "redis://u:sec\nret@localhost", "redis://u:sec ret@localhost", "redis://localhost?secret",
    "redis://localhost?secret=1", "redis://localhost?timeout=secret", "redis://localhost?timeout=0",
    "redis://localhost?timeout=nan", "redis://localhost?timeout=1&timeout=2", "redis://localhost?tls=on",
    "redis://localhost?decode_responses=1", "rediss://localhost?tls=off", "rediss://localhost?cafile=/none",
    "rediss://localhost?ssl_cert_reqs=none", "memory://localhost", "memory://?max_entries=0", "memory:///x",
    "memory://?max_bytes=-1", "redis://\u2100secret@localhost", "memory",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD)
def test_wrong_url_is_refused_without_quoting_it(url: str) -> None:
    """A wrong URL raises, and no piece of it is in the error."""
    with pytest.raises(ConfigurationError) as raised:
        CacheManager(url)
    shown = "".join(traceback.format_exception_only(raised.value))
    assert not any(piece in shown for piece in ("secret", "sec/", "sec?", "ret@", "sec["))
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_repr_shows_no_login() -> None:
    """repr names the server, not who logs in."""
    cache = CacheManager("redis://user:secret@localhost:7000/1?timeout=1")
    assert repr(cache) == "CacheManager(redis://localhost:7000/1)"
    assert "secret" not in repr(cache._url)


def test_url_of_the_settings_is_the_default() -> None:
    """Without a URL the settings' one is taken."""
    settings = Settings(cache=CacheSettings(url=SecretStr("redis://localhost:7001")))
    assert repr(CacheManager(settings=settings)) == "CacheManager(redis://localhost:7001/0)"


def test_missing_redis_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the redis package a redis URL raises with the command that helps."""
    for name in [name for name in sys.modules if name.startswith(("redis.", "dal.cache.stores.redis"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"pip install dal\[redis\]"):
        CacheManager("redis://localhost")


def test_cafile_is_taken(tmp_path: Path) -> None:
    """A file of certificates to trust is an option of rediss://."""
    file = tmp_path / "ca.pem"
    file.touch()
    assert StoreUrl.parse(f"rediss://cache.example.test?cafile={file}").options == {"cafile": str(file)}
