"""Binary COPY for many rows, where it means the same as their INSERT run once for each.

The text says whether it can be: a plain INSERT of one tuple of placeholders. The catalog says whether it is:
COPY fires triggers for a statement once, those for rows and foreign keys behind all rows; it knows no rules
and no policies; and it fills columns that INSERT refuses to. In doubt the INSERT is run for each row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import asyncpg

from dal.engines.postgresql.parameters import Parameters

LEAST_ROWS = 500  # for fewer, what the catalog is asked costs more than COPY saves

_NAME = r'(?:[a-z_][a-z0-9_$]*|"(?:[^"]|"")+")'
_INSERT = re.compile(
    rf"\s*INSERT\s+INTO\s+(?P<table>{_NAME}(?:\s*\.\s*{_NAME})?)"
    rf"\s*\((?P<columns>\s*{_NAME}\s*(?:,\s*{_NAME}\s*)*)\)"
    r"\s*VALUES\s*\((?P<values>\s*\$[0-9]+\s*(?:,\s*\$[0-9]+\s*)*)\)[\s;]*",
    re.IGNORECASE | re.ASCII,
)
_NAMES = re.compile(_NAME, re.IGNORECASE | re.ASCII)


class Target(NamedTuple):
    """Where an INSERT puts its values, as its text says.

    Attributes:
        table: Quoted, with its schema if the text names one.
        columns: In the order of the values.
    """

    table: str
    columns: tuple[str, ...]


class Table(NamedTuple):
    """A table that COPY may fill."""

    schema: str
    name: str
    columns: tuple[str, ...]


@lru_cache(256)
def target(sql: str) -> Target | None:
    """Return where *sql* inserts the values of its parameters, None if it does anything else."""
    found = _INSERT.fullmatch(sql)
    if found is None:
        return None
    columns = tuple(_unquoted(name) for name in _NAMES.findall(found["columns"]))
    placeholders = [value.strip() for value in found["values"].split(",")]
    if placeholders != [f"${number}" for number in range(1, len(columns) + 1)]:
        return None
    return Target(".".join(_quoted(name) for name in _NAMES.findall(found["table"])), columns)


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _quoted(name: str) -> str:
    return '"' + _unquoted(name).replace('"', '""') + '"'


# The family of a table is itself, its partitions, and what it is a partition of. A key within the family, or
# a function in a default or a check, may look for rows that an INSERT of their own would have stored before.
LOOK = """
WITH
    family AS (
        SELECT pg_catalog.to_regclass($1) AS member
        UNION SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1))
        UNION SELECT relid FROM pg_catalog.pg_partition_ancestors(pg_catalog.to_regclass($1))
    ),
    wanted AS (
        SELECT a.atttypid, t.typtype, w.place
        FROM pg_catalog.unnest($2::text[]) WITH ORDINALITY AS w (name, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = pg_catalog.to_regclass($1) AND a.attname = w.name
        JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
        WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
    )
SELECT
    n.nspname::text AS schema,
    c.relname::text AS name,
    ARRAY(SELECT atttypid FROM wanted ORDER BY place) AS types,
    ARRAY(SELECT atttypid FROM wanted WHERE typtype = 'e') AS enums
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1)
    AND NOT pg_catalog.row_security_active(c.oid)
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_class AS r
        WHERE r.oid = ANY (ARRAY(TABLE family)) AND (r.relkind NOT IN ('r', 'p') OR r.relhasrules)
    )
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_trigger AS t
        WHERE t.tgrelid = ANY (ARRAY(TABLE family))
            AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype::int4 & 4 <> 0
    )
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint AS k
        WHERE k.contype = 'f'
            AND k.conrelid = ANY (ARRAY(TABLE family)) AND k.confrelid = ANY (ARRAY(TABLE family))
    )
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_attribute AS a
        JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
        WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND t.typtype = 'd'
    )
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
            AND (
                d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid IN (
                    SELECT oid FROM pg_catalog.pg_attrdef WHERE adrelid = ANY (ARRAY(TABLE family))
                )
                OR d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid IN (
                    SELECT oid FROM pg_catalog.pg_constraint WHERE conrelid = ANY (ARRAY(TABLE family))
                )
            )
    )
"""


def table_of(target: Target, row: Sequence[Any] | None, parameters: Parameters) -> Table | None:
    """Return the table that COPY may fill in place of the INSERT to *target*, None if it may not.

    Args:
        target: What the text says.
        row: What `LOOK` found with it.
        parameters: Those of the INSERT.
    """
    if row is None:
        return None
    schema, name, types, enums = row
    if types != [kind.oid for kind in parameters.types]:
        return None
    if not all(kind.oid in enums or parameters.checks(kind) for kind in parameters.types):
        return None
    return Table(schema, name, target.columns)


async def copy(
    raw: asyncpg.Connection[asyncpg.Record], table: Table, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Store *rows*, whose values are checked, in *table*: all of them or none."""
    # The driver sends half a megabyte at a time, and waits where the server is slower than it.
    await raw.copy_records_to_table(table.name, schema_name=table.schema, columns=table.columns, records=rows)
