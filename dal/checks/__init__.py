"""Checks of query files against a real database, for tests and deploys."""
