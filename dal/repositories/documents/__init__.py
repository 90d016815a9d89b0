"""The repositories of the `documents` system: one for each of its tables, one for whole documents.

Where a method takes ``now`` it is the application's clock, which defaults to the current time; times
called ``created_at`` and ``updated_at`` are the database's. Pages go by key: pass the last id of a page
as ``after_id`` of the next one.
"""

from dal.repositories.documents.content_metadata import (
    ContentMetadataRepository as ContentMetadataRepository,
)
from dal.repositories.documents.feedback import FeedbackEventRepository as FeedbackEventRepository
from dal.repositories.documents.processed_documents import (
    ProcessedDocumentRepository as ProcessedDocumentRepository,
)
from dal.repositories.documents.processed_documents import SavedDocument as SavedDocument
from dal.repositories.documents.queries import QUERIES as QUERIES
from dal.repositories.documents.searches import MAX_WORDS_LENGTH as MAX_WORDS_LENGTH
from dal.repositories.documents.searches import SearchAnswer as SearchAnswer
from dal.repositories.documents.searches import SearchCacheRepository as SearchCacheRepository
from dal.repositories.documents.searches import search_hash as search_hash
from dal.repositories.documents.sources import SourceMetadataRepository as SourceMetadataRepository
from dal.repositories.documents.sources import TechnologyMappingRepository as TechnologyMappingRepository
from dal.repositories.documents.system_config import SystemConfigRepository as SystemConfigRepository
from dal.repositories.documents.usage import UsageSignalRepository as UsageSignalRepository
from dal.repositories.pages import MAX_PAGE_SIZE as MAX_PAGE_SIZE
