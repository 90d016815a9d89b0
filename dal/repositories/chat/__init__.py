"""The repositories of the `chat` system: one for each of its tables.

Times called ``created_at`` and ``updated_at`` are the database's. A ``timestamp`` is the application's
clock, which defaults to the current time. Pages go by key: pass the last key of a page for the next one.
"""

from dal.repositories.chat.messages import MessageRepository as MessageRepository
from dal.repositories.chat.queries import QUERIES as QUERIES
from dal.repositories.chat.sessions import SessionRepository as SessionRepository
from dal.repositories.chat.token_usage import TokenUsageRepository as TokenUsageRepository
from dal.repositories.chat.versions import VersionRepository as VersionRepository
