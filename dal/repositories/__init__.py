"""Typed methods over the named queries of a system: no SQL, no engine's name.

A repository takes any `Executor`: a `DatabaseManager`, so that each method is a transaction of its own,
or a `Transaction`, so that its methods are part of the caller's.
"""
