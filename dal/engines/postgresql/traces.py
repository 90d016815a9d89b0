"""What a statement might leave behind in its session, as far as PostgreSQL knows what it runs.

The statement becomes the body of a function in a transaction that is rolled back, so the server has
parsed it and says what it uses: the calls of built-in functions stand in the parsed text, all else in
pg_depend. From there the walk goes on to whatever may run with it: functions whose body the server has
parsed too, views, rules, policies, domains, columns that are generated, indexes, checks and, where rows
are written, defaults, triggers and foreign keys. Nothing is found for what is known to leave nothing; what
the server cannot see into (plpgsql, C, text that is run) counts as left behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import asyncpg

from dal.queries.dialects import POSTGRESQL
from dal.queries.scanner import split_statements
from dal.queries.statement import Statement

Events = frozenset[str]

_VERBS = frozenset(("SELECT", "VALUES", "TABLE", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE"))
_FIRST_OWN = 12_000  # objects below it are PostgreSQL's own, and in no list of dependencies

_HARMLESS = frozenset((
    "random", "random_normal", "gen_random_uuid", "uuidv4", "uuidv7", "clock_timestamp", "timeofday",
    "current_query", "pg_sleep", "pg_sleep_for", "pg_sleep_until", "pg_is_in_recovery", "currval", "lastval",
    "pg_database_size", "pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size",
    "pg_tablespace_size", "pg_sequence_last_value", "pg_blocking_pids", "pg_lock_status", "txid_status",
    "pg_xact_status", "pg_cancel_backend", "pg_terminate_backend", "suppress_redundant_updates_trigger",
))  # fmt: skip
"""Volatile functions that change nothing of the session that calls them; any other may."""

_RUNS_MORE = re.compile(r"(?:table|schema|database|query|cursor)_to_xml\w*|ts_stat|ts_rewrite|pg_input_\w+")
"""Functions that run what a text or a name tells them, volatile or not."""

_CALLS = re.compile(
    r":(?:funcid|opfuncid|aggfnoid|winfnoid|hashfuncid|negfuncid|startInRangeFunc|endInRangeFunc) (\d+)"
)
_COMMAND = re.compile(r":commandType (\d)")
_COMMANDS = {"2": "UPDATE", "3": "INSERT", "4": "DELETE"}
_UPSERT = "{ONCONFLICTEXPR :action 2"
_UTILITY = ":utilityStmt {"
_NOT_APART = ("0A000", "42601", "54023")  # not supported, SELECT INTO, more than 100 parameters

_NO_EVENT: Events = frozenset()
_NOTHING_RUNS = frozenset((
    "pg_namespace", "pg_collation", "pg_constraint", "pg_language", "pg_extension", "pg_am", "pg_attrdef",
    "pg_ts_config", "pg_ts_dict", "pg_publication", "pg_tablespace",
))  # fmt: skip
"""Catalogs whose objects may be used without running anything that is not followed otherwise."""


async def found(raw: asyncpg.Connection[asyncpg.Record], statement: Statement) -> tuple[str, ...]:
    """Return what a run of *statement* might leave behind; nothing of it stays in the database."""
    if statement.verb not in _VERBS:
        return (f"{statement.verb} is not SELECT, INSERT, UPDATE, DELETE or MERGE, and may leave anything",)
    prepared = await raw.prepare(statement.sql)
    oids = [kind.oid for kind in prepared.get_parameters()]
    names = await raw.fetch(
        "SELECT format_type(o, NULL) FROM unnest($1::oid[]) WITH ORDINALITY AS t (o, n)", oids
    )
    types = ", ".join(name for (name,) in names)
    (text,) = split_statements(statement.sql, POSTGRESQL)
    await raw.execute("BEGIN")
    try:
        try:
            await raw.execute(
                f"CREATE FUNCTION pg_temp.dal_statement({types}) RETURNS void LANGUAGE sql "
                f"BEGIN ATOMIC {text}\n; END"
            )
        except asyncpg.PostgresError as error:
            if error.sqlstate not in _NOT_APART:
                raise
            return (f"PostgreSQL does not take it apart: {error}",)
        oid = await raw.fetchval(
            "SELECT oid::int8 FROM pg_proc"
            " WHERE proname = 'dal_statement' AND pronamespace = pg_my_temp_schema()"
        )
        walk = _Walk(raw)
        await walk.function(oid, ())
        return tuple(walk.found)
    finally:
        if not raw.is_closed():
            await raw.execute("ROLLBACK")


class _Use(NamedTuple):
    """An object that is used: the catalog that has it, and its row there."""

    catalog: str
    oid: int


Way = tuple[str, ...]
"""By way of what an object is reached, the last first."""


class _Walk:
    """Follows what is used, each object once for each kind of write, and takes note of what is refused."""

    def __init__(self, raw: asyncpg.Connection[asyncpg.Record]) -> None:
        self._raw = raw
        self._seen: set[tuple[str, int, Events]] = set()
        self.found: dict[str, None] = {}

    async def function(self, oid: int, way: Way) -> None:
        """Follow a function, an aggregate or the statement itself."""
        if self._known("pg_proc", oid):
            return
        (row,) = await self._rows(
            """
            SELECT p.oid::regprocedure::text AS name, p.proname::text AS short, p.prokind::text AS kind,
                p.provolatile::text AS volatile, l.lanname::text AS language,
                p.prosqlbody::text AS body, p.proargdefaults::text AS defaults
            FROM pg_proc AS p INNER JOIN pg_language AS l ON p.prolang = l.oid WHERE p.oid = $1
            """,
            oid,
        )
        name = row["name"]
        if oid < _FIRST_OWN:
            if row["volatile"] == "v" and row["short"] not in _HARMLESS:
                self._refuse(f"{name} is called, which may change the session", way)
            elif _RUNS_MORE.fullmatch(row["short"]):
                self._refuse(f"{name} is called, which may run anything", way)
            return
        inner = way if row["short"] == "dal_statement" else (f"function {name}", *way)
        if row["kind"] == "a":
            await self._aggregate(oid, inner)
        elif row["body"] is None:
            language = row["language"]
            self._refuse(f"function {name} is written in {language}, which the server does not see into", way)
            return
        await self._expression([row["body"], row["defaults"]], _Use("pg_proc", oid), inner)

    async def _aggregate(self, oid: int, way: Way) -> None:
        columns = (
            "transfn",
            "finalfn",
            "combinefn",
            "serialfn",
            "deserialfn",
            "mtransfn",
            "minvtransfn",
            "mfinalfn",
        )
        listed = ", ".join(f"agg{column}::oid::int8" for column in columns)
        (row,) = await self._rows(f"SELECT {listed} FROM pg_aggregate WHERE aggfnoid = $1", oid)
        for function in row:
            if function:
                await self.function(function, way)

    async def _operator(self, oid: int, way: Way) -> None:
        if oid < _FIRST_OWN or self._known("pg_operator", oid):
            return
        (row,) = await self._rows(
            "SELECT oid::regoperator::text AS name, oprcode::oid::int8 AS code"
            " FROM pg_operator WHERE oid = $1",
            oid,
        )
        inner = (f"operator {row['name']}", *way)
        await self.function(row["code"], inner)
        await self._dependencies(_Use("pg_operator", oid), _NO_EVENT, inner)

    async def _type(self, oid: int, way: Way) -> None:
        if oid < _FIRST_OWN or self._known("pg_type", oid):
            return
        (row,) = await self._rows(
            """
            SELECT t.oid::regtype::text AS name, t.typtype::text AS kind, t.typrelid::int8 AS relation,
                t.typdefaultbin::text AS defaults,
                CASE
                    WHEN t.typtype = 'd' THEN t.typbasetype
                    WHEN t.typsubscript = 'array_subscript_handler'::regproc THEN t.typelem
                END::int8 AS inner_type
            FROM pg_type AS t WHERE t.oid = $1
            """,
            oid,
        )
        inner = (f"type {row['name']}", *way)
        if row["kind"] == "b" and row["inner_type"] is None:
            self._refuse(f"type {row['name']} is written in C, which the server does not see into", way)
            return
        if row["inner_type"] is not None:
            await self._type(row["inner_type"], inner)
        if row["relation"]:
            await self._relation(row["relation"], _NO_EVENT, inner)
        await self._expression([row["defaults"]], _Use("pg_type", oid), inner)
        await self._constraints("contypid", oid, inner)
        ranges = await self._rows(
            "SELECT rngsubtype::int8, rngsubopc::int8, rngcanonical::oid::int8, rngsubdiff::oid::int8"
            " FROM pg_range WHERE $1 IN (rngtypid, rngmultitypid)",
            oid,
        )
        for subtype, operator_class, *functions in ranges:
            await self._type(subtype, inner)
            await self._operator_class(operator_class, inner)
            for function in filter(None, functions):
                await self.function(function, inner)
        await self._support(
            "$1 IN (amproclefttype, amprocrighttype)", "$1 IN (amoplefttype, amoprighttype)", oid, inner
        )

    async def _operator_class(self, oid: int, way: Way) -> None:
        if oid < _FIRST_OWN or self._known("pg_opclass", oid):
            return
        family = "(SELECT opcfamily FROM pg_opclass WHERE oid = $1)"
        await self._support(f"amprocfamily = {family}", f"amopfamily = {family}", oid, way)

    async def _support(self, functions: str, operators: str, oid: int, way: Way) -> None:
        """Follow the functions and operators that sort, hash or index values of a type."""
        for (function,) in await self._rows(
            f"SELECT amproc::oid::int8 FROM pg_amproc WHERE {functions}", oid
        ):
            await self.function(function, way)
        for (operator,) in await self._rows(f"SELECT amopopr::int8 FROM pg_amop WHERE {operators}", oid):
            await self._operator(operator, way)

    async def _relation(self, oid: int, events: Events, way: Way) -> None:
        if oid < _FIRST_OWN or self._known("pg_class", oid, events):
            return
        (row,) = await self._rows(
            "SELECT oid::regclass::text AS name, relkind::text AS kind, relrowsecurity AS guarded"
            " FROM pg_class WHERE oid = $1",
            oid,
        )
        name, kind = row["name"], row["kind"]
        if kind == "f":
            self._refuse(f"table {name} is foreign, and its wrapper may leave anything", way)
            return
        if kind in ("S", "i", "I"):
            return
        if kind == "p" and "UPDATE" in events:  # a row may move from one partition to another
            events |= {"INSERT", "DELETE"}
        inner = (f"{_KINDS.get(kind, 'table')} {name}", *way)
        await self._dependencies(_Use("pg_class", oid), events, inner)  # its columns' types, its parents
        await self._rules(oid, kind, events, inner)
        if kind in ("v", "c"):
            await self._triggers(oid, events, inner)
            return
        await self._columns(oid, events, inner)
        await self._constraints("conrelid", oid, inner)
        await self._indexes(oid, inner)
        await self._triggers(oid, events, inner)
        await self._foreign_keys(oid, events, inner)
        if row["guarded"]:
            await self._policies(oid, inner)
        for (child,) in await self._rows("SELECT inhrelid::int8 FROM pg_inherits WHERE inhparent = $1", oid):
            await self._relation(child, events, inner)

    async def _rules(self, oid: int, kind: str, events: Events, way: Way) -> None:
        """A view's own query, and what rules do in place of a write, or beside it."""
        wanted = [number for number, event in _COMMANDS.items() if event in events]
        rows = await self._rows(
            "SELECT oid::int8, rulename::text, ev_type::text, ev_qual::text, ev_action::text"
            " FROM pg_rewrite WHERE ev_class = $1 AND ev_enabled <> 'D' AND ev_type::text = ANY($2::text[])",
            oid,
            [*wanted, *(["1"] if kind == "v" else [])],
        )
        for rule, name, event, *trees in rows:
            inner = way if event == "1" else (f"rule {name}", *way)
            await self._expression(trees, _Use("pg_rewrite", rule), inner, events)

    async def _columns(self, oid: int, events: Events, way: Way) -> None:
        """What is computed for a column: always if it is generated, otherwise where rows are written."""
        rows = await self._rows(
            """
            SELECT a.attname::text AS name, d.oid::int8 AS computed, d.adbin::text AS tree,
                a.attgenerated <> '' AS generated, a.attidentity <> '' AS numbered
            FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON a.attrelid = d.adrelid AND a.attnum = d.adnum
            WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
            """,
            oid,
        )
        for row in rows:
            if row["numbered"] and "INSERT" in events:
                self._refuse(f"column {row['name']} is an identity, whose value stays in lastval()", way)
            if row["computed"] is not None and (row["generated"] or events):
                inner = (f"column {row['name']}", *way)
                await self._expression([row["tree"]], _Use("pg_attrdef", row["computed"]), inner)

    async def _constraints(self, column: str, oid: int, way: Way) -> None:
        rows = await self._rows(
            f"SELECT oid::int8, conname::text, conbin::text FROM pg_constraint"
            f" WHERE {column} = $1 AND contype IN ('c', 'x')",
            oid,
        )
        for constraint, name, tree in rows:
            await self._expression([tree], _Use("pg_constraint", constraint), (f"constraint {name}", *way))

    async def _indexes(self, oid: int, way: Way) -> None:
        rows = await self._rows(
            "SELECT indexrelid::int8, indexrelid::regclass::text, indexprs::text, indpred::text"
            " FROM pg_index WHERE indrelid = $1",
            oid,
        )
        for index, name, *trees in rows:
            await self._expression(trees, _Use("pg_class", index), (f"index {name}", *way))

    async def _triggers(self, oid: int, events: Events, way: Way) -> None:
        if not events:
            return
        mask = sum(bit for event, bit in _TRIGGER_BITS.items() if event in events)
        rows = await self._rows(
            "SELECT oid::int8, tgname::text, tgfoid::int8, tgqual::text FROM pg_trigger"
            " WHERE tgrelid = $1 AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype::int4 & $2::int4 <> 0",
            oid,
            mask,
        )
        for trigger, name, function, condition in rows:
            inner = (f"trigger {name}", *way)
            await self.function(function, inner)
            await self._expression([condition], _Use("pg_trigger", trigger), inner)

    async def _foreign_keys(self, oid: int, events: Events, way: Way) -> None:
        """A key looks into the table that it refers to; one that is referred to may change rows elsewhere."""
        if not events:
            return
        rows = await self._rows(
            "SELECT conname::text, conrelid::int8, confrelid::int8, confdeltype::text, confupdtype::text"
            " FROM pg_constraint WHERE contype = 'f' AND $1 IN (conrelid, confrelid)",
            oid,
        )
        for name, referring, referred, on_delete, on_update in rows:
            inner = (f"constraint {name}", *way)
            if referring == oid:
                await self._relation(referred, _NO_EVENT, inner)
            if referred == oid:
                action = {"DELETE": on_delete, "UPDATE": on_update}
                done = {_ACTIONS.get((event, action[event])) for event in events & action.keys()}
                await self._relation(referring, frozenset(filter(None, done)), inner)

    async def _policies(self, oid: int, way: Way) -> None:
        rows = await self._rows(
            "SELECT oid::int8, polname::text, polqual::text, polwithcheck::text"
            " FROM pg_policy WHERE polrelid = $1",
            oid,
        )
        for policy, name, *trees in rows:
            await self._expression(trees, _Use("pg_policy", policy), (f"policy {name}", *way))

    async def _expression(
        self, trees: Iterable[str | None], owner: _Use, way: Way, events: Events = _NO_EVENT
    ) -> None:
        """Follow what parsed *trees* of *owner* call, and all that it depends on.

        Args:
            trees: In the server's own form.
            owner: What has them.
            way: By way of what it is reached.
            events: What is done to the relations in it, beside what it says itself.
        """
        text = " ".join(filter(None, trees))
        if _UTILITY in text:
            self._refuse("a command is run that is not SELECT, INSERT, UPDATE or DELETE", way)
        events |= {_COMMANDS[number] for number in _COMMAND.findall(text) if number in _COMMANDS}
        if _UPSERT in text:
            events |= {"UPDATE"}
        for function in dict.fromkeys(_CALLS.findall(text)):
            if int(function):
                await self.function(int(function), way)
        await self._dependencies(owner, events, way)

    async def _dependencies(self, owner: _Use, events: Events, way: Way) -> None:
        rows = await self._rows(
            "SELECT DISTINCT refclassid::regclass::text AS catalog, refobjid::int8 AS oid,"
            " pg_describe_object(refclassid, refobjid, 0) AS description"
            f" FROM pg_depend WHERE classid = '{owner.catalog}'::regclass AND objid = $1",
            owner.oid,
        )
        for row in rows:
            catalog, oid = row["catalog"], row["oid"]
            if catalog == "pg_proc":
                await self.function(oid, way)
            elif catalog == "pg_operator":
                await self._operator(oid, way)
            elif catalog == "pg_type":
                await self._type(oid, way)
            elif catalog == "pg_class":
                await self._relation(oid, events, way)
            elif catalog == "pg_opclass":
                await self._operator_class(oid, way)
            elif catalog not in _NOTHING_RUNS and oid >= _FIRST_OWN:
                self._refuse(f"{row['description']} is used, and it is not known what that runs", way)

    def _known(self, catalog: str, oid: int, events: Events = _NO_EVENT) -> bool:
        key = (catalog, oid, events)
        known = key in self._seen
        self._seen.add(key)
        return known

    def _refuse(self, reason: str, way: Way) -> None:
        self.found[reason + "".join(f", by way of {step}" for step in way)] = None

    async def _rows(self, sql: str, *args: Any) -> list[Any]:
        rows: list[Any] = await self._raw.fetch(sql, *args)
        return rows


_KINDS = {"v": "view", "m": "materialized view", "c": "type"}
_TRIGGER_BITS = {"INSERT": 4, "DELETE": 8, "UPDATE": 16}
_ACTIONS = {
    ("DELETE", "c"): "DELETE",
    ("DELETE", "n"): "UPDATE",
    ("DELETE", "d"): "UPDATE",
    ("UPDATE", "c"): "UPDATE",
    ("UPDATE", "n"): "UPDATE",
    ("UPDATE", "d"): "UPDATE",
}
