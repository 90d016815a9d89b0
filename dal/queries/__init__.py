"""Queries in `.sql` files: read, checked and compiled once, bound at every call."""

from dal.queries.loader import Queries, load_queries
from dal.queries.query import Query
from dal.queries.statement import Parameter, Params, Statement

__all__ = ["Parameter", "Params", "Queries", "Query", "Statement", "load_queries"]
