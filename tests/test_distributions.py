"""Installed distributions as documents: what is read, how it is divided, what is derived by which rule."""

from __future__ import annotations

import hashlib
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributions import (
    NoDescription,
    installed,
    quality_score,
    read_document,
    technology_of,
)
from markup import Markup, count_words, markup_of, outline, split

MARKDOWN = """\
Some words before.

# One
## Two
Text of two.

```python
# no heading
```

Three
-----
- a list
---
~~~~
```
# neither
~~~~
| a | b |
"""

RST = """\
=====
 One
=====

Text with `x`::

    # code

Two
---
.. code-block:: python

   Not a title
   -----------

.. note::

   No code.

===  ===
a    b
===  ===

not a title, since it goes on a paragraph
in its second line
------------------
"""


def passages(text: str, markup: Markup) -> list[str]:
    return split(text, outline(text, markup).headings)


def distribution(
    folder: Path, metadata: str, name: str = "sample", *, encoding: str = "utf-8"
) -> Distribution:
    """Write what an installer leaves of a distribution, and return it."""
    place = folder / f"{name}-1.0.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(metadata, encoding=encoding)
    return Distribution.at(place)


FULL = """\
Metadata-Version: 2.4
Name: My_Sample.Package
Version: 1.0
Summary: Shows things
Project-URL: Changes, https://example.org/changes
Project-URL: Home Page, https://example.org/
Description-Content-Type: text/markdown; charset=UTF-8
Classifier: Framework :: AsyncIO

# Sample

Three more words.

## Use

```sh
pip install it
```
"""


def test_headings_of_markdown() -> None:
    """Lines with # and underlined ones are headings; fenced code, lists and rules are none."""
    assert outline(MARKDOWN, "markdown").headings == ((2, 1), (3, 1), (10, 2))


def test_code_blocks_of_markdown() -> None:
    """A fence is closed by one of its own kind that is as long."""
    assert outline(MARKDOWN, "markdown").code_blocks == 2


def test_fence_without_an_end() -> None:
    """A fence that is never closed goes on to the end of the text."""
    found = outline("```\n# code\n\n# code", "markdown")

    assert (found.headings, found.code_blocks) == ((), 1)


def test_titles_of_rst() -> None:
    """Titles with an underline are headings, over them a line or none; code, tables, paragraphs are not."""
    assert outline(RST, "rst").headings == ((0, 3), (8, 2))


def test_code_blocks_of_rst() -> None:
    """Literal blocks and code directives count; other directives do not."""
    assert outline(RST, "rst").code_blocks == 2


def test_plain_text_is_one_passage() -> None:
    """Nothing in plain text is markup."""
    assert passages(MARKDOWN, "plain") == [MARKDOWN]


def test_passages_begin_at_headings() -> None:
    """A heading under another one stays with it; what comes before the first one is a passage."""
    begins = [passage.splitlines()[0] for passage in passages(MARKDOWN, "markdown")]

    assert begins == ["Some words before.", "# One", "Three"]


@given(
    text=st.lists(
        st.sampled_from(["# a", "b", "---", "===", "", "```", "~~~", "c::", "    d", "e\x0b\u2028f", ".. g"])
    ).map("\n".join),
    markup=st.sampled_from(["markdown", "rst", "plain"]),
)
def test_passages_joined_are_the_text(text: str, markup: Markup) -> None:
    """Cutting loses and changes nothing."""
    assert "".join(passages(text, markup)) == text


@pytest.mark.parametrize(
    ("content_type", "markup"),
    [
        ("", "rst"),
        ("text/x-rst", "rst"),
        ("text/markdown; charset=UTF-8; variant=GFM", "markdown"),
        ("Text/Markdown", "markdown"),
        ("text/plain", "plain"),
        ("text/html", "plain"),
    ],
)
def test_markup(content_type: str, markup: Markup) -> None:
    """The declared content type decides, without its parameters; none is reStructuredText."""
    assert markup_of(content_type) == markup


def test_words() -> None:
    """Marks that stand alone are no words."""
    assert count_words("It's 3 o'clock -- not\n** 4 **\t(yet).") == 6


@pytest.mark.parametrize(
    ("classifiers", "technology"),
    [
        (["Topic :: Database", "Framework :: Pydantic :: 2"], "Pydantic"),
        (["Programming Language :: Rust", "Topic :: Database :: Front-Ends"], "Database"),
        (
            ["Topic :: Software Development :: Libraries", "Topic :: Software Development :: Testing"],
            "Testing",
        ),
        (["Topic :: Utilities", "Programming Language :: Rust"], "Rust"),
        (["Programming Language :: Python :: 3", "Topic :: Utilities"], "Utilities"),
        (["Topic :: Software Development :: Libraries :: Python Modules"], "Software Development"),
        (["Programming Language :: Python :: 3", "Typing :: Typed"], "Python"),
        ([], "Python"),
    ],
)
def test_technology(classifiers: list[str], technology: str) -> None:
    """Framework, special topic, other language, general topic, Python: the first that there is."""
    assert technology_of(classifiers) == technology


@given(
    words=st.integers(0, 10**7),
    headings=st.integers(0, 10**5),
    code_blocks=st.integers(0, 10**5),
    facts=st.floats(0, 1),
)
def test_quality_is_bounded(words: int, headings: int, code_blocks: int, facts: float) -> None:
    """No description is worse than 0 or better than 1."""
    assert 0 <= quality_score(words=words, headings=headings, code_blocks=code_blocks, facts=facts) <= 1


def test_quality_has_both_ends() -> None:
    """Nothing at all is 0; plenty of all is 1."""
    assert quality_score(words=0, headings=0, code_blocks=0, facts=0) == 0
    assert quality_score(words=1000, headings=12, code_blocks=8, facts=1) == 1


@pytest.mark.parametrize("more", ["words", "headings", "code_blocks", "facts"])
def test_quality_grows_with_each_part(more: str) -> None:
    """Each part of the formula raises the score by itself."""
    little: dict[str, float] = {"words": 1, "headings": 1, "code_blocks": 1, "facts": 0.25}

    assert quality_score(**little) < quality_score(**{**little, more: 2 * little[more]})  # type: ignore[arg-type]  # counts are ints


def test_quality_of_this_environment_is_spread() -> None:
    """Over the distributions that the tests need, a quarter is below 0.4 and a quarter above 0.6."""
    scores = []
    for name, found in installed().items():
        try:
            scores.append(read_document(name, found).quality_score)
        except NoDescription:
            continue
    scores.sort()

    assert scores[len(scores) // 4] < 0.4
    assert scores[-len(scores) // 4] > 0.6


def test_document(tmp_path: Path) -> None:
    """The fields of a document come from the distribution's metadata and text."""
    document = read_document("sample", distribution(tmp_path, FULL))

    text = "# Sample\n\nThree more words.\n\n## Use\n\n```sh\npip install it\n```\n"
    assert document.full_content == text
    assert document.title == "My_Sample.Package 1.0: Shows things"
    assert document.source_url == "https://example.org/"
    assert document.technology == "AsyncIO"
    assert document.metadata.content_hash == hashlib.sha256(text.encode()).hexdigest()
    assert (document.metadata.word_count, document.metadata.heading_count) == (9, 2)
    assert document.metadata.code_block_count == 1
    assert [chunk.content[:6] for chunk in document.chunks] == ["# Samp", "## Use"]


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        (
            "Home-page: https://one.example\nProject-URL: Homepage, https://two.example\n",
            "https://one.example",
        ),
        ("Home-page: UNKNOWN\nProject-URL: Source Code, https://two.example\n", "https://two.example"),
        (
            "Project-URL: Chat, https://a.example\nProject-URL: GitHub, https://b.example\n",
            "https://b.example",
        ),
        ("Project-URL: Chat, https://a.example\n", "https://a.example"),
        ("Home-page: javascript:alert(1)\n", "https://pypi.org/project/sample/"),
        ("Home-page: http://[broken\n", "https://pypi.org/project/sample/"),
        ("", "https://pypi.org/project/sample/"),
    ],
)
def test_source_url(tmp_path: Path, headers: str, url: str) -> None:
    """The home page, or the best of the project's addresses, or its page on the index."""
    found = distribution(tmp_path, f"Name: sample\nVersion: 1\n{headers}\nText.\n")

    assert read_document("sample", found).source_url == url


def test_odd_text_can_be_stored(tmp_path: Path) -> None:
    """NUL is replaced, line ends are made alike, a long title is cut."""
    found = distribution(tmp_path, f"Name: sample\nSummary: {'x' * 600}\n\nA\0B\r\nC\n")
    document = read_document("sample", found)

    assert document.full_content == "A\N{REPLACEMENT CHARACTER}B\nC\n"
    assert len(document.title) == 500


@pytest.mark.parametrize("description", ["", "\n", "UNKNOWN", " \n...\n"])
def test_no_description(tmp_path: Path, description: str) -> None:
    """A description without a word is none."""
    found = distribution(tmp_path, f"Name: sample\nVersion: 1\n\n{description}")

    with pytest.raises(NoDescription, match="no description"):
        read_document("sample", found)


def test_unreadable_metadata(tmp_path: Path) -> None:
    """Metadata in a wrong encoding is listed without a name, and skipped with its reason."""
    distribution(tmp_path, "Name: sample\n\nGrüße\n", encoding="latin-1")
    ((name, found),) = installed([str(tmp_path)]).items()

    assert name == "(nameless 0)"
    with pytest.raises(NoDescription, match="UnicodeDecodeError"):
        read_document(name, found)


def test_leftover_of_an_installation(tmp_path: Path) -> None:
    """A folder without metadata is listed without a name, and skipped."""
    (tmp_path / "gone-1.0.dist-info").mkdir()
    ((name, found),) = installed([str(tmp_path)]).items()

    with pytest.raises(NoDescription):
        read_document(name, found)


def test_first_on_the_path_counts(tmp_path: Path) -> None:
    """Of two distributions with one name, however it is written, the first is taken."""
    distribution(tmp_path / "a", "Name: My.Sample\nVersion: 1\n\nText.", "my_sample")
    distribution(tmp_path / "b", "Name: my-sample\nVersion: 2\n\nText.", "my_sample")

    assert {
        name: found.version for name, found in installed([str(tmp_path / "a"), str(tmp_path / "b")]).items()
    } == {"my-sample": "1"}
