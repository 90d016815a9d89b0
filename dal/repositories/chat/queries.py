"""The named queries of the `chat` system."""

from __future__ import annotations

from dal.models.chat import MODELS
from dal.queries import load_queries
from dal.queries.files import shipped

QUERIES = load_queries(shipped("sql") / "chat", models=MODELS)
"""The named queries of the system."""
