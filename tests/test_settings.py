"""Settings: where a value comes from, what is refused, and that nothing secret is shown."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from databases import DatabaseURL
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from dal.errors import ConfigurationError
from dal.settings import CONFIG_VARIABLE, ENVIRONMENT, DatabaseSettings, Settings, keys, load_settings

ROOT = Path(__file__).resolve().parent.parent
AWKWARD = "p/a#s@s:w%o?r d&=+'\"\\ü"
SECRET = "s3cr3t-hunter2"


@pytest.fixture(autouse=True)
def empty_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts in an empty folder with none of our variables set."""
    monkeypatch.chdir(tmp_path)
    for name in (*ENVIRONMENT, CONFIG_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def config(text: str) -> Path:
    path = Path("config.yaml")
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path | None = None) -> str:
    with pytest.raises(ConfigurationError) as raised:
        load_settings(path)
    return str(raised.value)


def test_nothing_given_is_sqlite_in_the_working_directory() -> None:
    """Without a file and variables the database is dal.db in the working directory."""
    assert load_settings().database.resolved_url() == "sqlite:///dal.db"


def test_made_directly_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings() holds the defaults, whatever the environment says."""
    monkeypatch.setenv("DATABASE_PATH", "other.db")

    assert Settings().database.path == "dal.db"


def test_file_sets_a_value() -> None:
    """A value in the YAML file replaces the default."""
    assert load_settings(config("database: {readers: 5}")).database.readers == 5


@pytest.mark.parametrize("text", ["", "# nothing\n", "database:\n"])
def test_empty_file_and_section(text: str) -> None:
    """A file or a section without content leaves the defaults."""
    assert load_settings(config(text)) == Settings()


def test_environment_wins_over_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable goes before the same key of the file; other keys of the section stay."""
    monkeypatch.setenv("DB_POOL_SIZE", "7")
    database = load_settings(config("database: {pool_size: 3, readers: 4}")).database

    assert (database.pool_size, database.readers) == (7, 4)


def test_environment_wins_over_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's environment goes before .env, and .env before the file."""
    Path(".env").write_text("DB_POOL_SIZE=8\nDB_MAX_OVERFLOW=9\n")
    monkeypatch.setenv("DB_POOL_SIZE", "7")
    database = load_settings(config("database: {pool_size: 3, max_overflow: 3, readers: 4}")).database

    assert (database.pool_size, database.max_overflow, database.readers) == (7, 9, 4)


def test_dollar_in_dotenv_stays() -> None:
    """A password in .env may hold a dollar sign."""
    Path(".env").write_text("DB_PASSWORD='a${HOME}b$c'\n")
    password = load_settings().database.password

    assert password is not None
    assert password.get_secret_value() == "a${HOME}b$c"


@pytest.mark.parametrize("place", ["process", ".env"])
def test_config_variable_names_the_file(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """DAL_CONFIG, in the environment or in .env, names the file to read."""
    config("database: {readers: 6}")
    if place == ".env":
        Path(".env").write_text("DAL_CONFIG=config.yaml\n")
    else:
        monkeypatch.setenv(CONFIG_VARIABLE, "config.yaml")

    assert load_settings().database.readers == 6


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An empty variable leaves the default."""
    monkeypatch.setenv(name, "")

    assert load_settings() == Settings()


VALUES = {
    "DATABASE_URL": "sqlite:///x.db",
    "DATABASE_TYPE": "mariadb",
    "DATABASE_PATH": "data/x.db",
    "DB_USER": "u",
    "DB_PASSWORD": "p",
    "DB_HOST": "db.example.test",
    "DB_PORT": "5433",
    "DB_NAME": "n",
    "DB_POOL_SIZE": "7",
    "DB_MAX_OVERFLOW": "0",
    "DB_POOL_RECYCLE": "60",
    "SQL_ECHO": "True",
    "REDIS_URL": "redis://localhost:6379/1",
    "LOG_LEVEL": "debug",
    "LOG_FORMAT": "JSON",
}


def test_every_variable_has_a_sample() -> None:
    """The samples of the next test are those of all variables."""
    assert VALUES.keys() == ENVIRONMENT.keys()


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_variable_sets_its_key(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each variable sets the key that the table says."""
    monkeypatch.setenv(name, VALUES[name])
    section, key = ENVIRONMENT[name].split(".")
    value = getattr(getattr(load_settings(), section), key)

    shown = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    assert shown.casefold() in (VALUES[name].casefold(), f"{VALUES[name]}.0")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("database: {pol_size: 3}", "unknown key database.pol_size; did you mean database.pool_size?"),
        ("databse: {pool_size: 3}", "unknown key databse; did you mean database?"),
        ("logging: {zzz: 3}", "unknown key logging.zzz; known are level, format"),
        ("zzz: 3", "unknown key zzz; known are app, database, cache, api, agents, logging"),
        ("database: {1: 3}", "unknown key database.1; known are url, type, path"),
        ("database: [1]", "section database must hold"),
        ("- database", "must hold the sections app, database"),
        ("database:\n  readers: 2\n  readers: 3", ":3: a key that was given before"),
        ("database: {readers: 2", "not valid YAML"),
        ("database: {password: *hunter2}", ":1: not valid YAML"),
        ("app: {name: 2026-99-99}", "not valid YAML"),
        ("app: !!python/object/apply:os.getcwd []", ":1: not valid YAML"),
    ],
)
def test_wrong_file_is_refused(text: str, problem: str) -> None:
    """A file that is not as it should be is refused, naming the file, the key and the nearest known one."""
    message = refusal(config(text))

    assert "config.yaml" in message
    assert problem in message


def test_missing_file_is_refused() -> None:
    """A file that is named must be there."""
    assert refusal(Path("absent.yaml")).endswith("absent.yaml cannot be read: No such file or directory")


def test_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused."""
    Path("config.yaml").write_bytes(b"app: {name: \xff}")

    assert "not UTF-8" in refusal(Path("config.yaml"))


def test_unreadable_line_of_dotenv_is_refused() -> None:
    """A line of .env that sets nothing is refused, not skipped."""
    Path(".env").write_text("DB_USER=me\nDB_NAME\n")

    assert refusal() == ".env:2: not of the form NAME=value"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PORT", "70000"),
        ("DB_POOL_SIZE", "many"),
        ("DATABASE_TYPE", "oracle"),
        ("SQL_ECHO", "perhaps"),
        ("DB_POOL_RECYCLE", "nan"),
        ("DB_HOST", "evil.test/x@db"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_value_that_does_not_fit_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """A value that does not fit is refused, naming the variable and not the value."""
    monkeypatch.setenv(name, value)
    message = refusal()

    assert message.startswith(f"{name} in the environment: ")
    assert value not in message


def test_value_that_does_not_fit_names_its_file() -> None:
    """A value of the file that does not fit is refused, naming the key and the file."""
    assert refusal(config("database: {readers: 0}")).startswith("database.readers in config.yaml: ")


def test_url_in_file_and_parts_in_environment_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL in the file would make a part in the environment do nothing: refused, naming both."""
    monkeypatch.setenv("DB_HOST", "db.example.test")
    message = refusal(config("database: {url: 'sqlite:///a.db'}"))

    assert message.startswith(
        "DB_HOST in the environment would have no effect beside database.url in config.yaml"
    )


def test_settings_are_immutable() -> None:
    """No key of a section can be set."""
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().database.readers = 3


@pytest.mark.parametrize("engine", ["postgresql", "mysql", "mariadb"])
def test_server_url_from_parts(engine: str) -> None:
    """A server's URL is made of the parts, the password percent-encoded."""
    database = DatabaseSettings.model_validate(
        {
            "type": engine,
            "user": AWKWARD,
            "password": AWKWARD,
            "host": "db.example.test",
            "port": 1234,
            "name": AWKWARD,
        }
    )
    url = DatabaseURL(database.resolved_url())

    assert (url.dialect, url.username, url.password, url.hostname, url.port, url.database) == (
        engine,
        AWKWARD,
        AWKWARD,
        "db.example.test",
        1234,
        AWKWARD,
    )


def test_server_url_without_login_and_port() -> None:
    """User, password and port may be left to the driver."""
    assert DatabaseSettings(type="mariadb", name="n").resolved_url() == "mariadb://localhost/n"


def test_server_url_of_an_ipv6_address() -> None:
    """An IPv6 address is put in brackets."""
    url = DatabaseSettings(type="postgresql", name="n", host="::1", port=5432).resolved_url()

    assert url == "postgresql://[::1]:5432/n"


def test_server_without_a_database_is_refused() -> None:
    """A server's URL needs the name of a database."""
    with pytest.raises(ConfigurationError, match="DB_NAME"):
        DatabaseSettings(type="postgresql").resolved_url()


def test_url_given_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """DATABASE_URL goes before the parts beside it in the environment."""
    monkeypatch.setenv("DATABASE_URL", "sqlite:////srv/a.db")
    monkeypatch.setenv("DATABASE_TYPE", "postgresql")

    assert load_settings().database.resolved_url() == "sqlite:////srv/a.db"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_sqlite_path_comes_back_from_its_url(path: str) -> None:
    """Whatever characters a file's name has, the URL leads to it."""
    url = DatabaseURL(DatabaseSettings(path="/" + path).resolved_url())

    assert url.database == "/" + path


def test_home_folder_in_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path may begin with ~ for the home folder."""
    monkeypatch.setenv("HOME", "/home/me")

    assert DatabaseSettings(path="~/a.db").resolved_url() == "sqlite:////home/me/a.db"


def test_memory_database() -> None:
    """The path :memory: is SQLite's own word."""
    assert DatabaseSettings(path=":memory:").resolved_url() == "sqlite:///:memory:"


@pytest.mark.parametrize(
    "form",
    [repr, str, lambda settings: settings.model_dump_json(), lambda settings: str(settings.model_dump())],
)
def test_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch, form: object) -> None:
    """No form of the settings as text shows a password, alone or within a URL."""
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{SECRET}@localhost/n")
    monkeypatch.setenv("REDIS_URL", f"redis://u:{SECRET}@localhost/0")
    settings = load_settings()

    assert callable(form)
    assert SECRET not in form(settings)
    assert SECRET not in repr(settings.database)


@pytest.mark.parametrize(
    "text",
    [
        f"database: {{password: [{SECRET}]}}",
        f"database: {{port: {SECRET}}}",
        f"database: {{url: {{{SECRET}: 1}}}}",
        f"cache: {{url: [{SECRET}]}}",
        f"database: {{password: *{SECRET}}}",
        f"database: {{password: '{SECRET}",
        f"database: {SECRET}",
        SECRET,
    ],
)
def test_refusal_shows_no_value(text: str) -> None:
    """What is refused is not shown in the error, nor kept in the errors behind it."""
    with pytest.raises(ConfigurationError) as raised:
        load_settings(config(text))

    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_example_file_is_all_defaults() -> None:
    """config.example.yaml names every key, in order, with its default."""
    path = ROOT / "config.example.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))

    assert tuple(f"{section}.{key}" for section, content in document.items() for key in content) == keys()
    assert load_settings(path) == Settings()


def test_example_environment_is_all_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """.env.example names every variable, and as it stands changes nothing."""
    variables = dotenv_values(ROOT / ".env.example")
    Path(".env").write_bytes((ROOT / ".env.example").read_bytes())

    assert variables.keys() == {*ENVIRONMENT, CONFIG_VARIABLE}
    assert load_settings() == Settings()


def test_every_variable_sets_a_known_key() -> None:
    """The table of variables names keys that exist."""
    assert set(ENVIRONMENT.values()) <= set(keys())


def test_working_directory_is_not_changed() -> None:
    """Loading reads; it makes no file and no folder."""
    load_settings()

    assert os.listdir() == []


def test_relative_sqlite_url_has_three_slashes() -> None:
    """A relative file is relative in the URL too, also under a folder."""
    url = urlsplit(DatabaseSettings(path="data/my db.db").resolved_url())

    assert (url.netloc, unquote(url.path)) == ("", "/data/my db.db")
