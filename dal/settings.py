"""The environment and a YAML file, read into `Settings`.

A value comes from the first of: the process's environment, a ``.env`` file in the working directory,
the YAML file, the default. An empty variable counts as not set. Unknown keys are refused, settings
are immutable, and neither their ``repr`` nor an error shows a password or any other value given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote

import yaml
from dotenv.parser import parse_stream
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dal.errors import ConfigurationError

CONFIG_VARIABLE = "DAL_CONFIG"
"""The environment variable that holds the path of the YAML file."""

ENVIRONMENT: Mapping[str, str] = {
    "DATABASE_URL": "database.url",
    "DATABASE_TYPE": "database.type",
    "DATABASE_PATH": "database.path",
    "DB_USER": "database.user",
    "DB_PASSWORD": "database.password",
    "DB_HOST": "database.host",
    "DB_PORT": "database.port",
    "DB_NAME": "database.name",
    "DB_POOL_SIZE": "database.pool_size",
    "DB_MAX_OVERFLOW": "database.max_overflow",
    "DB_POOL_RECYCLE": "database.pool_recycle",
    "SQL_ECHO": "database.sql_echo",
    "REDIS_URL": "cache.url",
    "LOG_LEVEL": "logging.level",
    "LOG_FORMAT": "logging.format",
}
"""Each environment variable that is read, and the key that it sets."""

_URL_PARTS = ("type", "path", "user", "password", "host", "port", "name")

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """One section of the settings: immutable, with no keys beyond its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AppSettings(Section):
    """The application itself.

    Attributes:
        name: What the application calls itself.
        environment: Where it runs.
        debug: The application's own switch.
    """

    name: str = "dal"
    environment: Literal["development", "test", "production"] = "development"
    debug: bool = False


class DatabaseSettings(Section):
    """Where the database is and how it is used.

    Attributes:
        url: The whole address. With it, `type` to `name` are not looked at.
        type: The engine, for an address that is built from its parts.
        path: The SQLite file, relative to the working directory.
        user: The server's user; None leaves the choice to the driver.
        password: Its password, as it is (not percent-encoded).
        host: The server's name or address.
        port: Its port; None is the engine's usual one.
        name: The server's database.
        pool_size: Connections to a server that are kept open.
        max_overflow: Connections beyond them when all are busy.
        pool_recycle: Seconds after which a connection to a server is replaced.
        sql_echo: Log the text of every statement, never its values.
        timeout: Seconds that a call may take; None for no limit.
        readers: Connections to a SQLite file that read while another writes.
        max_waiting: Calls that may wait in line for a connection; further ones are refused.
        switch_interval: What to give ``sys.setswitchinterval``, in seconds; None leaves it.
    """

    url: SecretStr | None = None
    type: Literal["sqlite", "postgresql", "mysql", "mariadb"] = "sqlite"
    path: Annotated[str, Field(min_length=1)] = "dal.db"
    user: str | None = None
    password: SecretStr | None = None
    # A character that has a meaning in a URL would lead to another server.
    host: Annotated[str, Field(pattern=r"^[\w.:\-]+$")] = "localhost"
    port: Port | None = None
    name: str | None = None
    pool_size: Annotated[int, Field(ge=1)] = 20
    max_overflow: Annotated[int, Field(ge=0)] = 40
    pool_recycle: Seconds = 3600
    sql_echo: bool = False
    timeout: Seconds | None = 30
    readers: Annotated[int, Field(ge=1)] = 2
    max_waiting: Annotated[int, Field(ge=1)] = 10_000
    switch_interval: Seconds | None = None

    def resolved_url(self) -> str:
        """Return the database's URL, with its password: the `url` given, or one made of the parts.

        Raises:
            ConfigurationError: The parts name a server but no database on it.
        """
        if self.url is not None:
            return self.url.get_secret_value()
        made_of: dict[str, Callable[[], str]] = {"sqlite": self._file_url}
        return made_of.get(self.type, self._server_url)()

    def _file_url(self) -> str:
        path = self.path if self.path == ":memory:" else quote(os.path.expanduser(self.path))
        return f"sqlite:///{path}"

    def _server_url(self) -> str:
        if not self.name:
            raise ConfigurationError(f"database.type is {self.type}: database.name (DB_NAME) is missing")
        return f"{self.type}://{self._login()}{self._address()}/{quote(self.name, safe='')}"

    def _login(self) -> str:
        if self.user is None:
            return ""
        password = "" if self.password is None else ":" + quote(self.password.get_secret_value(), safe="")
        return f"{quote(self.user, safe='')}{password}@"

    def _address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


class CacheSettings(Section):
    """The cache.

    Attributes:
        url: ``memory://`` keeps it in the process; ``redis://`` or ``rediss://`` shares it.
    """

    url: SecretStr = SecretStr("memory://")


class ApiSettings(Section):
    """The application's own HTTP interface; `dal` itself serves nothing.

    Attributes:
        host: The address to listen on.
        port: The port to listen on.
        timeout: Seconds that a request may take.
    """

    host: str = "127.0.0.1"
    port: Port = 8000
    timeout: Seconds = 30


class AgentSettings(Section):
    """The application's own background agents; `dal` itself runs none.

    Attributes:
        timeout: Seconds that one run of an agent may take.
        max_retries: How often a failed run is repeated.
        max_concurrent: How many run at the same time.
    """

    timeout: Seconds = 60
    max_retries: Annotated[int, Field(ge=0)] = 3
    max_concurrent: Annotated[int, Field(ge=1)] = 4


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
"""A level of a log, in whatever case it is given."""


class LoggingSettings(Section):
    """What `dal.logs.configure` sets up.

    Attributes:
        level: The lowest level that is logged.
        format: ``json`` for one object a line, ``text`` for people.
    """

    level: LogLevel = "INFO"
    format: Annotated[Literal["json", "text"], BeforeValidator(_lower)] = "text"


class Settings(BaseSettings):
    """All settings. Made directly it reads nothing; `load_settings` reads the environment and a file."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    app: AppSettings = AppSettings()
    database: DatabaseSettings = DatabaseSettings()
    cache: CacheSettings = CacheSettings()
    api: ApiSettings = ApiSettings()
    agents: AgentSettings = AgentSettings()
    logging: LoggingSettings = LoggingSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Called by pydantic-settings: what is given in code, then the layers of `load_settings`."""
        return (init_settings, *(_LayerSource(settings_cls, layer) for layer in _layers.get()))


@dataclass(frozen=True)
class _Layer:
    """The values that come from one place: dotted keys, and how to name each key's origin."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]


_layers: ContextVar[tuple[_Layer, ...]] = ContextVar("_layers", default=())


class _LayerSource(PydanticBaseSettingsSource):
    """Hands a layer to pydantic-settings, as one mapping a section."""

    def __init__(self, settings_cls: type[BaseSettings], layer: _Layer) -> None:
        super().__init__(settings_cls)
        self._layer = layer

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Called by pydantic-settings: the values given for the section *field_name*."""
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        sections: dict[str, dict[str, Any]] = {}
        for key, value in self._layer.values.items():
            section, name = key.split(".")
            sections.setdefault(section, {})[name] = value
        return sections


def load_settings(path: str | os.PathLike[str] | None = None) -> Settings:
    """Read the settings from the environment, ``.env`` and a YAML file, in this order of precedence.

    Args:
        path: The YAML file; None takes the one that ``DAL_CONFIG`` names, if any.

    Raises:
        ConfigurationError: A file cannot be read, a key is unknown or a value does not fit. The
            message names the key and where it was given, never a value.
    """
    variables = _variables()
    environment = _environment_layer(variables)
    if path is None and CONFIG_VARIABLE in variables:
        path = variables[CONFIG_VARIABLE].value
    layers = (environment,) if path is None else (environment, _file_layer(Path(path)))
    _refuse_hidden_parts(layers)
    token = _layers.set(layers)
    try:
        return Settings()
    except ValidationError as error:
        problem = _explained(error, layers)
    finally:
        _layers.reset(token)
    raise ConfigurationError(problem)  # out here, since the ValidationError holds the values


def keys() -> tuple[str, ...]:
    """Every key that a YAML file may hold, as ``section.name``, in order."""
    return tuple(
        f"{section}.{name}"
        for section, field in Settings.model_fields.items()
        for name in field.annotation.model_fields  # type: ignore[union-attr]  # each is a Section
    )


class _Variable(NamedTuple):
    value: str
    place: str


def _variables() -> dict[str, _Variable]:
    """Every variable that is set and not empty, the process's own before those of ``.env``."""
    process = {name: _Variable(value, "the environment") for name, value in os.environ.items() if value}
    return {**_dotenv(Path(".env")), **process}


def _dotenv(path: Path) -> dict[str, _Variable]:
    """The variables of a ``.env`` file; a ``$`` in a value is left as it is."""
    try:
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {_reason(error)}") from None
    for binding in bindings:
        if binding.error or (binding.key and binding.value is None):
            raise ConfigurationError(f"{path}:{binding.original.line}: not of the form NAME=value")
    return {b.key: _Variable(b.value, str(path)) for b in bindings if b.key and b.value}


def _environment_layer(variables: Mapping[str, _Variable]) -> _Layer:
    given = {name: key for name, key in ENVIRONMENT.items() if name in variables}
    return _Layer(
        values={key: variables[name].value for name, key in given.items()},
        origins={key: f"{name} in {variables[name].place}" for name, key in given.items()},
    )


def _file_layer(path: Path) -> _Layer:
    document = _yaml(path)
    values = dict(_flattened(document, path))
    known = keys()
    for key in values:
        if key not in known:
            raise ConfigurationError(_unknown(key, known, path))
    return _Layer(values=values, origins={key: f"{key} in {path}" for key in values})


def _flattened(document: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Any]]:
    sections = tuple(Settings.model_fields)
    for section, content in document.items():
        if section not in sections:
            raise ConfigurationError(_unknown(str(section), sections, path))
        if content is None:
            continue
        if not isinstance(content, dict):
            raise ConfigurationError(f"{path}: section {section} must hold `key: value` lines")
        yield from ((f"{section}.{name}", value) for name, value in content.items())


def _unknown(key: str, known: tuple[str, ...], path: Path) -> str:
    section, _, name = key.rpartition(".")
    siblings = [other.rpartition(".")[2] for other in known if other.rpartition(".")[0] == section]
    close = get_close_matches(name, siblings, n=1)
    prefix = f"{section}." if section else ""
    hint = f"did you mean {prefix}{close[0]}?" if close else f"known are {', '.join(siblings)}"
    return f"{path}: unknown key {key}; {hint}"


class _DuplicateKey(yaml.MarkedYAMLError):
    pass


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that is given twice, where YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Called by PyYAML for each mapping of the file."""
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise _DuplicateKey(problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the configuration file {path} cannot be read: {_reason(error)}") from None
    except (yaml.YAMLError, ValueError) as error:
        # Its text quotes the file, passwords included.
        mark = getattr(error, "problem_mark", None)
        where = path if mark is None else f"{path}:{mark.line + 1}"
        what = "a key that was given before" if isinstance(error, _DuplicateKey) else "not valid YAML"
        raise ConfigurationError(f"{where}: {what}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: must hold the sections {', '.join(Settings.model_fields)}")
    return document


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is not UTF-8"


def _refuse_hidden_parts(layers: tuple[_Layer, ...]) -> None:
    """A URL in the file would make parts given in the environment, which should win, do nothing."""
    environment, *files = layers
    parts = [f"database.{part}" for part in _URL_PARTS if f"database.{part}" in environment.values]
    if parts and "database.url" not in environment.values:
        for layer in files:
            if layer.values.get("database.url") is not None:
                raise ConfigurationError(
                    f"{environment.origins[parts[0]]} would have no effect beside "
                    f"{layer.origins['database.url']}; set DATABASE_URL, or take the url out of the file"
                )


def _explained(error: ValidationError, layers: tuple[_Layer, ...]) -> str:
    problems = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        key = ".".join(str(part) for part in detail["loc"][:2])
        origin = next((layer.origins[key] for layer in layers if key in layer.origins), key)
        problems.append(f"{origin}: {detail['msg']}")
    return "; ".join(problems)
