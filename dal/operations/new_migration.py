"""Writes the files of a new migration, for each engine under the same id."""

from __future__ import annotations

import re
from pathlib import Path

from dal.errors import ConfigurationError, UsageError
from dal.operations.migrate import BASE, migration_ids
from dal.queries.dialects import DIALECTS
from dal.queries.files import shipped

_WORD = re.compile(r"[a-z][a-z0-9_]*")
_NUMBER = re.compile(r"-(\d{4})\.")

_WAIT = """-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

"""
_BEFORE = {"postgresql": _WAIT}
_BEFORE_ROLLBACK = {"postgresql": _WAIT.partition("\n")[2]}
_NOTES = {
    "mysql": """--
-- Each statement of this file commits by itself. Should one fail, yoyo undoes those before it by their
-- mirrors in the .rollback.sql, taken by position: so the first statement here is the last one there.
"""
}

# What is not written yet is no SQL, so that a migration cannot be applied before it is.
_APPLY = """-- {description}
{depends}{notes}
{before}<write the change here, and its mirror in the .rollback.sql>;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    '{id}',
    '{text}',
    '{system}/{engine}/{id}.sql'
);
"""
_ROLLBACK = """-- Undoes {id}, statement by statement in reverse.

{before}DELETE FROM schema_versions
WHERE version_id = '{id}';

<undo the change here>;
"""


def new_migration(
    system: str, what: str, description: str, *, root: Path | None = None
) -> tuple[str, list[Path]]:
    """Write a migration and its rollback for each engine, and return its id and the files.

    The number is the next one of the system; it depends on the one before, the first on the newest of
    `BASE`. The files cannot be applied until the change is written in place of the line in angle brackets.

    Args:
        system: A folder of *root*, new or not.
        what: What it is about, as the last part of its id: small letters, digits, underscores.
        description: One sentence, for the head of the file and for schema_versions.
        root: Where the migrations lie; None takes those that come with `dal`.

    Raises:
        UsageError: A word or the description is not usable.
        ConfigurationError: The engines of the system do not have the same migrations.
    """
    for word in (system, what):
        if not _WORD.fullmatch(word):
            raise UsageError(f"{word!r} is not usable: small letters, digits and underscores, a letter first")
    if not description.strip() or len(description.splitlines()) != 1:
        raise UsageError("the description is one line that says what the migration does")
    root = shipped("migrations") if root is None else root
    before = _newest(root, system)
    number = int(_numbered(before)) + 1 if before else 1
    identity = f"{system}-{number:04}.{what}"
    base = root if (root / BASE).exists() else shipped("migrations")
    needed = before or (_newest(base, BASE) if system != BASE else None)
    files = []
    for engine in DIALECTS:
        parts = {
            "id": identity,
            "system": system,
            "engine": engine,
            "description": description,
            "text": description.replace("'", "''"),
            "depends": f"-- depends: {needed}\n" if needed else "",
            "notes": _NOTES.get(engine, ""),
        }
        folder = root / system / engine
        folder.mkdir(parents=True, exist_ok=True)
        for suffix, text, first in (
            ("", _APPLY, _BEFORE.get(engine, "")),
            (".rollback", _ROLLBACK, _BEFORE_ROLLBACK.get(engine, "")),
        ):
            file = folder / f"{identity}{suffix}.sql"
            with file.open("x", encoding="utf-8") as stream:
                stream.write(text.format(before=first, **parts))
            files.append(file)
    return identity, files


def _newest(root: Path, system: str) -> str | None:
    """The migration of *system* with the highest number."""
    by_engine = {engine: migration_ids(root / system / engine) for engine in DIALECTS}
    present = {ids for ids in by_engine.values() if ids}
    if len(present) > 1:
        missing = frozenset.union(*present) - frozenset.intersection(*present)
        raise ConfigurationError(f"{root / system}: not every engine has {', '.join(sorted(missing))}")
    ids = next(iter(present), frozenset())
    return max(ids, key=_numbered) if ids else None


def _numbered(migration: str) -> str:
    found = _NUMBER.search(migration)
    if found is None:
        raise ConfigurationError(f"{migration} has no number: SYSTEM-0001.WHAT is the form of an id")
    return found[1]
