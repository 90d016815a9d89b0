"""The mutations of table.toml: plausible mistakes in `dal`, each with the claim that must notice it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.engine_cases import CASES

ROOT = Path(__file__).resolve().parent.parent.parent
TABLE = Path(__file__).with_name("table.toml")
CLAIMS = ROOT / "tests" / "conformance"
ENGINES = tuple(case.name for case in CASES)


class NotApplicable(Exception):
    """The text that a mutation replaces does not stand in its file exactly once."""


@dataclass(frozen=True)
class Mutation:
    """One mistake.

    Attributes:
        name: The mistake, as whoever made it would own up to it.
        breaks: What a user of `dal` would meet.
        file: The module, from the root.
        text: What stands in it exactly once.
        instead: What is put in its place.
        claim: The test that must fail, ``test_verbs.py::test_...``, whatever its parameters.
        engines: On which engines it must fail.
    """

    name: str
    breaks: str
    file: str
    text: str
    instead: str
    claim: str
    engines: tuple[str, ...] = ENGINES

    def applied(self, source: str) -> str:
        """Return the module's *source* with the mistake in it.

        Raises:
            NotApplicable: The text is not there, or is there several times.
        """
        if (found := source.count(self.text)) != 1:
            raise NotApplicable(f"its text stands {found} times in {self.file}")
        return source.replace(self.text, self.instead)


def mutations(table: Path = TABLE) -> list[Mutation]:
    """Return those of *table*, in its order."""
    entries = tomllib.loads(table.read_text(encoding="utf-8"))["mutation"]
    return [Mutation(**entry | {"engines": tuple(entry.get("engines", ENGINES))}) for entry in entries]
