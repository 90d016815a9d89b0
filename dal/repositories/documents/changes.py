"""What a change of a document makes stale: the cached copies of it, and every answer to a search.

Any answer may show the document, so all rows of search_cache go with the change, whoever reads them: another
program may search without a cache. The new generation keeps out the answers that are still on their way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from dal.cache import FAMILIES
from dal.executor import Executor
from dal.repositories.copies import CachedCopies
from dal.repositories.documents.queries import QUERIES
from dal.transaction import Transaction

T = TypeVar("T")

DOCUMENT_COPIES = FAMILIES["content_processed"]


async def changing_documents(executor: Executor, work: Callable[[Transaction], Awaitable[T]]) -> T:
    """Return what *work* brings, run inside a transaction that may change documents.

    Such transactions run one after the other. Side by side they would get in each other's way at the
    generation, which each of them counts up, and all but one would have to begin anew.
    """

    async def in_turn(tx: Transaction) -> T:
        await tx.execute(QUERIES.claim_documents)
        return await work(tx)

    return await executor.run_transaction(in_turn)


async def document_changed(tx: Transaction, copies: CachedCopies, *content_hashes: str) -> None:
    """Forget what *tx* made stale by changing a document.

    Args:
        content_hashes: What the document was known by before the change, and is after it.
    """
    await tx.execute(QUERIES.begin_search_generation)
    await tx.execute(QUERIES.delete_searches)
    keys = {DOCUMENT_COPIES.key(content_hash=content_hash) for content_hash in content_hashes}
    copies.forget_after(tx, keys)
