"""Dumps of a Redis or Valkey server, by its own programs: taken while it is in use, loaded, put back.

A dump is believed once a private server of the same make has loaded it. That server checks the checksum and
every value, runs redis-check-rdb on what it cannot read, and says how many keys there are. It listens on a
Unix socket in a folder of this user's, writes nothing, and ends with the run. It needs as much memory as the
one that the dump is of.

redis-cli checks the certificate of a server, but not that it was made out to the host of the URL.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dal.cache.stores.url import StoreUrl
from dal.engines.tls import is_local
from dal.errors import (
    BackupError,
    BackupRefused,
    CacheError,
    CacheUnavailable,
    DalError,
    ProgramMissing,
)
from dal.operations.backups.files import (
    Manifest,
    RedisContents,
    copy_for,
    damaged,
    private_folder,
    scratch,
    sync,
)
from dal.tasks import to_its_end

HEADERS = (b"REDIS", b"VALKEY")

_ANSWER_SECONDS = 10.0
_SHUTDOWN_SECONDS = 60.0
_SERVERS_PLACES = ("/usr/sbin", "/usr/local/sbin")  # not on an ordinary user's PATH
_CLIENTS = ("redis-cli", "valkey-cli")

# A server that ends with this process, however that ends: a shell beside it waits for the end of the pipe
# that it has for standard input. It asks whether its parent still is the server: a number is used again.
_GUARDED = """
exec 3<&0
(
    read -r _ <&3
    read -r _ _ _ parent _ </proc/self/stat
    [ "$parent" = $$ ] && kill -9 $$
) >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-
"""

# A replica keeps keys that have expired, so that the count is the same whenever it is made. It finds no
# server on port 0.
_SCRATCH = {
    "port": "0",
    "save": "",
    "appendonly": "no",
    "replicaof": "127.0.0.1 0",
    "sanitize-dump-payload": "yes",
    "daemonize": "no",
    "logfile": "",
}


async def take(url: StoreUrl, draft: Path) -> RedisContents:
    """Write a dump of the server to *draft*, and return what it holds.

    Raises:
        CacheUnavailable: The server did not answer, refused the login, or broke the transfer off.
        BackupDamaged: The dump cannot be loaded, or lacks keys.
        ProgramMissing: redis-cli, or the server's program, is not on this machine.
    """
    server = Client(url)
    before = await server.info()
    said = await server.run("--rdb", str(draft), seconds=None)
    if said.code:
        raise CacheUnavailable(f"the transfer of the dump from {url} broke off; nothing was kept")
    after = await server.info()
    keys, found = await _loaded(draft, before.contents)
    found += [
        f"the server has keys in its database {number}, the dump has none"
        for number in sorted((before.lasting & after.lasting).difference(keys))
    ]
    if found:
        raise damaged(draft, found)
    return before.contents.model_copy(update={"keys": keys})


async def problems(file: Path, contents: RedisContents) -> list[str]:
    """Load a dump, and say in what it differs from *contents*."""
    said = contents.keys
    keys, found = await _loaded(file, contents)
    if not found:
        found += [
            f"database {number} has {keys.get(number, 0)} keys, the manifest says {said.get(number, 0)}"
            for number in sorted(keys.keys() | said.keys())
            if keys.get(number) != said.get(number)
        ]
    return found


async def put_back(backup: Path, manifest: Manifest, url: StoreUrl, replace: bool) -> Path:
    """Let the server's dump be a copy of *backup*, and end the server, which loads it when it is started.

    Raises:
        BackupRefused: It is on another machine, would not load a dump, or has keys.
        CacheUnavailable, CacheError: It did not answer, or refused a command.
    """
    server = Client(url)
    before = await server.info()
    settings = await server.settings("dir", "dbfilename", "appendonly", "save")
    folder = Path(settings["dir"])
    _check_server(url, before, settings, folder, replace)
    target = folder / settings["dbfilename"]
    owner = await asyncio.to_thread(os.stat, f"/proc/{before.pid}")
    async with private_folder(target) as private:
        draft = private / target.name
        await to_its_end(asyncio.to_thread(copy_for, backup, manifest, draft, owner))
        await server.ask("CONFIG", "SET", "save", "")
        try:
            await server.wait(lambda info: not info.saves)  # it would put its own dump in the place of ours
            ours = await to_its_end(asyncio.to_thread(_place, draft, target))
            await server.shut_down(before.pid, folder)
        except BaseException:
            with suppress(DalError):
                await to_its_end(server.ask("CONFIG", "SET", "save", settings["save"]))
            raise
    if not os.path.samestat(ours, await asyncio.to_thread(os.stat, target)):
        raise BackupError(f"the server wrote its own dump to {target} meanwhile; restore again")
    return target


def _place(draft: Path, target: Path) -> os.stat_result:
    draft.rename(target)
    sync(target.parent)
    return target.stat()


def _check_server(
    url: StoreUrl, server: Info, settings: Mapping[str, str], folder: Path, replace: bool
) -> None:
    if not is_local(url.host) or not _runs_in(server.pid, folder):
        raise BackupRefused(
            f"the server at {url} was not found among the processes of this machine that this user may look"
            f" at, in its folder {folder}; restore where it runs, as its user or as root"
        )
    if settings["appendonly"] != "no":
        raise BackupRefused(
            f"the server at {url} has appendonly yes: it would start from that file, with no key of the dump."
            " CONFIG SET appendonly no (and in its configuration), restore, start it,"
            " CONFIG SET appendonly yes: it then writes a new file from what was restored"
        )
    if server.is_replica:
        raise BackupRefused(f"the server at {url} is a replica: it would fetch its primary's keys instead")
    if server.contents.keys and not replace:
        raise BackupRefused(
            f"the server at {url} has keys; to put the backup in their place has to be asked for (replace)"
        )


def _runs_in(pid: int, folder: Path) -> bool:
    """Say whether the process *pid* of this machine works in *folder*, as a server does in its own."""
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/cwd"), folder.stat())
    except OSError:
        return False


@dataclass(frozen=True)
class Info:
    """What a server says of itself.

    Attributes:
        contents: Its make and its keys.
        lasting: The databases that have keys which do not expire.
        saves: It is writing a dump.
    """

    contents: RedisContents
    lasting: frozenset[int]
    pid: int
    is_replica: bool
    saves: bool


@dataclass(frozen=True)
class Said:
    """The exit code of a program, and what it wrote."""

    code: int
    output: str
    errors: str


class Client:
    """redis-cli on one server. The password is in its environment, which other users cannot read."""

    def __init__(self, url: StoreUrl | Path) -> None:
        self._name = str(url)
        self._program = _program(_CLIENTS, "redis-tools or valkey-tools")
        self._environment = {name: value for name, value in os.environ.items() if name != "REDISCLI_AUTH"}
        if isinstance(url, Path):
            self._address = ["-s", str(url)]
            return
        self._address = ["-h", url.host, "-p", str(url.port)]
        if url.scheme == "rediss":
            self._address += ["--tls"]
            if url.options.get("cafile"):
                self._address += ["--cacert", url.options["cafile"]]
        if url.username:
            self._address += ["--user", url.username]
        if url.password:
            self._environment["REDISCLI_AUTH"] = url.password

    async def ask(self, *words: str) -> str:
        """Send a command and return the answer.

        Raises:
            CacheUnavailable: The server cannot be reached, or refused the login.
            CacheError: It refused the command.
        """
        said = await self.run(*words)
        # What a server answers may quote a value; the first word of an error is a code.
        code = re.search(r"^[A-Z]+\b", said.errors, re.MULTILINE)
        if code is not None and code[0] in ("AUTH", "NOAUTH", "WRONGPASS"):
            raise CacheUnavailable(f"the cache at {self._name} refused the login; check user and password")
        if said.code == 0:
            return said.output
        if code is None:
            raise CacheUnavailable(f"the cache at {self._name} cannot be reached")
        raise CacheError(f"the cache at {self._name} refused {words[0]} ({code[0]})")

    async def run(self, *words: str, seconds: float | None = _ANSWER_SECONDS) -> Said:
        """Run redis-cli to its end; whoever cancels ends it.

        Raises:
            CacheUnavailable: It took longer than *seconds*.
        """
        process = await asyncio.create_subprocess_exec(
            self._program, *self._address, "-e", *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )  # fmt: skip
        try:
            async with asyncio.timeout(seconds):
                output, errors = await process.communicate()
        except TimeoutError:
            raise CacheUnavailable(
                f"the cache at {self._name} did not answer {words[0]} within {seconds:g} s"
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await to_its_end(process.wait())
        assert process.returncode is not None
        return Said(process.returncode, output.decode(errors="replace"), errors.decode(errors="replace"))

    async def info(self) -> Info:
        """Ask the server what it is."""
        lines = (await self.ask("INFO")).splitlines()
        found = dict(line.split(":", 1) for line in lines if ":" in line)
        keyspace = {
            int(name[2:]): dict(part.split("=") for part in value.split(","))
            for name, value in found.items()
            if re.fullmatch(r"db\d+", name)
        }
        is_valkey = found.get("server_name") == "valkey"
        return Info(
            contents=RedisContents(
                server="valkey" if is_valkey else "redis",
                version=found["valkey_version" if is_valkey else "redis_version"],
                keys={number: int(counts["keys"]) for number, counts in keyspace.items()},
            ),
            lasting=frozenset(
                number for number, counts in keyspace.items() if int(counts["keys"]) > int(counts["expires"])
            ),
            pid=int(found["process_id"]),
            is_replica=found["role"] != "master",
            saves=found["rdb_bgsave_in_progress"] != "0",
        )

    async def wait(self, until: Callable[[Info], bool]) -> None:
        """Wait until the server says of itself what is wanted."""
        async with _patience(self._name):
            while not until(await self.info()):  # noqa: ASYNC110  # the server tells nobody when it is done
                await asyncio.sleep(0.1)

    async def shut_down(self, pid: int, folder: Path) -> None:
        """End the server without a dump of its own, and wait for the end of its process."""
        if (await self.run("SHUTDOWN", "NOSAVE", seconds=_SHUTDOWN_SECONDS)).code:
            raise BackupError(f"the cache at {self._name} refused SHUTDOWN, and keeps what it has")
        async with _patience(self._name):
            while _runs_in(pid, folder):  # noqa: ASYNC110  # it is no child of this process
                await asyncio.sleep(0.05)

    async def settings(self, *names: str) -> dict[str, str]:
        """Ask for settings of the server."""
        lines = (await self.ask("CONFIG", "GET", *names)).split("\n")
        return dict(zip(lines[::2], lines[1::2], strict=False))


@asynccontextmanager
async def _patience(name: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_SHUTDOWN_SECONDS):
            yield
    except TimeoutError:
        raise BackupError(f"the cache at {name} did not come to rest in {_SHUTDOWN_SECONDS:g} s") from None


async def _loaded(file: Path, contents: RedisContents) -> tuple[dict[int, int], list[str]]:
    """Load a dump; return the keys of each database, or what is wrong with it."""
    program = _program((f"{contents.server}-server",), f"{contents.server}-server")
    async with private_folder(scratch()) as folder:  # its path is short, as that of a socket has to be
        await asyncio.to_thread(lambda: (folder / "dump.rdb").symlink_to(file.absolute()))
        async with _scratch_server(program, folder) as log:
            if log is not None:
                return {}, [f"{program.name} cannot load it: {log}"]
            return (await Client(folder / "socket").info()).contents.keys, []


@asynccontextmanager
async def _scratch_server(program: Path, folder: Path) -> AsyncIterator[str | None]:
    """A server that has loaded the dump in *folder*; gives what it said if it could not."""
    options = {**_SCRATCH, "dir": str(folder), "unixsocket": str(folder / "socket"), "unixsocketperm": "700"}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", _GUARDED, "sh", str(program), *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd="/",
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said: list[str] = []
        async for line in process.stdout:
            said.append(line.decode(errors="replace").strip())
            if "eady to accept connections" in said[-1]:
                yield None
                return
        yield _reason(said)
    finally:
        if process.returncode is None:
            process.kill()
        process.stdin.close()
        await to_its_end(process.wait())


def _reason(said: Sequence[str]) -> str:
    """The lines of a log in which a server says why it gave up."""
    warnings = [line.partition(" # ")[2] for line in said if " # " in line and "WARNING" not in line]
    return "; ".join(warnings[-2:]) or "it said nothing"


def _program(names: Sequence[str], packages: str) -> Path:
    places = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SERVERS_PLACES))
    for name in names:
        found = shutil.which(name, path=places)
        if found is not None:
            return Path(found)
    raise ProgramMissing(f"{' or '.join(names)} was not found: install {packages} (apt-get install ...)")
