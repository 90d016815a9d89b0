"""Plots of what was found, as PNG, and one HTML page that holds tables and plots and needs no other file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.bars import Result


def draw(folder: Path, results: Sequence[Result]) -> list[Path]:
    """Write a plot of each case with a floor, and one of how cost grows; return the files.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    files = []
    for case in dict.fromkeys(result.case for result in results if result.floor_us is not None):
        own = [result for result in results if result.case == case and result.floor_us is not None]
        smallest = {(r.engine, r.loop): r for r in sorted(own, key=lambda r: -(r.rows or 0))}
        files.append(_bars(folder / f"{case}.png", case, list(smallest.values())))
    grown = [result for result in results if result.case == "growth"]
    if grown:
        files.append(_growth(folder / "growth.png", grown))
    return files


def _bars(path: Path, case: str, results: Sequence[Result]) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(results), 3.2), layout="constrained")
    for axes, result in zip(figure.subplots(1, len(results), squeeze=False)[0], results, strict=True):
        values = {"dal": result.ours_us, str(result.floor): result.floor_us or 0.0, **result.peers}
        names = sorted(values, key=lambda name: values[name], reverse=True)
        colours = ["#c2410c" if name == "dal" else "#64748b" for name in names]
        drawn = axes.barh(names, [values[name] for name in names], color=colours)
        axes.bar_label(drawn, fmt="%.3g", padding=3, fontsize=8)
        axes.margins(x=0.18)
        axes.set_title(
            f"{case}, {result.engine}" + (", uvloop" if result.loop == "uvloop" else ""), fontsize=10
        )
        axes.set_xlabel("microseconds", fontsize=8)
        axes.tick_params(labelsize=8)
    figure.savefig(path, dpi=110)
    return path


def _growth(path: Path, results: Sequence[Result]) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for result in results:
        label = result.engine + (" uvloop" if result.loop == "uvloop" else "")
        by_rows = result.facts["us_by_rows"]
        axes.plot([int(rows) for rows in by_rows], list(by_rows.values()), marker="o", label=label)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("rows in the table")
    axes.set_ylabel("microseconds a point read")
    axes.legend()
    figure.savefig(path, dpi=110)
    return path


def page(
    results: Sequence[Result], absent: Mapping[str, str], facts: Mapping[str, Any], plots: Sequence[Path]
) -> str:
    """Return the HTML page."""
    parts = [_HEAD, "<h1>dal beside drivers and libraries</h1>"]
    parts.append(_table(["what", "which"], [[name, str(value)] for name, value in facts.items()]))
    parts.append("<h2>Targets</h2>" + _table(*report.verdicts(results)))
    parts.append("<h2>Microseconds a call; of bulk_insert and stream, a row</h2>")
    parts.append(_table(*report.figures(results)))
    columns, rows = report.against_peers(results)
    if rows:
        parts.append("<h2>How many times faster dal is</h2>" + _table(columns, rows))
    if missing := report.gaps(results, absent):
        items = "".join(f"<li>{html.escape(gap)}</li>" for gap in missing)
        parts.append(f"<h2>Not measured</h2><ul>{items}</ul>")
    for plot in plots:
        data = base64.b64encode(plot.read_bytes()).decode()
        parts.append(f'<p><img alt="{html.escape(plot.stem)}" src="data:image/png;base64,{data}"></p>')
    return "\n".join(parts) + "\n</html>\n"


_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>dal: benchmark</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } th { text-align: left; border-bottom: 2px solid #94a3b8 }
th, td { padding: .15rem .8rem .15rem 0 } td { border-bottom: 1px solid #e2e8f0 }
.number { text-align: right; font-variant-numeric: tabular-nums }
.met { color: #15803d } .MISSED { color: #b91c1c; font-weight: bold } img { max-width: 100% }
</style>"""


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    kinds = ["number" if column.startswith(">") else "" for column in columns]
    buffer = io.StringIO()
    buffer.write("<table><tr>")
    for column, kind in zip(columns, kinds, strict=True):
        buffer.write(f'<th class="{kind}">{html.escape(column.lstrip(">~"))}</th>')
    buffer.write("</tr>")
    for row in rows:
        buffer.write("<tr>")
        for cell, kind in zip(row, kinds, strict=True):
            name = cell if cell in ("met", "MISSED") else kind
            buffer.write(f'<td class="{name}">{html.escape(cell)}</td>')
        buffer.write("</tr>")
    buffer.write("</table>")
    return buffer.getvalue()
