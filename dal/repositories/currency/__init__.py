"""The repositories of the `currency` system, one for each of its tables.

Times called ``created_at`` and ``updated_at`` are the database's, all others the application's. A span of
time begins with ``since`` and ends before ``until``. Pages go by key: pass the last row of a page as
``after`` of the next one or, where a session or a request is read, its id as ``after_id``.
"""

from dal.repositories.currency.agent_metrics import AgentMetricsRepository as AgentMetricsRepository
from dal.repositories.currency.conversations import ConversationRepository as ConversationRepository
from dal.repositories.currency.prediction_history import (
    PredictionHistoryRepository as PredictionHistoryRepository,
)
from dal.repositories.currency.queries import QUERIES as QUERIES
from dal.repositories.currency.system_logs import SystemLogRepository as SystemLogRepository
