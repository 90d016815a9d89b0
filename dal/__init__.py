"""`dal`: SQL in files, checked before it runs, fast when it runs."""

from dal.database import DatabaseManager as DatabaseManager
