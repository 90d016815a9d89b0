"""The named queries of the `market` system."""

from __future__ import annotations

from dal.models.market import MODELS
from dal.queries import load_queries
from dal.queries.files import shipped

QUERIES = load_queries(shipped("sql") / "market", models=MODELS)
"""The named queries of the system."""
