"""The repositories of the `market` system, one for each of its tables.

Days and moments that a method takes are the application's; ``created_at`` and ``updated_at`` are the
database's. Decimals are exact: one with more digits than its column keeps is refused, not rounded.
"""

from dal.repositories.market.bars import DailyDataRepository as DailyDataRepository
from dal.repositories.market.bars import IntradayDataRepository as IntradayDataRepository
from dal.repositories.market.events import SystemEventRepository as SystemEventRepository
from dal.repositories.market.metadata import MetadataRepository as MetadataRepository
from dal.repositories.market.portfolio import PortfolioPerformanceRepository as PortfolioPerformanceRepository
from dal.repositories.market.portfolio import PortfolioPositionRepository as PortfolioPositionRepository
from dal.repositories.market.queries import QUERIES as QUERIES
from dal.repositories.market.signals import SignalHistoryRepository as SignalHistoryRepository
