"""The named queries of the `documents` system."""

from __future__ import annotations

from dal.models.documents import MODELS
from dal.queries import load_queries
from dal.queries.files import shipped

QUERIES = load_queries(shipped("sql") / "documents", models=MODELS)
"""The named queries of the system."""
