"""What the demo does with documents, as an application would: one method for each part.

Prices and exchange rates have parts of their own, `market_tour` and `currency_tour`.

Each part prints what it did, and notes on the screen whether that is what had to come out.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import timings
from currency_tour import CurrencyTour
from dal.cache import CacheManager
from dal.database import DatabaseManager
from dal.executor import Executor
from dal.models.documents import (
    ContentMetadata,
    DocumentSummary,
    NewSignal,
    ProcessedDocument,
    SourceMetadata,
)
from dal.repositories.documents import (
    ContentMetadataRepository,
    FeedbackEventRepository,
    ProcessedDocumentRepository,
    SearchAnswer,
    SearchCacheRepository,
    SourceMetadataRepository,
    SystemConfigRepository,
    TechnologyMappingRepository,
    UsageSignalRepository,
    search_hash,
)
from distributions import installed
from ingest import Ingest, Ingested
from market_tour import MarketTour
from screen import Screen

T = TypeVar("T")

ENOUGH = 20
"""Distributions that have to be stored at least."""

SEARCHES = ("async database", "type hints", "command line", "unit tests", "json")
PAGE_SIZE = "demo.page_size"
"""The key of the one setting that the demo stores."""

ROWS = """
SELECT 'content_metadata' AS table_name, count(*) AS row_count FROM content_metadata
UNION ALL SELECT 'documents', count(*) FROM documents
UNION ALL SELECT 'document_chunks', count(*) FROM document_chunks
UNION ALL SELECT 'source_metadata', count(*) FROM source_metadata
UNION ALL SELECT 'technology_mappings', count(*) FROM technology_mappings
UNION ALL SELECT 'search_cache', count(*) FROM search_cache
UNION ALL SELECT 'search_generation', count(*) FROM search_generation
UNION ALL SELECT 'feedback_events', count(*) FROM feedback_events
UNION ALL SELECT 'usage_signals', count(*) FROM usage_signals
UNION ALL SELECT 'system_config', count(*) FROM system_config
UNION ALL SELECT 'schema_versions', count(*) FROM schema_versions
UNION ALL SELECT 'metadata', count(*) FROM metadata
UNION ALL SELECT 'daily_data', count(*) FROM daily_data
UNION ALL SELECT 'signal_history', count(*) FROM signal_history
UNION ALL SELECT 'portfolio_positions', count(*) FROM portfolio_positions
UNION ALL SELECT 'portfolio_performance', count(*) FROM portfolio_performance
UNION ALL SELECT 'prediction_history', count(*) FROM prediction_history
"""


class Undo(Exception):
    """Leaves a transaction block so that what was done in it is undone."""


class Tour:
    """The parts, in the order in which `run` calls them.

    Args:
        caching: A manager of the same database that caches queries.
        downloads: The folder where prices and rates are kept once they were fetched.
    """

    def __init__(
        self,
        db: DatabaseManager,
        caching: DatabaseManager,
        cache: CacheManager,
        screen: Screen,
        downloads: Path,
    ) -> None:
        self.db = db
        self.cache = cache
        self.screen = screen
        self.market = MarketTour(db, screen, downloads)
        self.currency = CurrencyTour(db, screen, downloads)
        self.config = SystemConfigRepository(db, cache)
        self.documents = ProcessedDocumentRepository(db, cache)
        self.caching = ProcessedDocumentRepository(caching, cache)
        self.content = ContentMetadataRepository(db, cache)
        self.searches = SearchCacheRepository(db)
        self.sources = SourceMetadataRepository(db)
        self.mappings = TechnologyMappingRepository(db)
        self.feedback = FeedbackEventRepository(db)
        self.signals = UsageSignalRepository(db)
        self.page_size = 10

    async def run(self) -> None:
        """Run all parts."""
        before = await rows_per_table(self.db)
        await self.configure()
        ingested = await self.ingest()
        documents = list(ingested.documents.values())
        if documents:
            await self.look_up(documents)
            await self.search()
            await self.roll_back(documents)
            await self.clean_up()
            await self.list_all(documents)
        calls = {**await self.market.run(), **await self.currency.run()}
        if documents:
            await self.measure(documents, calls)
        self.screen.heading("Rows per table")
        after = await rows_per_table(self.db)
        self.screen.table(
            ["table", ">before", ">now"], [(name, before[name], rows) for name, rows in after.items()]
        )

    async def configure(self) -> None:
        """Store a setting and read it back."""
        await self.config.put(PAGE_SIZE, self.page_size, updated_by="demo")
        stored = await self.config.settings()
        self.screen.check("a setting comes back as it was stored", stored[PAGE_SIZE] == self.page_size)

    async def ingest(self) -> Ingested:
        """Store the descriptions of the installed distributions."""
        screen = self.screen
        screen.heading("Ingest: the descriptions of the installed Python distributions")
        distributions = await asyncio.to_thread(installed)
        with screen.progress("storing", len(distributions)) as done:
            ingested = await Ingest(self.db, self.cache).run(distributions, done=done)
        screen.table(["what", ">how many"], ingest_rows(len(distributions), ingested))
        created, updated, unchanged = (ingested.outcomes[o] for o in ("created", "updated", "unchanged"))
        screen.say(f"{created} new documents, {updated} updated, {unchanged} already there.", style="bold")
        for title, names in (
            ("Skipped", ingested.skipped),
            ("Stored already as the text of another", ingested.copies),
            ("Failed", ingested.failed),
        ):
            if names:
                screen.say(f"{title}: " + ", ".join(f"{name} ({why})" for name, why in names.items()))
        stored = len(ingested.documents) + len(ingested.copies)
        screen.check("no document failed", not ingested.failed)
        screen.check(f"at least {ENOUGH} distributions are stored; they are {stored}", stored >= ENOUGH)
        return ingested

    async def look_up(self, documents: Sequence[ProcessedDocument]) -> None:
        """Find every document by its hash, twice, and by its technology."""
        hashes = [document.metadata.content_hash for document in documents]
        first, first_ms = await clocked(each(self.documents.by_hash, hashes))
        again, again_ms = await clocked(each(self.documents.by_hash, hashes))
        technologies = sorted({document.technology for document in documents})
        lists, lists_ms = await clocked(each(self.of_technology, technologies))
        listed = {summary.document_id for summaries in lists for summary in summaries}
        self.screen.heading("Lookups")
        self.screen.table(
            ["lookup", ">calls", ">documents", ">ms per call"],
            [
                ("by hash", len(hashes), found(first), f"{first_ms / len(hashes):.3f}"),
                ("by hash, again", len(hashes), found(again), f"{again_ms / len(hashes):.3f}"),
                ("by technology", len(lists), len(listed), f"{lists_ms / len(lists):.3f}"),
            ],
        )
        texts = [document.full_content for document in documents]
        same = all(
            [document and document.full_content for document in answer] == texts for answer in (first, again)
        )
        self.screen.check("every document is found by its hash, with the same text", same)
        ids = {document.id for document in documents}
        self.screen.check("every document is found by its technology", ids <= listed)

    async def of_technology(self, technology: str) -> list[DocumentSummary]:
        """Return all documents of a technology, page by page."""
        return await pages(
            lambda after: self.documents.by_technology(technology, after_id=after),
            lambda row: row.document_id,
        )

    async def search(self) -> None:
        """Make each search without a cache, where the table keeps the answer, and with one."""
        self.screen.heading("Searches: full text, through the search_cache table and as a cached query")
        # What an earlier run left would answer the first one.
        await self.searches.delete_expired(now=datetime.now(UTC) + timedelta(days=1))
        answers: dict[str, SearchAnswer] = {}
        rows: list[tuple[object, ...]] = []
        as_expected = True
        for words in SEARCHES:
            miss, miss_ms = await clocked(self.documents.search(words, page_size=self.page_size))
            kept, kept_ms = await clocked(self.documents.search(words, page_size=self.page_size))
            await self.caching.search(words, page_size=self.page_size)
            hits = self.cache.stats()["search_results"].hits
            hit, hit_ms = await clocked(self.caching.search(words, page_size=self.page_size))
            as_expected &= (miss.origin, kept.origin, hit.origin) == ("index", "table", "query")
            as_expected &= self.cache.stats()["search_results"].hits == hits + 1
            as_expected &= miss.results == hit.results == kept.results
            answers[words] = miss
            times = (f"{ms:.2f}" for ms in (miss_ms, hit_ms, kept_ms))
            rows.append((words, *times, len(miss.results), miss.results[0].title if miss.results else "-"))
        self.screen.table(["words", ">index ms", ">cache ms", ">table ms", ">found", "~best match"], rows)
        self.screen.check("a search is a miss, then a hit in the table, and one in the cache", as_expected)
        await self.record_use(answers)

    async def record_use(self, answers: Mapping[str, SearchAnswer]) -> None:
        """Log the searches, and what is thought of their answers; once a file, since these logs only grow."""
        if await self.signals.after(page_size=1):
            return
        signals = []
        for words, answer in answers.items():
            query_hash = search_hash(words, self.page_size)
            signals.append(NewSignal(signal_type="search", query_hash=query_hash, session_id="demo"))
            best = await self.documents.get(answer.results[0].document_id) if answer.results else None
            if best is None:
                continue
            text = f"{best.title}\n{best.full_content}".lower()
            await self.feedback.add(
                "helpful" if all(word in text for word in words.split()) else "not_helpful",
                content_id=best.id,
                query_hash=query_hash,
                session_id="demo",
                comment="looked for every word in the text",
            )
            signals.append(
                NewSignal(signal_type="view", content_id=best.id, query_hash=query_hash, session_id="demo")
            )
        await self.signals.add(signals)

    async def roll_back(self, documents: Sequence[ProcessedDocument]) -> None:
        """Delete a document and rate a search, then leave the transaction by an exception."""
        largest = max(documents, key=lambda document: len(document.chunks))
        before = inside = await rows_per_table(self.db)
        whole = await self.documents.get(largest.id)
        try:
            async with self.db.transaction() as tx:
                await ProcessedDocumentRepository(tx, self.cache).delete(largest.id)
                await FeedbackEventRepository(tx).add("rating", rating=1, session_id="demo")
                inside = await rows_per_table(tx)
                raise Undo
        except Undo:
            after = await rows_per_table(self.db)
        self.screen.heading("A transaction that is undone")
        self.screen.say(f"It deletes {largest.id} with {len(largest.chunks)} chunks, and adds a rating.")
        self.screen.table(
            ["table", ">rows before", ">inside", ">after the rollback"],
            [
                (name, before[name], inside[name], after[name])
                for name in before
                if inside[name] != before[name]
            ],
        )
        self.screen.check(
            "a transaction sees its own changes", inside["documents"] == before["documents"] - 1
        )
        is_undone = before == after and await self.documents.get(largest.id) == whole
        self.screen.check("the rollback undid all of them", is_undone)

    async def clean_up(self) -> None:
        """Store answers that expired an hour ago, and have the cleanup remove them and no others."""
        expired, now = 25, datetime.now(UTC)
        good = (await rows_per_table(self.db))["search_cache"]
        generation = await self.searches.generation()
        for number in range(expired):
            await self.searches.put(
                f"old search {number}",
                self.page_size,
                [],
                generation=generation,
                expires_at=now - timedelta(hours=1),
            )
        full = (await rows_per_table(self.db))["search_cache"]
        removed = await self.searches.delete_expired(now=now, batch_size=10)
        left = (await rows_per_table(self.db))["search_cache"]
        self.screen.heading("Cleanup of expired searches")
        self.screen.table(
            ["search_cache", ">rows"],
            [
                ("answers that are good", good),
                ("with those that expired an hour ago", full),
                ("removed, in batches of 10", removed),
                ("left", left),
            ],
        )
        self.screen.check(
            "the cleanup removes every expired search and no other",
            (full, removed, left) == (good + expired, expired, good),
        )

    async def list_all(self, documents: Sequence[ProcessedDocument]) -> None:
        """Page through lists; show who speaks for which technology."""
        content = await pages(
            lambda after: self.content.by_status("processed", after_id=after, page_size=self.page_size),
            lambda row: row.content_id,
        )
        sources = await self.active_sources()
        ids = [row.content_id for row in content]
        lists = (("processed content", ids), ("active sources", [row.source_id for row in sources]))
        self.screen.heading(f"Lists, in pages of {self.page_size}")
        self.screen.table(
            ["list", ">rows", ">pages", "~first", "~last"],
            [(name, len(keys), -(-len(keys) // self.page_size), keys[0], keys[-1]) for name, keys in lists],
        )
        has_all = {document.id for document in documents} <= set(ids) and len(set(ids)) == len(ids)
        self.screen.check("the pages of a list hold every row once", has_all)
        self.screen.table(
            ["technology", ">documents", ">mean quality", "~sources, best first"],
            await self.technology_rows(content),
        )

    async def technology_rows(self, content: Iterable[ContentMetadata]) -> list[tuple[object, ...]]:
        """Return the rows of the table about technologies, the one with most documents first."""
        scores: dict[str, list[float]] = {}
        for row in content:
            scores.setdefault(row.technology, []).append(row.quality_score)
        return [
            (
                technology,
                len(scores[technology]),
                f"{statistics.fmean(scores[technology]):.2f}",
                ", ".join(mapping.source_id for mapping in await self.mappings.sources_of(technology)),
            )
            for technology in sorted(scores, key=lambda name: (-len(scores[name]), name))
        ]

    async def active_sources(self) -> list[SourceMetadata]:
        """Return all active sources, page by page."""
        return await pages(
            lambda after: self.sources.page(after_id=after, page_size=self.page_size),
            lambda row: row.source_id,
        )

    async def measure(
        self, documents: Sequence[ProcessedDocument], calls: Mapping[str, timings.Call]
    ) -> None:
        """Time queries that read, some writes, every cache operation, and *calls* of other queries."""
        screen = self.screen
        screen.heading(f"Times, of at least {timings.CALLS:,} calls each")
        samples = timings.Samples(documents, await self.active_sources(), SEARCHES, self.page_size, PAGE_SIZE)
        plan = timings.plan(self.db, self.cache, samples)
        plan += [timings.Planned(name, call, timings.QUERY_TARGET) for name, call in calls.items()]
        with screen.progress("measuring", len(plan)) as done:
            times = [await timings.timed(item, done=done) for item in plan]
        await timings.forget_cache_calls(self.cache)
        screen.table(
            ["call", ">calls", ">per second", ">P50 ms", ">P99 ms", ">target ms", "met"],
            [timing_row(timing) for timing in times],
        )
        met = sum(timing.is_met for timing in times)
        screen.say(
            f"{met} of {len(times)} have their P99 within the target. One that has not is no failure of the"
            " demo: times depend on the machine, and on what else it does."
        )


def ingest_rows(distributions: int, ingested: Ingested) -> Iterable[tuple[object, ...]]:
    """Yield the rows of the table about the ingest."""
    documents = ingested.documents.values()
    yield "distributions installed", distributions
    yield "documents: new", ingested.outcomes["created"]
    yield "documents: updated", ingested.outcomes["updated"]
    yield "documents: already there", ingested.outcomes["unchanged"]
    yield "text stored already as another's", len(ingested.copies)
    yield "skipped, without a description", len(ingested.skipped)
    yield "failed", len(ingested.failed)
    yield "chunks", sum(len(document.chunks) for document in documents)
    yield "words", sum(document.metadata.word_count for document in documents)
    yield "headings", sum(document.metadata.heading_count for document in documents)
    yield "code blocks", sum(document.metadata.code_block_count for document in documents)
    yield "technologies", len({document.technology for document in documents})
    if documents:
        scores = [document.quality_score for document in documents]
        spread = (min(scores), statistics.median(scores), max(scores))
        yield "quality: lowest / median / highest", " / ".join(f"{score:.2f}" for score in spread)
    yield "seconds", f"{ingested.seconds:.2f}"


def timing_row(timing: timings.Timing) -> tuple[object, ...]:
    """Return the row of the table about times."""
    p50, p99, target = (seconds * 1000 for seconds in (timing.p50, timing.p99, timing.target))
    per_second = round(timing.calls / timing.elapsed)
    return timing.name, timing.calls, per_second, f"{p50:.3f}", f"{p99:.3f}", f"< {target:.0f}", timing.is_met


def found(answers: Sequence[object]) -> int:
    """Return how many of *answers* are not None."""
    return sum(answer is not None for answer in answers)


async def rows_per_table(executor: Executor) -> dict[str, int]:
    """Return how many rows each table has that the demo uses."""
    return {row["table_name"]: row["row_count"] for row in await executor.fetch_all(ROWS)}


async def clocked(work: Awaitable[T]) -> tuple[T, float]:
    """Return what *work* brings, and the milliseconds that it took."""
    begun = time.perf_counter()
    return await work, (time.perf_counter() - begun) * 1000


async def each(find: Callable[[str], Awaitable[T]], keys: Iterable[str]) -> list[T]:
    """Return what *find* brings for each of *keys*, one after the other."""
    return [await find(key) for key in keys]


async def pages(page: Callable[[str], Awaitable[list[T]]], key: Callable[[T], str]) -> list[T]:
    """Return the rows of all pages; *page* brings the one after a key."""
    rows: list[T] = []
    while more := await page(key(rows[-1]) if rows else ""):
        rows += more
    return rows
