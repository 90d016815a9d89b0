"""PostgreSQL, through asyncpg: an own pool of its connections, one round trip a statement."""
