"""yoyo, in a process of its own.

In this one it would change how sqlite3 stores datetimes for the whole application.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from glob import escape
from pathlib import Path
from typing import Literal, NamedTuple

from dal.operations.yoyo_url import YoyoDatabase

CANCEL_GRACE = 1.0
"""Seconds that yoyo gets to end by itself when the caller is cancelled."""

Command = Literal["apply", "rollback", "mark"]


class Run(NamedTuple):
    """What a run of yoyo did.

    Attributes:
        succeeded: It ended by itself, and says so.
        begun: The migrations that it began with, in their order; also what is none, such as a hook.
        cause: The error that it ended with.
    """

    succeeded: bool
    begun: list[str]
    cause: str


async def run_yoyo(command: Command, database: YoyoDatabase, folders: Iterable[Path], *options: str) -> Run:
    """Run yoyo to its end; whoever cancels ends it, and its lock on the database.

    One run for all folders, since a migration may depend on one of another system. Where the
    dependencies leave it open, yoyo keeps the order of the folders.
    """
    async with _private_config(database) as config:
        sources = [escape(str(folder)) for folder in folders]
        process = await _python(*_YOYO, command, "--batch", "-vvv", "--config", config, *options, *sources)
        try:
            _, output = await process.communicate()
        except BaseException:
            await asyncio.shield(_end(process, config))
            raise
    log = output.decode(errors="replace")
    begun = re.findall(rf"^INFO:yoyo\.\S*:{_SAYS[command]}$", log, re.MULTILINE)
    return Run(process.returncode == 0, begun, _cause(log))


@asynccontextmanager
async def _private_config(database: YoyoDatabase) -> AsyncIterator[str]:
    """A file that only this user can read, with the URL: others see the arguments of a process."""
    writing = asyncio.create_task(asyncio.to_thread(_write_config, database))
    try:
        yield str(await asyncio.shield(writing))
    finally:
        await asyncio.shield(_remove(writing))


async def _remove(writing: asyncio.Task[Path]) -> None:
    """Remove what is written, also if the caller was cancelled before he knew where that is."""
    path = await writing
    await asyncio.to_thread(shutil.rmtree, path.parent)


def _write_config(database: YoyoDatabase) -> Path:
    path = Path(tempfile.mkdtemp(prefix="dal-migrate-"), "yoyo.ini")  # in a folder that is 0700
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(f"[DEFAULT]\ndatabase = {database.url.replace('%', '%%')}\n")
    return path


async def _python(*arguments: str) -> asyncio.subprocess.Process:
    # -P: a file yoyo.py in the working directory is not yoyo. -W: a warning is no failure here.
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-W", "ignore", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
    )


_YOYO = ("-m", "yoyo")
_SAYS: dict[Command, str] = {
    "apply": "Applying (.+)",
    "rollback": "Rolling back (.+)",
    "mark": "Marking (.+) applied",
}


def _environment() -> Mapping[str, str]:
    environment = {**os.environ, "PYTHONUTF8": "1"}  # yoyo opens migrations in the locale's encoding
    try:
        getpass.getuser()
    except (KeyError, OSError):
        # yoyo asks for the user's name after the migration is committed, and would fail to record it.
        environment["LOGNAME"] = f"uid-{os.getuid()}"
    return environment


async def _end(process: asyncio.subprocess.Process, config: str) -> None:
    """End yoyo and its lock on the database. SIGINT is the one signal at which it releases that itself."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.communicate(), CANCEL_GRACE)
        except TimeoutError:
            process.kill()
            await process.communicate()
    if process.returncode:
        # It did not end by itself, or tried to on a connection that was broken in mid-answer.
        unlock = await _python("-c", _RELEASE_LOCK, config, str(process.pid))
        await unlock.communicate()


_RELEASE_LOCK = """
import sys
from yoyo import get_backend
from yoyo.config import read_config

backend = get_backend(read_config(sys.argv[1]).get("DEFAULT", "database"))
with backend.transaction():
    backend.execute("DELETE FROM yoyo_lock WHERE pid = :pid", {"pid": int(sys.argv[2])})
"""


def _cause(log: str) -> str:
    """The last line of the first traceback: those after it only tell how yoyo failed to clean up."""
    tracebacks = re.split(r"^Traceback \(most recent call last\):$", log, flags=re.MULTILINE)
    ends = [lines[-1] for lines in map(_unindented, tracebacks[1:]) if lines]
    if not ends:
        return (log.strip().splitlines() or ["yoyo said nothing"])[-1]
    return next((line for line in ends if "LockTimeout" in line), ends[0])


def _unindented(text: str) -> list[str]:
    """The lines that name an error: not a frame, not a note between two tracebacks."""
    notes = ("During handling of", "The above exception", "INFO:", "DEBUG:", "ERROR:")
    return [line for line in text.splitlines() if line.strip() and not line.startswith((" ", "\t", *notes))]
