"""The named queries of the `currency` system."""

from __future__ import annotations

from dal.models.currency import MODELS
from dal.queries import load_queries
from dal.queries.files import shipped

QUERIES = load_queries(shipped("sql") / "currency", models=MODELS)
"""The named queries of the system."""
