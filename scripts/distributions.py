"""Installed Python distributions as documents: their long descriptions, which other people wrote.

A distribution's canonical name is the document's id. Its text is left as it is, apart from line ends
and NUL, which no text column takes. `technology_of`, `home_page_of` and `quality_score` say by which rules
the rest is derived; `markup` says what counts as a passage, a heading, a code block and a word.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, PackageMetadata, distributions
from urllib.parse import urlsplit

from dal.models.documents import DocumentChunk, DocumentMetadata, ProcessedDocument
from markup import count_words, markup_of, outline, split

MAX_TITLE = 500
MAX_URL = 2048


class NoDescription(Exception):
    """A distribution has no text to ingest; the message says why."""


def installed(path: Sequence[str] | None = None) -> dict[str, Distribution]:
    """Return the distributions on *path* by their canonical names, in the order of these.

    Of two with one name the first on the path counts, as it does for imports. One that does not even tell
    its name is listed under a number.

    Args:
        path: The folders to look in; None for ``sys.path``.
    """
    found: dict[str, Distribution] = {}
    for number, distribution in enumerate(distributions(path=list(sys.path if path is None else path))):
        try:
            name = _first(distribution.metadata, "Name")
        except (OSError, UnicodeDecodeError):
            name = ""
        found.setdefault(canonical(name) if name else f"(nameless {number})", distribution)
    return dict(sorted(found.items()))


def canonical(name: str) -> str:
    """Return *name* as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_document(document_id: str, distribution: Distribution) -> ProcessedDocument:
    """Return the document that *distribution*'s description makes. It reads a file.

    Raises:
        NoDescription: There is no description, or it cannot be read.
    """
    try:
        metadata = distribution.metadata
    except (OSError, UnicodeDecodeError) as error:
        raise NoDescription(f"its metadata cannot be read: {type(error).__name__}") from None
    text = _first(metadata, "Description").replace("\r\n", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
    if not any(character.isalnum() for character in text):
        raise NoDescription("no description")
    declared = _first(metadata, "Description-Content-Type")
    structure = outline(text, markup_of(declared))
    technology = technology_of(metadata.get_all("Classifier") or ())
    home_page = home_page_of(metadata)
    summary = _first(metadata, "Summary")
    words = count_words(text)
    facts = (summary, home_page, declared, technology != LANGUAGE)
    return ProcessedDocument(
        id=document_id,
        title=_title(metadata, summary),
        full_content=text,
        source_url=home_page or f"https://pypi.org/project/{document_id}/",
        technology=technology,
        metadata=DocumentMetadata(
            word_count=words,
            heading_count=len(structure.headings),
            code_block_count=structure.code_blocks,
            content_hash=hashlib.sha256(text.encode()).hexdigest(),
        ),
        quality_score=quality_score(
            words=words,
            headings=len(structure.headings),
            code_blocks=structure.code_blocks,
            facts=sum(map(bool, facts)) / len(facts),
        ),
        chunks=_chunks(document_id, split(text, structure.headings)),
    )


def quality_score(*, words: int, headings: int, code_blocks: int, facts: float) -> float:
    """Return how much a description gives a reader, from 0 to 1.

        0.40 * words / 1000        how much it says
        0.25 * headings / 12       how well it is divided
        0.20 * code blocks / 8     how much it shows
        0.15 * facts               how much the metadata around it tells

    Each fraction counts as 1 at the most. *facts* is the share that is there of: a summary, a home page,
    a declared content type, and classifiers that tell more than "Python".
    """
    return round(
        0.40 * min(words / 1000, 1)
        + 0.25 * min(headings / 12, 1)
        + 0.20 * min(code_blocks / 8, 1)
        + 0.15 * min(facts, 1),
        4,
    )


LANGUAGE = "Python"
"""The technology of a distribution whose classifiers tell nothing else."""

# Topics that say nothing about what a package is for.
_GENERAL = {"Software Development", "Libraries", "Utilities", "Other/Nonlisted Topic"}


def technology_of(classifiers: Iterable[str]) -> str:
    """Return the technology of a distribution, from its trove classifiers; the first of these that it has.

    1. The framework: ``Framework :: Pytest`` is Pytest.
    2. The topic, or under Software Development the topic below it: ``Topic :: Database :: Front-Ends`` is
       Database, ``Topic :: Software Development :: Testing`` is Testing.
    3. A programming language beside Python: ``Programming Language :: Rust`` is Rust.
    4. The general topic, such as Software Development or Utilities.
    5. `LANGUAGE`.
    """
    paths = [[part.strip() for part in classifier.split("::")] for classifier in classifiers]
    below = {
        root: [path[1:] for path in paths if len(path) > 1 and path[0] == root]
        for root in ("Framework", "Topic", "Programming Language")
    }
    topics = [
        path[1] if path[0] == "Software Development" and path[1:] else path[0] for path in below["Topic"]
    ]
    languages = [path[0] for path in below["Programming Language"]]
    candidates = (
        *(path[0] for path in below["Framework"]),
        *(topic for topic in topics if topic not in _GENERAL),
        *(language for language in languages if language != LANGUAGE),
        *(path[0] for path in below["Topic"]),
    )
    return next(filter(None, candidates), LANGUAGE)


# Labels of Project-URL, best first, as `home_page_of` reads them.
_LABELS = (
    "homepage",
    "home",
    "website",
    "repository",
    "source",
    "sourcecode",
    "github",
    "code",
    "documentation",
)


def home_page_of(metadata: PackageMetadata) -> str | None:
    """Return the address where the project lives: Home-page, or the best of its Project-URLs."""
    labelled = []
    for entry in metadata.get_all("Project-URL") or ():
        label, _, url = entry.partition(",")
        label = re.sub(r"[\W_]", "", label).lower()
        labelled.append((_LABELS.index(label) if label in _LABELS else len(_LABELS), url.strip()))
    labelled.sort(key=lambda pair: pair[0])
    candidates = (_first(metadata, "Home-page"), *(url for _, url in labelled))
    return next(filter(_is_web_address, candidates), None)


def _chunks(document_id: str, passages: Sequence[str]) -> list[DocumentChunk]:
    return [
        DocumentChunk(
            id=f"{document_id}:{index}",
            parent_document_id=document_id,
            content=passage,
            chunk_index=index,
            total_chunks=len(passages),
        )
        for index, passage in enumerate(passages)
    ]


def _title(metadata: PackageMetadata, summary: str) -> str:
    name = f"{_first(metadata, 'Name')} {_first(metadata, 'Version')}".strip()
    title = " ".join((f"{name}: {summary}" if summary else name).split())
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…"


def _first(metadata: PackageMetadata, field: str) -> str:
    """Return a field's first value, empty if it has none; old tools wrote UNKNOWN for none."""
    value = str((metadata.get_all(field) or [""])[0])
    return "" if value.strip() == "UNKNOWN" else value


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and len(url) <= MAX_URL
    except ValueError:  # a broken IPv6 address
        return False
