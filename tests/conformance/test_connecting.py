"""Opening a database: who may not, what is not there, and that no password shows."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from databases import DatabaseURL

from dal.database import DatabaseManager
from dal.engines.registry import ENGINES
from dal.errors import (
    AuthenticationFailed,
    CannotOpen,
    ConfigurationError,
    DatabaseError,
    StatementError,
    TooManyConnections,
)
from dal.settings import DatabaseSettings, Settings
from tests.engine_cases import Capability, EngineCase, Place, needs

PASSWORD = 's3cr3t /@:?#%&=+[]é\\"$'


def as_user(url: str, user: str, password: str) -> str:
    """*url* with another login."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest.rpartition('@')[2]}"


async def failure_of(url: str, settings: Settings) -> DatabaseError:
    """What `connect` raises, the same at its second try."""
    db = DatabaseManager(url, settings=settings)
    try:
        for _ in range(2):
            with pytest.raises(DatabaseError) as failed:
                await db.connect()
    finally:
        await db.disconnect()
    return failed.value


def everything_said(error: BaseException) -> str:
    """What a log, a debugger or an error report may show of *error*, its causes left out."""
    notes = getattr(error, "__notes__", ())
    return f"{error} {error!r} {error.args} {vars(error)} {notes}"


@needs(Capability.SERVER)
async def test_the_right_password_opens_whatever_is_in_it(url: str, place: Place, settings: Settings) -> None:
    """Every character that has a meaning in a URL, percent-encoded; the wrong one does not open."""
    place.login(PASSWORD)
    async with DatabaseManager(as_user(url, "guarded", PASSWORD), settings=settings) as db:
        assert await db.fetch_value("SELECT 1") == 1
    error = await failure_of(as_user(url, "guarded", f"{PASSWORD}x"), settings)
    assert type(error) is AuthenticationFailed


@needs(Capability.SERVER)
@pytest.mark.parametrize("user", ["guarded", "nobody_of_this_name"])
async def test_a_wrong_login_is_told_by_class(url: str, place: Place, settings: Settings, user: str) -> None:
    """A wrong password and an unknown user alike: the server's code, nothing sent, no use in trying again."""
    place.login("right")
    error = await failure_of(as_user(url, user, "s3cr3t"), settings)
    assert type(error) is AuthenticationFailed
    assert (error.sent, error.retryable) == (False, False)
    assert error.code
    assert error.__cause__ is not None
    assert "s3cr3t" not in everything_said(error)


WRONG_SERVER: tuple[Callable[[str, Path], str], ...] = (
    lambda url, _: url.rpartition("/")[0] + "/absent",
    lambda url, _: str(DatabaseURL(url).replace(port=1)),
    lambda url, _: str(DatabaseURL(url).replace(hostname="host.invalid")) + "?tls=off",
)
WRONG_FILE: tuple[Callable[[str, Path], str], ...] = (
    lambda _, folder: f"sqlite:///{folder}",
    lambda _, folder: f"sqlite:///{folder}/absent.db?create=off",
)


async def test_what_is_not_there_cannot_be_opened(
    url: str, case: EngineCase, settings: Settings, tmp_path: Path
) -> None:
    """An unknown database, a closed port, a name that no host has; a folder, no file: nothing was sent."""
    for wrong in WRONG_FILE if Capability.SERVER in case.lacks else WRONG_SERVER:
        error = await failure_of(wrong(url, tmp_path), settings)
        assert type(error) is CannotOpen
        assert (error.sent, error.retryable) == (False, False)
    assert not list(tmp_path.glob("absent*"))


@needs(Capability.SERVER)
async def test_more_sessions_than_a_user_may_have_are_told_as_such(
    url: str, place: Place, settings: Settings
) -> None:
    """`TooManyConnections`, worth another try and not sent; those that are open go on."""
    place.login("right", sessions=1)
    login = as_user(url, "guarded", "right")
    one = settings.model_copy(update={"database": DatabaseSettings(pool_size=1, max_overflow=0)})
    async with DatabaseManager(login, settings=one) as db:
        assert await db.fetch_value("SELECT 1") == 1
        error = await failure_of(login, one)
        assert type(error) is TooManyConnections
        assert (error.sent, error.retryable) == (False, True)
        assert error.code
        assert await db.fetch_value("SELECT 1") == 1


@needs(Capability.SERVER)
async def test_a_server_without_tls_is_told_from_one_that_is_not_there(url: str, settings: Settings) -> None:
    """The message says what is missing, where the URL asks for it."""
    error = await failure_of(f"{url}?tls=on", settings)
    assert type(error) is CannotOpen
    assert not error.sent
    assert "TLS" in str(error)


@needs(Capability.SERVER)
async def test_what_a_user_may_not_do_is_a_statement_error(
    db: DatabaseManager, url: str, place: Place, settings: Settings
) -> None:
    """With the server's code; the connection goes on."""
    place.login("right")
    async with DatabaseManager(as_user(url, "guarded", "right"), settings=settings) as guarded:
        with pytest.raises(StatementError) as raised:
            await guarded.execute("CREATE ROLE another")
        assert type(raised.value) is StatementError
        assert raised.value.code
        assert await guarded.fetch_value("SELECT 1") == 1


@needs(Capability.SERVER)
async def test_the_password_is_shown_nowhere(
    url: str, place: Place, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in a repr, a log at DEBUG or an error with its causes; connecting, working and failing."""
    caplog.set_level(logging.DEBUG)
    place.login("s3cr3t:pass")
    login = as_user(url, "guarded", "s3cr3t:pass")
    said = []
    async with DatabaseManager(login, settings=settings) as db:
        await db.fetch_value("SELECT 1")
        said += [repr(db), str(db), repr(db.database), str(db.settings)]
        with pytest.raises(DatabaseError) as refused:
            await db.fetch_value("SELECT absent FROM nowhere")
        said.append("".join(traceback.format_exception(refused.value)))
    place.login("other")
    for wrong in (login, str(DatabaseURL(login).replace(port=1))):
        error = await failure_of(wrong, settings)
        said += ["".join(traceback.format_exception(error)), everything_said(error)]
    said += [str(vars(record)) for record in caplog.records]
    shown = " ".join(said)
    assert "s3cr3t" not in shown
    assert quote("s3cr3t:pass", safe="") not in shown


async def test_a_url_that_cannot_be_read_shows_no_password(settings: Settings, case: EngineCase) -> None:
    """A raw character in a password that ends its part of the URL: refused, and not repeated."""
    for bad in (
        "postgresql://user:s3cr3t/x@host/name",
        "mysql://user:s3cr3t#x@host/name",
        "postgresql://user:s3cr3t?x@host/name",
        "mariadb://user:s3cr3t@x@host:port/name",
        "oracle://user:s3cr3t@host/name",
        "postgresql://user@host/name?password=s3cr3t",
        "mysql://user@host/name?s3cr3t",
    ):
        with pytest.raises(ConfigurationError) as raised:
            DatabaseManager(bad, settings=settings)
        assert "s3cr3t" not in "".join(traceback.format_exception(raised.value))


async def test_every_scheme_of_an_engine_opens_it(url: str, settings: Settings) -> None:
    """`postgres://` is `postgresql://`, and `mariadb://` is `mysql://`."""
    scheme, _, rest = url.partition("://")
    aliases = [other for other in ENGINES if ENGINES[other] == ENGINES[scheme]]
    assert scheme in aliases
    for alias in aliases:
        async with DatabaseManager(f"{alias}://{rest}", settings=settings) as db:
            assert await db.fetch_value("SELECT 1") == 1
            assert await db.database.fetch_val("SELECT 2") == 2


async def test_a_manager_that_could_not_connect_can_do_so_later(
    url: str, place: Place, case: EngineCase, settings: Settings, tmp_path: Path
) -> None:
    """The same one, once what was in its way is gone."""
    if Capability.SERVER in case.lacks:
        db = DatabaseManager(f"sqlite:///{tmp_path}/later", settings=settings)
        (tmp_path / "later").mkdir()
        mend: Callable[[], object] = (tmp_path / "later").rmdir
    else:
        place.login("wrong")
        db = DatabaseManager(as_user(url, "guarded", "right"), settings=settings)

        def mend() -> None:
            place.login("right")

    try:
        with pytest.raises(CannotOpen):
            await db.connect()
        mend()
        await db.connect()
        assert await asyncio.gather(*(db.fetch_value("SELECT 1") for _ in range(10))) == [1] * 10
    finally:
        await db.disconnect()
