"""The named queries of the `documents` system, and the bounds of their pages."""

from __future__ import annotations

from dal.errors import ParameterError
from dal.models.documents import MODELS
from dal.queries import load_queries
from dal.queries.files import shipped

QUERIES = load_queries(shipped("sql") / "documents", models=MODELS)
"""The named queries of the system."""

MAX_PAGE_SIZE = 1000


def checked_page_size(page_size: int) -> int:
    """Return *page_size* if it is one.

    Raises:
        ParameterError: It is below 1 or above `MAX_PAGE_SIZE`.
    """
    if not 1 <= page_size <= MAX_PAGE_SIZE:
        raise ParameterError(f"a page has 1 to {MAX_PAGE_SIZE} rows; asked for were {page_size}")
    return page_size
