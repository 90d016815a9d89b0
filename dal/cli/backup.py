"""``dal backup``: copies that are known to be good, made, verified and put back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from dal.cli.output import Url, resolved
from dal.database import DatabaseManager
from dal.operations.backups import Manifest, RedisContents, create_backup, restore_backup, verify_backup
from dal.operations.backups.files import read_manifest
from dal.operations.lifecycle import environment_of
from dal.settings import load_settings

backup = typer.Typer(no_args_is_help=True, help="Backups of a SQLite database, or of a cache's server.")

Of = Annotated[
    bool, typer.Option("--cache", help="The cache of the settings (REDIS_URL) in place of the database.")
]
File = Annotated[Path, typer.Argument(help="The backup; its manifest is beside it.")]


@backup.command()
def create(
    target: Annotated[Path, typer.Argument(help="A file that does not exist.")],
    url: Url = None,
    cache: Of = False,
) -> None:
    """Back up a database that is in use, and verify the backup."""
    source = _cache_url(url) if cache else resolved(url)
    _tell(target, asyncio.run(create_backup(source, target)))


@backup.command()
def verify(file: File) -> None:
    """Restore a backup into a private place and compare it; exit code 1 if it is damaged."""
    _tell(file, asyncio.run(verify_backup(file)))


@backup.command()
def restore(
    file: File,
    url: Url = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a database that exists; it is kept under another name.")
    ] = False,
) -> None:
    """Verify a backup, and put it in the place of the database, or of the keys of the cache's server."""
    contents = read_manifest(file).contents
    target = _cache_url(url) if isinstance(contents, RedisContents) else resolved(url)
    restored = asyncio.run(restore_backup(file, target, replace=replace))
    typer.echo(f"restored: {restored.target}")
    if restored.kept is not None:
        typer.echo(f"the old database is kept: {restored.kept}")
    if restored.must_start:
        typer.echo("the server was ended: start it again, and it loads the backup")
    # Only a database with such a row is opened: that changes it to WAL.
    if not isinstance(contents, RedisContents) and contents.rows.get("environment"):
        asyncio.run(_tell_mark(target))


def _cache_url(url: str | None) -> str:
    return url or load_settings().cache.url.get_secret_value()


async def _tell_mark(url: str) -> None:
    """A mark comes with the backup: what was production may have become a database that can be dropped."""
    async with DatabaseManager(url) as db:
        marked = await environment_of(db)
    if marked is not None:
        typer.echo(
            f"note: this database is marked as {marked}: `dal drop` and `dal reset` may drop it; "
            "DELETE FROM environment makes it production"
        )


def _tell(file: Path, manifest: Manifest) -> None:
    contents = manifest.contents
    counts = contents.keys if isinstance(contents, RedisContents) else contents.rows
    what = "keys" if isinstance(contents, RedisContents) else "rows"
    typer.echo(f"ok: {file}, {manifest.bytes} bytes, {sum(counts.values())} {what}, of {manifest.source}")
    if not isinstance(contents, RedisContents) and contents.orphans:
        typer.echo(f"note: {contents.orphans} rows refer to others that do not exist, as in the database")
