"""Canonical Pydantic models, one module for each system."""
