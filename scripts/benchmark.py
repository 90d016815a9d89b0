"""Measures `dal` beside the bare drivers and other libraries, on the same work, in one run.

    scripts/benchmark                              in a checkout: every case, engine and peer, in minutes
    scripts/benchmark --profile full --out DIR     longer, with 10 million rows and uvloop; keeps a report
    scripts/benchmark --engine sqlite --case point_read,rows_1000 --peers databases
    scripts/benchmark cache                        the cache beside other libraries, as JSON
    scripts/benchmark --queries sql/ --url sqlite:///app.db --params params.yaml
                                                   the queries of any project, on its database

Everyone's answers are compared before anything is timed. Rounds go in turn, so that what disturbs the machine
disturbs all; trust the ratios more than the microseconds. Servers are private ones that the benchmark starts
itself, as safe as in production. A peer or engine that is not there is named as not measured.

It ends 0 if no target was missed, 1 if one was, or if `dal` answered wrongly, and 2 if it was called wrongly.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

if missing := [name for name in ("dal", "rich") if find_spec(name) is None]:
    sys.exit(
        f"benchmark: {missing[0]} is not installed: pip install 'dal[benchmark]', or run scripts/benchmark"
    )

from benchmarks import cache_run, caches, drawing, processes, report
from benchmarks.bars import Result
from benchmarks.cases import (
    CASES,
    PROFILES,
    Profile,
    Stage,
    WrongAnswer,
    run_bulk,
    run_case,
    run_growth,
    run_stream,
)
from benchmarks.own_queries import read_params, read_queries, time_queries
from benchmarks.peers import PEERS, peer
from benchmarks.places import (
    ENGINES,
    Base,
    NotHere,
    Place,
    fsync_us,
    place,
    redis_url,
    scratch_folder,
)
from dal.errors import DalError
from screen import Screen

_LONG = {"bulk_insert": run_bulk, "stream": run_stream}
_DATABASE_CASES = (*(case.name for case in CASES), *_LONG, "growth")
_ALL_CASES = (*_DATABASE_CASES, *caches.CASES, *processes.CASES)
_ALL_ENGINES = (*ENGINES, "memory", "redis", "python")


class Benchmark:
    """One run: what was asked for, and what was found so far."""

    def __init__(self, options: argparse.Namespace, screen: Screen) -> None:
        self.profile: Profile = PROFILES[options.profile]
        self.engines: list[str] = options.engine
        self.cases: list[str] = options.case
        self.peers = frozenset(options.peers)
        self.loops: list[str] = options.loop or (
            ["asyncio", "uvloop"] if options.profile == "full" else ["asyncio"]
        )
        self.screen = screen
        self.results: list[Result] = []
        self.absent: dict[str, str] = {}
        self.facts = _facts(options.profile)

    def run(self) -> None:
        """Measure everything that was asked for."""
        engines = [engine for engine in self.engines if engine != "python"]
        for loop in self.loops:
            factory = _loop_factory(loop)
            if factory is None:
                self.absent[loop] = "uvloop is not installed"
                continue
            for engine in engines:
                try:
                    with asyncio.Runner(loop_factory=factory) as runner:
                        runner.run(self._on_engine(engine, loop))
                except NotHere as error:
                    self.absent[engine] = str(error)
        names = [name for name in processes.CASES if name in self.cases]
        if "python" in self.engines and names:
            with self.screen.progress("processes", len(names)) as advance:
                self.results += processes.run_processes(names, self.profile.processes, self.peers, advance)

    async def _on_engine(self, engine: str, loop: str) -> None:
        if engine in ENGINES:
            if set(self.cases) & set(_DATABASE_CASES):
                with place(engine) as where:
                    self.facts[engine] = where.version
                    bases = [
                        base
                        for index, rows in enumerate(self.profile.sizes)
                        if (base := await self._on_size(where, index, rows, loop)) is not None
                    ]
                    if "growth" in self.cases and len(bases) > 1:
                        self.results.append(await run_growth(bases, self.profile, loop))
            return
        names = [name for name in caches.CASES if name in self.cases]
        with self.screen.progress(f"cache in {engine}, {loop}", len(names)) as advance:
            if engine == "memory":
                found = await caches.run_caches(engine, "memory://", names, self.profile, loop, advance)
            else:
                with redis_url() as url:
                    found = await caches.run_caches(engine, url, names, self.profile, loop, advance)
        self.results += found

    async def _on_size(self, where: Place, index: int, rows: int, loop: str) -> Base | None:
        """Run the cases of a size, and return its database; None if none was needed."""
        cases = [
            case for case in CASES if case.name in self.cases and (case.sizes is None or index in case.sizes)
        ]
        long = [name for name in _LONG if name in self.cases and index == _size_of(name, self.profile)]
        if not (cases or long or "growth" in self.cases):
            return None
        with self.screen.progress(
            f"{where.engine}, {rows:,} rows, {loop}", len(cases) + len(long) + 1
        ) as advance:
            base = await asyncio.to_thread(where.new, rows)
            has_peers = bool(long) or any(index in case.peer_sizes for case in cases)
            stage = Stage(base, self.profile, loop, self.peers if has_peers else frozenset())
            async with AsyncExitStack() as stack:
                await stage.enter(stack)
                advance()
                for case in cases:
                    self.results.append(await run_case(stage, case, with_peers=index in case.peer_sizes))
                    advance()
                for name in long:
                    self.results.append(await _LONG[name](stage))
                    advance()
        return base


def _size_of(name: str, profile: Profile) -> int:
    """Return which of the sizes a long case runs on: a stream takes a table that is long enough."""
    return min(1, len(profile.sizes) - 1) if name == "stream" else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    options = parser().parse_args(arguments)
    if options.queries and not options.url:
        parser().error("--queries needs --url, the database that they are for")
    if options.subject == "cache":
        return _cache(options)
    screen = Screen()
    begun = time.perf_counter()
    try:
        if options.queries:
            results, absent, facts = _own_queries(options, screen)
        else:
            run = Benchmark(options, screen)
            run.run()
            results, absent, facts = run.results, run.absent, run.facts
    except (DalError, OSError, WrongAnswer) as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130
    facts["took"] = f"{time.perf_counter() - begun:.0f} s"
    report.show(screen, results, absent, facts)
    if options.out:
        _write(Path(options.out), screen, results, absent, facts)
    return _verdict(screen, results, bool(absent))


def _cache(options: argparse.Namespace) -> int:
    loop = (options.loop or ["asyncio"])[0]
    try:
        with asyncio.Runner(loop_factory=_loop_factory(loop)) as runner:
            records = runner.run(cache_run.run(cache_run.LENGTHS[options.profile]))
    except (DalError, OSError, NotHere, WrongAnswer) as error:
        _complain(str(error))
        return 1
    text = json.dumps([record.as_json() for record in records], indent=2)
    print(text)
    if options.out:
        Path(options.out).mkdir(parents=True, exist_ok=True)
        Path(options.out, "cache.json").write_text(f"{text}\n")
    if missed := [f"{record.case}: {record.bar}" for record in records if record.ok is False]:
        _complain(f"{len(missed)} targets are missed: {'; '.join(missed)}")
        return 1
    return 0


def _verdict(screen: Screen, results: Sequence[Result], has_gaps: bool) -> int:
    missed = [
        f"{result.case} on {result.engine}: {bar} (it is {measured})"
        for result in results
        for bar, measured, is_met in result.verdicts
        if is_met is False
    ]
    if missed:
        _complain(f"{len(missed)} targets are missed: {'; '.join(missed)}")
        return 1
    if not results:
        _complain("nothing was measured")
        return 1
    unknown = any(is_met is None for result in results for _, _, is_met in result.verdicts)
    if unknown or has_gaps:
        screen.say(
            "What was measured has met its targets. Not all of it could be measured.", style="bold yellow"
        )
    else:
        screen.say("All targets are met.", style="bold green")
    return 0


def _own_queries(
    options: argparse.Namespace, screen: Screen
) -> tuple[list[Result], dict[str, str], dict[str, Any]]:
    queries = read_queries(Path(options.queries))
    params = read_params(Path(options.params) if options.params else None)
    loop = (options.loop or ["asyncio"])[0]
    seconds = 0.3 if options.profile == "quick" else 2.0
    with (
        screen.progress("queries", len(queries)) as advance,
        asyncio.Runner(loop_factory=_loop_factory(loop)) as runner,
    ):
        found = runner.run(
            time_queries(queries, params, options.url, seconds=seconds, loop=loop, advance=advance)
        )
    return found.results, found.absent, _facts(options.profile)


def _write(
    folder: Path, screen: Screen, results: Sequence[Result], absent: dict[str, str], facts: dict[str, Any]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    report.write_json(folder, results, absent, facts)
    (folder / "results.md").write_text(report.markdown(results, absent, facts))
    plots: list[Path] = []
    try:
        plots = drawing.draw(folder, results)
    except ImportError:
        screen.say("No plots: matplotlib is not installed.", style="yellow")
    (folder / "report.html").write_text(drawing.page(results, absent, facts, plots))
    screen.say(
        f"Written to {folder}: results.json, environment.json, results.md, report.html, {len(plots)} plots."
    )


def _facts(profile: str) -> dict[str, Any]:
    with scratch_folder() as folder:
        disk = fsync_us(folder)
    versions = {}
    for name in ("dal", "aiosqlite", "asyncpg", "asyncmy", *PEERS):
        try:
            kind = peer(name) if name in PEERS else None
            distribution = kind.distribution if kind else name
            versions[distribution] = report.version(distribution)
        except ImportError:
            continue
    return {
        "profile": profile,
        "Python": platform.python_version(),
        "processors": os.cpu_count(),
        "load at the beginning": f"{os.getloadavg()[0]:.2f}",
        "fdatasync of 4 KiB": f"{disk:.0f} us",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if name == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _complain(message: str) -> None:
    sys.stdout.flush()
    print(f"benchmark: {message}", file=sys.stderr)


def _several(known: Sequence[str]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        names = list(known) if text == "all" else [] if text == "none" else text.split(",")
        if wrong := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(known)}")
        return names

    return read


def parser() -> argparse.ArgumentParser:
    """Return the reader of the command line."""
    reader = argparse.ArgumentParser(
        prog="benchmark",
        description="Measures dal beside the bare drivers and other libraries, on the same work, in one run.",
        epilog="Several names are given with commas between them; 'all' is all of them, 'none' is none.",
    )
    reader.add_argument("subject", nargs="?", choices=("cache",), help="measure the cache alone, deeper")
    reader.add_argument(
        "--profile", choices=PROFILES, default="quick", help="quick: some minutes; full: about an hour"
    )
    reader.add_argument(
        "--engine", type=_several(_ALL_ENGINES), default=list(_ALL_ENGINES), metavar="NAMES",
        help=f"of {', '.join(_ALL_ENGINES)} (default: all)",
    )  # fmt: skip
    reader.add_argument(
        "--case", type=_several(_ALL_CASES), default=list(_ALL_CASES), metavar="NAMES",
        help=f"of {', '.join(_ALL_CASES)} (default: all)",
    )  # fmt: skip
    reader.add_argument(
        "--peers", type=_several(PEERS), default=list(PEERS), metavar="NAMES",
        help=f"of {', '.join(PEERS)} (default: all)",
    )  # fmt: skip
    reader.add_argument(
        "--loop", type=_several(("asyncio", "uvloop")), metavar="NAMES",
        help="of asyncio, uvloop (default: asyncio; both in the profile full)",
    )  # fmt: skip
    reader.add_argument("--out", metavar="DIR", help="write JSON, Markdown, plots and an HTML page there")
    own = reader.add_argument_group("the queries of another project")
    own.add_argument("--queries", metavar="PATH", help="a query file, or a folder of them")
    own.add_argument("--url", help="its database: sqlite:///..., postgresql://..., mysql://...")
    own.add_argument("--params", metavar="FILE", help="JSON or YAML: parameters, or a list of them, by query")
    return reader


if __name__ == "__main__":
    sys.exit(main())
