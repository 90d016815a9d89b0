"""What was found, in the terminal, as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.bars import Result
from screen import Screen

Table = tuple[list[str], list[list[str]]]


def version(distribution: str) -> str:
    """Return the version of a package, as far as it is installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def figures(results: Iterable[Result]) -> Table:
    """Return the table of what each case takes."""
    columns = ["case", "engine", ">rows", ">dal us", ">floor us", "~x floor", ">P99 us", "targets"]
    return columns, [
        [
            result.case + (" uvloop" if result.loop == "uvloop" else ""),
            result.engine,
            "" if result.rows is None else f"{result.rows:,}",
            _us(result.ours_us),
            _us(result.floor_us),
            "" if result.ratio is None else str(result.ratio),
            _us(result.p99_us),
            {True: "met", False: "MISSED", None: "not known" if result.target else ""}[result.ok],
        ]
        for result in results
    ]


def against_peers(results: Sequence[Result]) -> Table:
    """Return the table of how many times faster `dal` is than each peer."""
    with_peers = [result for result in results if result.peer_ratios]
    names = list(dict.fromkeys(name for result in with_peers for name in result.peer_ratios))
    rows = []
    for result in with_peers:
        cells = [_times(result, name) for name in names]
        loop = " uvloop" if result.loop == "uvloop" else ""
        rows.append([result.case + loop, result.engine, *cells])
    return ["case", "engine", *(f">{name}" for name in names)], rows


def verdicts(results: Iterable[Result]) -> Table:
    """Return the table of targets."""
    words = {True: "met", False: "MISSED", None: "not measured"}
    return ["case", "engine", ">rows", "target", "measured", "verdict"], [
        [
            result.case + (" uvloop" if result.loop == "uvloop" else ""),
            result.engine,
            "" if result.rows is None else f"{result.rows:,}",
            str(bar),
            measured,
            words[is_met],
        ]
        for result in results
        for bar, measured, is_met in result.verdicts
    ]


def gaps(results: Iterable[Result], absent: Mapping[str, str]) -> list[str]:
    """Return who was not measured where, and why."""
    found = [f"{engine}: {reason}" for engine, reason in absent.items()]
    reasons: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for name, reason in result.missing.items():
            reasons.setdefault((name, reason), []).append(f"{result.case} on {result.engine}")
    for (name, reason), where in reasons.items():
        found.append(f"{name}: {reason} ({', '.join(dict.fromkeys(where))})")
    return found


def show(
    screen: Screen, results: Sequence[Result], absent: Mapping[str, str], facts: Mapping[str, Any]
) -> None:
    """Print everything."""
    screen.heading("Where")
    screen.table(["what", "~which"], list(facts.items()))
    screen.heading("Microseconds a call; of bulk_insert and stream, a row")
    screen.table(*figures(results))
    columns, rows = against_peers(results)
    if rows:
        screen.heading("How many times faster dal is: the median of the rounds")
        screen.table(columns, rows)
    screen.heading("Targets")
    screen.table(*verdicts(results))
    if missing := gaps(results, absent):
        screen.heading("Not measured")
        for gap in missing:
            screen.say(gap)


def write_json(
    folder: Path, results: Sequence[Result], absent: Mapping[str, str], facts: Mapping[str, Any]
) -> None:
    """Write ``results.json``, a list, and ``environment.json``."""
    (folder / "results.json").write_text(_json([result.as_json() for result in results]))
    (folder / "environment.json").write_text(_json({**facts, "not_measured": dict(absent)}))


def markdown(results: Sequence[Result], absent: Mapping[str, str], facts: Mapping[str, Any]) -> str:
    """Return everything as Markdown, fit for a README."""
    where = "; ".join(f"{name}: {value}" for name, value in facts.items())
    parts = [
        f"{where}.",
        "Microseconds a call; of `bulk_insert` and `stream`, a row.",
        _table(*figures(results)),
    ]
    columns, rows = against_peers(results)
    if rows:
        parts += ["How many times faster `dal` is: the median of the rounds.", _table(columns, rows)]
    parts += ["Targets:", _table(*verdicts(results))]
    if missing := gaps(results, absent):
        parts += ["Not measured:", "\n".join(f"- {gap}" for gap in missing)]
    return "\n\n".join(parts) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [
        "| " + " | ".join(column.lstrip(">~") for column in columns) + " |",
        "|" + "|".join("---:" if column.startswith(">") else "---" for column in columns) + "|",
    ]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


def _us(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"


def _times(result: Result, name: str) -> str:
    spread = result.peer_ratios.get(name)
    if spread is None:
        return "" if name not in result.missing else "-"
    return f"{spread.median:.1f}" if spread.median < 100 else f"{spread.median:,.0f}"
