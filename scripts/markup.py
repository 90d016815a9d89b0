"""How a text is divided: headings, code blocks, passages, words.

- A heading in Markdown is a line that begins with ``#`` or is underlined, outside of fenced code blocks; in
  reStructuredText a title with an underline. Plain text has none.
- A code block in Markdown is a fenced one; in reStructuredText a code directive, or the literal block after a
  line that ends with ``::``.
- A passage begins at a heading, unless there are only headings before it. Passages joined are the text.
- A word is what white space separates, if it has a letter or a digit in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Markup = Literal["markdown", "rst", "plain"]


def markup_of(content_type: str) -> Markup:
    """Return the markup that a Description-Content-Type declares; none declared is reStructuredText."""
    known: dict[str, Markup] = {"": "rst", "text/x-rst": "rst", "text/markdown": "markdown"}
    return known.get(content_type.partition(";")[0].strip().lower(), "plain")


def count_words(text: str) -> int:
    """Return the number of words in *text*."""
    return sum(any(map(str.isalnum, word)) for word in text.split())


@dataclass(frozen=True, slots=True)
class Outline:
    """How a text is divided.

    Attributes:
        headings: The 0-based line and the number of lines of each heading.
        code_blocks: How many there are.
    """

    headings: tuple[tuple[int, int], ...]
    code_blocks: int


def outline(text: str, markup: Markup) -> Outline:
    """Find the headings and the code blocks of *text*."""
    lines = text.split("\n")
    if markup == "plain":
        return Outline((), 0)
    if markup == "rst":
        return Outline(
            tuple(_rst_titles(lines)), sum(_begins_rst_code(lines, at) for at in range(len(lines)))
        )
    prose, code_blocks = _without_fences(lines)
    return Outline(tuple(_markdown_headings(prose)), code_blocks)


def split(text: str, headings: Iterable[tuple[int, int]]) -> list[str]:
    """Cut *text* before each heading, unless nothing but headings would come before the cut."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    cuts, text_from = [0], 0
    for line, height in headings:
        if any(part.strip() for part in lines[text_from:line]):
            cuts.append(line)
        text_from = line + height
    return ["".join(lines[begin:end]) for begin, end in zip(cuts, [*cuts[1:], len(lines)], strict=True)]


_FENCE = re.compile(r"\s*(?P<fence>`{3,}(?!.*`)|~{3,})")
_ATX = re.compile(r" {0,3}#{1,6}(?:\s|$)")
_SETEXT = re.compile(r" {0,3}(?:==+|--+)\s*")
# Lines that an underline does not make a heading: quotes, lists, tables, HTML, indented code.
_NO_SETEXT = re.compile(r"\s*$| {0,3}(?:[>|<]|[-*+]\s|\d+[.)]\s)| {4}|\t")


def _without_fences(lines: Iterable[str]) -> tuple[list[str], int]:
    """Return *lines* with those of fenced code blocks left blank, and the number of these blocks."""
    prose: list[str] = []
    blocks, fence = 0, ""
    for line in lines:
        if fence:
            prose.append("")
            mark = line.strip()
            if len(mark) >= len(fence) and set(mark) == {fence[0]}:
                fence = ""
        elif opening := _FENCE.match(line):
            prose.append("")
            fence = opening["fence"]
            blocks += 1
        else:
            prose.append(line)
    return prose, blocks


def _markdown_headings(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    for at, line in enumerate(lines):
        if _ATX.match(line):
            yield at, 1
        elif at + 1 < len(lines) and _SETEXT.fullmatch(lines[at + 1]) and not _NO_SETEXT.match(line):
            yield at, 2


_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*")
_RST_CODE = re.compile(r"\s*\.\. (?:code|code-block|sourcecode|highlight|prompt|parsed-literal)::")
_RST_EXPLICIT = re.compile(r"\s*\.\.(?:\s|$)")


def _rst_titles(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    at = 0
    while at + 1 < len(lines):
        height = 0
        if at == 0 or not lines[at - 1].strip():
            height = _title_height(lines[at : at + 3])
        if height:
            yield at, height
        at += height or 1


def _title_height(lines: Sequence[str]) -> int:
    """Return of how many lines the title is that *lines* begin with, 0 if they begin with none."""
    over = bool(_ADORNMENT.fullmatch(lines[0]))
    if over and len(lines) < 3:
        return 0
    title, under = lines[over], lines[over + 1]
    if not title.strip() or _ADORNMENT.fullmatch(title) or not _ADORNMENT.fullmatch(under):
        return 0
    if over:
        return 3 if lines[0].rstrip() == under.rstrip() else 0
    is_wide_enough = len(under.rstrip()) >= min(len(title.rstrip()), 4)
    return 2 if is_wide_enough and not title[0].isspace() else 0


def _begins_rst_code(lines: Sequence[str], at: int) -> bool:
    line = lines[at]
    if _RST_EXPLICIT.match(line):
        return _RST_CODE.match(line) is not None
    if not line.rstrip().endswith("::"):
        return False
    following = next((other for other in lines[at + 1 :] if other.strip()), "")
    return _indentation(following) > _indentation(line)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
