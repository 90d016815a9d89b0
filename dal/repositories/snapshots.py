"""Several statements on one state of the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dal.executor import Executor
from dal.transaction import Transaction


@asynccontextmanager
async def snapshot(executor: Executor) -> AsyncIterator[Executor]:
    """Give an executor whose statements all see one state of the database, for reading.

    A caller's transaction is that already; otherwise it is a read-only one, beside any writer.
    """
    if isinstance(executor, Transaction):
        yield executor
        return
    async with executor.transaction(readonly=True) as tx:
        yield tx
