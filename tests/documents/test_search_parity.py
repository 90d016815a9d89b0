"""The search on all engines: the same words find the same documents, in committed rows.

What is alike: words are runs of letters and digits, cut at all else, `_` included. Case is folded for Latin,
Greek and Cyrillic letters, one letter for one letter; accents count, and texts are taken as they are written
(composed and decomposed letters differ). Words of one piece are a phrase. Rank and snippets are the engines'
own. What may differ: letters that fold into several or in another way (a final sigma), and marks that are
no letters, such as the vowel signs of Indic scripts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from dal.repositories.documents import QUERIES
from tests.documents.samples import ROWS, digest
from tests.systems.engines import Plain
from tests.systems.fixtures import NewDatabase
from tests.systems.registry import ENGINES, SYSTEMS

LONG = hashlib.sha512(b"a long word").hexdigest()

TEXTS = {
    "one": ("Hello", "C++ and the foo-bar: don't panic"),
    "two": ("World", "hello there, naïve AND simple: title:hello 50% of NEAR"),
    "three": ("Third", "under_score ÜBER 日本語"),
    "four": (
        "about nothing",
        "see docs.example.com/path/file.html, and/or roundabout; what will be will be with them."
        " That\tword\nline",
    ),
    "five": ("ПРИВЕТ мир", f"ΑΒΓΔ Ångström Łódź ČESKÝ “quoted” ✅done │box│ {LONG} tail"),
    "six": (
        "Title end",
        "begin text 2026-01-02T03:04:05 v1.2.3 user@example.org snake_case_name camelCase m²"
        " naïve-hearted café",
    ),
}

FOUND: list[tuple[str | None, str]] = [
    ("hello", "one two"),
    ("HELLO", "one two"),
    ("hello there", "two"),
    ("there\thello", "two"),
    ("there\r\n hello ", "two"),
    ("hello panic", "one"),  # one word in the title, one in the text
    ("hello nowhere", ""),
    ("c++", "one"),
    ("hello c++", "one"),
    ("panic d++", ""),
    ("don't", "one"),
    ("foo-bar", "one"),
    ("bar-foo", ""),
    ("and/or", "four"),
    ("or/and", ""),
    ("AND", "one two four"),
    ("hello AND nowhere", ""),
    ("hello OR nowhere", ""),
    ("hello NOT there", ""),
    ("NEAR", "two"),
    ("NEAR(hello there)", ""),
    ("title:hello", "two"),
    ("hel*", ""),
    ("hel%", ""),
    ("^hello", "one two"),
    ("{title} : hello", "two"),
    ("{title} : panic", ""),
    ('"hello', "one two"),
    ('hello"there', "two"),
    ("hello * ( ) - +", "one two"),
    ("+hello", "one two"),
    ("-hello", "one two"),
    ("~hello", "one two"),
    ("<hello>", "one two"),
    ("@hello", "one two"),
    ("hello@8", ""),
    ("(hello)", "one two"),
    ("--hello", "one two"),
    ("#hello", "one two"),
    ("/*hello*/", "one two"),
    ("`hello`", "one two"),
    ("hello;there", "two"),
    ("hello\\", "one two"),
    ("hello' OR '1'='1", ""),
    ("hello %s", ""),
    ("50%", "two"),
    ("über", "three"),
    ("ÜBER", "three"),
    ("uber", ""),
    ("日本語", "three"),
    ("日本", ""),
    ("score", "three"),
    ("under_score", "three"),
    ("under score", "three"),
    ("snake_case_name", "six"),
    ("case_name", "six"),
    ("snake_name", ""),
    ("camelcase", "six"),
    ("camel", ""),
    ("about", "four"),  # this and the next are stopwords elsewhere
    ("what will", "four"),
    ("that", "four"),
    ("with them.", "four"),
    ("hello with", ""),
    ("roundabout", "four"),
    ("round", ""),
    ("example", "four six"),
    ("docs.example.com", "four"),
    ("example.org", "six"),
    ("user@example", "six"),
    ("path/file", "four"),
    ("word line", "four"),
    ("wordline", ""),
    ("привет", "five"),
    ("МИР", "five"),
    ("αβγδ", "five"),
    ("ÅNGSTRÖM", "five"),
    ("łódź", "five"),
    ("lodz", ""),
    ("český", "five"),
    ("quoted", "five"),
    ("“quoted”", "five"),
    ("done", "five"),
    ("box", "five"),
    (LONG, "five"),
    (LONG[:-1], ""),
    (LONG[:64], ""),
    (f"{LONG} tail", "five"),
    ("end-begin", ""),  # the title's last word, the text's first
    ("title-end", "six"),
    ("2026-01", "six"),
    ("2026-01-02", ""),  # the text goes on: 02T03
    ("2026-02-01", ""),
    ("v1.2.3", "six"),
    ("naïve", "two six"),
    ("naïve-hearted", "six"),
    ("CAFÉ", "six"),
    ("cafe", ""),
    ("m²", "six"),
    ("'; DROP TABLE documents", ""),
    ("\\", ""),
    ("", ""),
    (" \t\n", ""),
    ('"', ""),
    ('""', ""),
    ("*", ""),
    ("-- + (", ""),
    ("%", ""),
    ("_", ""),
    ("?", ""),
    (":words", ""),
    ("\x01", ""),
    (" ".join(["hello"] * 500), "one two"),
    (None, ""),
]


@pytest.fixture(scope="module", params=ENGINES)
def corpus(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Plain]:
    """A database with the texts."""
    with new_database(request.param, SYSTEMS["documents"]) as database:
        for document_id, (title, text) in TEXTS.items():
            row = {**ROWS["content_metadata"], "content_id": document_id, "content_hash": digest(text)}
            row["source_id"] = None
            document = {"document_id": document_id, "title": title, "full_content": text}
            database.rows(*database.insertion("content_metadata", row))
            database.rows(*database.insertion("documents", document))
        yield database


def search(database: Plain, words: str | None, page_size: int = 100) -> list[str]:
    found = database.run(QUERIES.search_documents, words=words, page_size=page_size)
    return [row[0] for row in found]


@pytest.mark.parametrize(("words", "found"), FOUND, ids=lambda value: repr(value)[:40])
def test_same_documents(corpus: Plain, words: str | None, found: str) -> None:
    """Words are plain text, all of them must occur, and punctuation alone matches nothing."""
    assert sorted(search(corpus, words)) == sorted(found.split())


def test_title_comes_first(corpus: Plain) -> None:
    """A match in the title comes before one in the text."""
    assert search(corpus, "hello") == ["one", "two"]


def test_page_size(corpus: Plain) -> None:
    """No more documents come than were asked for, and the best of them."""
    assert search(corpus, "hello", 1) == ["one"]


def test_snippet_of_a_short_text(corpus: Plain) -> None:
    """A short text is its own snippet, unmarked."""
    (row,) = corpus.run(QUERIES.search_documents, words="panic", page_size=1)
    assert row[5] == "C++ and the foo-bar: don't panic"


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Plain]:
    """A database with one row in each table."""
    with new_database(request.param, SYSTEMS["documents"]) as plain:
        plain.fill()
        yield plain


def test_snippet_of_a_long_text(database: Plain) -> None:
    """Of a long text the snippet is a passage around a word that was found."""
    database.rows("UPDATE documents SET full_content = '" + "before " * 200 + "needle" + " after" * 200 + "'")
    (row,) = database.run(QUERIES.search_documents, words="needle", page_size=1)
    assert "needle" in row[5]
    assert len(row[5]) < 300


def test_changed_document(database: Plain) -> None:
    """A changed title is found, the old one no more."""
    database.rows("UPDATE documents SET title = 'Heading'")
    assert (search(database, "heading"), search(database, "title")) == (["doc"], [])


def test_deleted_document(database: Plain) -> None:
    """A document that goes with its metadata is found no more."""
    database.rows("DELETE FROM content_metadata")
    assert search(database, "some") == []


def test_largest_text(database: Plain) -> None:
    """A text of 4,000,000 characters that are 500,000 different words is stored, and found by its last."""
    text = " ".join(f"{number:07x}" for number in range(500_000))
    update = f"UPDATE documents SET full_content = {database.mark}"
    database.rows(update, [text])
    assert search(database, f"{499_998:07x}-{499_999:07x}") == ["doc"]
