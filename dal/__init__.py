"""`dal`: SQL in files, checked before it runs, fast when it runs.

async with DatabaseManager("sqlite:///app.db", queries=load_queries("sql/app")) as db:
    user = await db.fetch_one(db.queries.user_by_email, {"email": "a@example.org"})
"""

from dal.cache import CacheManager as CacheManager
from dal.database import DatabaseManager as DatabaseManager
from dal.executor import Executor as Executor
from dal.queries import Queries as Queries
from dal.queries import Query as Query
from dal.queries import load_queries as load_queries
from dal.rows import Row as Row
from dal.settings import Settings as Settings
from dal.settings import load_settings as load_settings
from dal.transaction import Transaction as Transaction
from dal.values import Json as Json
from dal.values import JsonColumn as JsonColumn
from dal.values import Scale as Scale
from dal.values import UtcDatetime as UtcDatetime
