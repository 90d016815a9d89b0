"""The bounds of a page: how many rows a repository hands back at once."""

from __future__ import annotations

from dal.errors import ParameterError

MAX_PAGE_SIZE = 1000


def checked_page_size(page_size: int) -> int:
    """Return *page_size* if it is one.

    Raises:
        ParameterError: It is below 1 or above `MAX_PAGE_SIZE`.
    """
    if not 1 <= page_size <= MAX_PAGE_SIZE:
        raise ParameterError(f"a page has 1 to {MAX_PAGE_SIZE} rows; asked for were {page_size}")
    return page_size
