"""The companies behind the tickers: the table metadata."""

from __future__ import annotations

from dal.executor import Executor
from dal.models.market import Metadata, NewMetadata
from dal.repositories.market.queries import QUERIES
from dal.repositories.pages import checked_page_size


class MetadataRepository:
    """What is known of each company."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def put(self, company: NewMetadata) -> None:
        """Write what is known of a company, new or not."""
        await self._executor.execute(QUERIES.put_metadata, company.model_dump())

    async def get(self, ticker: str) -> Metadata | None:
        """Return what is known of one company."""
        return await self._executor.fetch_one(QUERIES.metadata_of_ticker, {"ticker": ticker})

    async def page(self, *, after_ticker: str = "", page_size: int = 100) -> list[Metadata]:
        """Return one page of the companies, by ticker."""
        return await self._executor.fetch_all(
            QUERIES.metadata_after,
            {"after_ticker": after_ticker, "page_size": checked_page_size(page_size)},
        )

    async def delete(self, ticker: str) -> bool:
        """Forget a company; its bars, signals and shares stay. False if there was none."""
        return await self._executor.execute(QUERIES.delete_metadata, {"ticker": ticker}) > 0
