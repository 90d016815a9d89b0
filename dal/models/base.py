"""The models of what every system stands on."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from dal.values import UtcDatetime

Environment = Literal["development", "test"]
"""What a database that may be dropped by a command is for."""


class AppliedMigration(BaseModel):
    """A migration that a database has seen.

    Attributes:
        migration_script: Path of its file inside ``migrations/``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version_id: str
    applied_at: UtcDatetime
    description: str | None
    migration_script: str | None


MODELS = (AppliedMigration,)
