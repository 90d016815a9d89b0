"""tests/README.md names, for each requirement, tests that exist and belong to it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from tests.systems.registry import ROOT, SYSTEMS

TABLE = Path(__file__).with_name("README.md")

LIBRARY = "the library"

# The suites of what every system has from the library: folders, and modules beside them.
SUITES = (
    "cache",
    "checks",
    "conformance",
    "engines",
    "mysql",
    "operations",
    "postgresql",
    "queries",
    "reliability",
    "sqlite",
    "test_architecture.py",
    "test_fastapi.py",
    "test_logs.py",
    "test_public_names.py",
    "test_readme.py",
    "test_settings.py",
    "test_wheel.py",
)

HEAD = re.compile(r"(\d+) rows: (\d+) held, (\d+) replaced, (\d+) not held\.")
COLUMNS = ["line", "about", "held by"]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+(?:::\w+)?)`")
TESTS = rf"(?P<tests>{TEST.pattern}(?:, {TEST.pattern})*)"
KINDS = {
    "held": re.compile(TESTS),
    "replaced": re.compile(rf"replaced: (?P<words>\S.*?)(?:; {TESTS})?"),
    "not held": re.compile(r"not held: (?P<words>\S.*)"),
}


@dataclass
class Document:
    """What the file says of one document.

    Attributes:
        system: The section in which it stands.
        counts: Its rows, held, replaced and not held, as its head has them.
        rows: The cells, with the number of the line.
    """

    system: str
    name: str
    counts: tuple[int, ...] | None = None
    rows: list[tuple[int, list[str]]] = field(default_factory=list)


def read(text: str) -> Iterator[Document | str]:
    """The documents of the file, and what cannot be read."""
    system, document = "", None
    for number, line in enumerate(text.splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("### "):
            document = Document(system, line.removeprefix("### "))
            yield document
        elif line.startswith("## "):
            system, document = line.removeprefix("## "), None
        elif document and (head := HEAD.fullmatch(line)):
            document.counts = tuple(map(int, head.groups()))
        elif line.startswith("|") and not (cells == COLUMNS or set(line) <= set("|-")):
            if document is None or len(cells) != len(COLUMNS):
                yield f"{number}: a row of {len(cells)} cells that belongs to no table"
            else:
                document.rows.append((number, cells))


def problems(text: str, root: Path = ROOT) -> list[str]:
    """All that is wrong with the file, where *root* holds the tests."""
    read_of_it = list(read(text))
    found = [part for part in read_of_it if isinstance(part, str)]
    documents = [part for part in read_of_it if isinstance(part, Document)]
    names = Counter(document.name for document in documents)
    found += [f"{name}: a document with two tables" for name, count in names.items() if count > 1]
    for document in documents:
        found += problems_of(document, root)
    return found if documents else ["there is no document"]


def problems_of(document: Document, root: Path) -> Iterator[str]:
    """What is wrong with one table."""
    if document.system not in SYSTEMS:
        yield f"{document.name}: {document.system} is no system"
    if not document.name.startswith(f"{document.system}: "):
        yield f"{document.name}: is no document of {document.system}"
    kinds: Counter[str] = Counter()
    lines: set[str] = set()
    for number, (line, about, held) in document.rows:
        if not (line and about and held):
            yield f"{number}: an empty cell"
        if line.casefold() in lines:
            yield f"{number}: a second row for {line!r}"
        lines.add(line.casefold())
        if about not in (document.system, LIBRARY):
            yield f"{number}: {about!r} is neither {document.system} nor {LIBRARY}"
        kind, tests = said(held)
        kinds[kind] += 1
        if not kind:
            yield f"{number}: neither tests, nor 'replaced: ', nor 'not held: ' with a reason"
        for path, name in tests:
            if (problem := problem_of(root / path, name, about, root)) is not None:
                yield f"{number}: {path}::{name} {problem}"
    counts = (len(document.rows), *(kinds[kind] for kind in KINDS))
    if document.counts != counts:
        yield f"{document.name}: the head says {document.counts}, the rows are {counts}"


def said(held: str) -> tuple[str, list[tuple[str, str]]]:
    """What the last cell says: its kind, "" if it has none, and the tests that it names."""
    for kind, form in KINDS.items():
        if found := form.fullmatch(held):
            parts = found.groupdict()
            if "tests/" not in (parts.get("words") or ""):
                return kind, [(path, name) for path, name in TEST.findall(parts.get("tests") or "")]
    return "", []


def problem_of(path: Path, name: str, about: str, root: Path) -> str | None:
    """Say why this is no test of what a line is about."""
    if not path.is_file():
        return "is in no file"
    module = parsed(path)
    test = function_in(module, name)
    if test is None:
        return "does not exist"
    inside = path.relative_to(root / "tests").parts
    if about == LIBRARY:
        belongs = inside[0] in SUITES
    elif inside[0] == "systems":
        belongs = about in SYSTEMS and runs_for_all(module)
    else:
        belongs = inside[0] == about or mentions(module, test, about)
    return None if belongs else f"has nothing to do with {about}"


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def is_test(node: ast.AST) -> bool:
    prefix = "Test" if isinstance(node, ast.ClassDef) else "test_"
    return isinstance(node, Definition) and node.name.startswith(prefix)


def function_in(module: ast.Module, name: str) -> ast.AST | None:
    """The function that ``name`` or ``Class::name`` stands for."""
    found: ast.Module | Definition = module
    for part in name.split("::"):
        inner = [node for node in found.body if isinstance(node, Definition) and node.name == part]
        if not inner or not is_test(inner[0]):
            return None
        found = inner[0]
    return None if isinstance(found, ast.ClassDef) else found


def imported(module: ast.AST) -> Iterator[tuple[str, str]]:
    """The modules and names that are imported by ``from``, anywhere."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def runs_for_all(module: ast.Module) -> bool:
    """True for a suite that takes its systems from the registry."""
    names = {name for origin, name in imported(module) if origin == "tests.systems.registry"}
    return not names.isdisjoint({"SYSTEMS", "NAMES"})


def mentions(module: ast.Module, test: ast.AST, system: str) -> bool:
    """True if the test, or what its module has beside tests, names the system in code."""
    origins = {origin for origin, _ in imported(module)} | {f"{a}.{b}" for a, b in imported(module)}
    homes = (f"dal.models.{system}", f"dal.repositories.{system}")
    if any(origin == home or origin.startswith(f"{home}.") for origin in origins for home in homes):
        return True
    beside = [node for node in module.body if not is_test(node)]
    return any(system in re.split("[^a-z]+", text) for node in [test, *beside] for text in names_in(node))


def names_in(node: ast.AST) -> Iterator[str]:
    """The strings in code that may be names or paths: without spaces, and no docstrings."""
    notes = {id(part.value) for part in ast.walk(node) if isinstance(part, ast.Expr)}
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and id(part) not in notes:
            yield from [part.value] if " " not in part.value else []


def test_every_line_of_the_table_is_true() -> None:
    """Each test that is named exists and belongs to its line, and each head counts its rows."""
    found = problems(TABLE.read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


def test_every_system_has_a_document() -> None:
    """None is left out of the table."""
    documents = read(TABLE.read_text(encoding="utf-8"))
    assert {part.system for part in documents if isinstance(part, Document)} == SYSTEMS.keys()


FILES = {
    "tests/chat/test_sessions.py": """
        def made(): ...
        async def test_new(): ...
        class TestDelete:
            def test_all(self): ...
        """,
    "tests/market/test_bars.py": """
        def test_bar(): ...
        """,
    "tests/systems/test_schema.py": """
        from tests.systems.registry import SYSTEMS
        def test_keys(): ...
        """,
    "tests/systems/test_alone.py": """
        def test_nothing(): ...
        """,
    "tests/operations/test_drop.py": """
        FIRST = "base-0001"
        def test_chat():
            "chat"
            assert "what they chat about"
        def test_drop():
            assert "chat-0001.sessions"
        """,
    "tests/test_wheel.py": """
        import dal.models.chat_rooms
        def test_extras(): ...
        """,
    "tests/test_demo.py": """
        from dal.repositories.chat import QUERIES
        def test_ends(): ...
        """,
}

GOOD = """
## chat

### chat: task list

5 rows: 3 held, 1 replaced, 1 not held.

| line | about | held by |
|---|---|---|
| made | chat | `tests/chat/test_sessions.py::test_new`, `tests/systems/test_schema.py::test_keys` |
| gone | chat | `tests/chat/test_sessions.py::TestDelete::test_all` |
| dropped | the library | `tests/operations/test_drop.py::test_drop` |
| mapped | chat | replaced: SQL in files; `tests/test_demo.py::test_ends` |
| fast | chat | not held: a benchmark does |
"""

NEW = "tests/chat/test_sessions.py::test_new"
FAST = "not held: a benchmark does"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with a few tests, of chat and of others."""
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        indent = len(text) - len(text.lstrip()) - 1
        file.write_text("\n".join(line[indent:] for line in text.splitlines()) + "\n")
    return tmp_path


def test_a_true_table_has_no_problem(tree: Path) -> None:
    """The one that the tests below spoil is fine before that."""
    assert problems(GOOD, tree) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (NEW, "tests/chat/test_session.py::test_new", "is in no file"),
        (NEW, "tests/chat/test_sessions.py::test_old", "does not exist"),
        (NEW, "tests/chat/test_sessions.py::made", "does not exist"),
        (NEW, "tests/chat/test_sessions.py::test_all", "does not exist"),
        (NEW, "tests/chat/test_sessions.py::TestDelete", "does not exist"),
        (NEW, "tests/chat/test_sessions.py::TestDelete::test_new", "does not exist"),
        (NEW, "tests/market/test_bars.py::test_bar", "has nothing to do with chat"),
        (NEW, "tests/systems/test_alone.py::test_nothing", "has nothing to do with chat"),
        (NEW, "tests/operations/test_drop.py::test_chat", "has nothing to do with chat"),
        (NEW, "tests/test_wheel.py::test_extras", "has nothing to do with chat"),
        ("tests/test_demo.py::test_ends", "tests/market/test_bars.py::test_bar", "nothing to do with chat"),
        ("tests/operations/test_drop.py::test_drop", NEW, "has nothing to do with the library"),
        ("tests/operations/test_drop.py::test_drop", "tests/test_demo.py::test_ends", "do with the library"),
        ("| fast |", "| Made |", "a second row for 'Made'"),
        ("| fast |", "|  |", "an empty cell"),
        ("| fast | chat |", "| fast | |", "an empty cell"),
        ("| fast | chat |", "| fast | market |", "'market' is neither chat nor the library"),
        ("## chat\n", "## char\n", "chat: task list: char is no system"),
        ("### chat:", "### market:", "market: task list: is no document of chat"),
        (FAST, "not held:", "neither tests, nor"),
        (FAST, f"not held: but in `{NEW}`", "neither tests, nor"),
        (FAST, "by hand", "neither tests, nor"),
        (f"`{NEW}`,", f"`{NEW}` and", "neither tests, nor"),
        ("replaced: SQL in files; ", "replaced: ", "neither tests, nor"),
        (FAST, "replaced: by luck", "the head says (5, 3, 1, 1), the rows are (5, 3, 2, 0)"),
        (f"| fast | chat | {FAST} |\n", "", "the head says (5, 3, 1, 1), the rows are (4, 3, 1, 0)"),
        ("5 rows:", "6 rows:", "the head says (6, 3, 1, 1), the rows are (5, 3, 1, 1)"),
        ("5 rows: 3 held, 1 replaced, 1 not held.\n", "", "the head says None"),
        ("| fast | chat |", "| fast |", "a row of 2 cells that belongs to no table"),
        ("### chat: task list\n", "", "there is no document"),
        (GOOD, GOOD + GOOD, "chat: task list: a document with two tables"),
    ],
)
def test_a_mistake_is_told(tree: Path, old: str, new: str, problem: str) -> None:
    """A name without a test, a test of another system, a row too many or too few, an empty word."""
    spoilt = GOOD.replace(old, new)
    assert spoilt != GOOD
    assert any(problem in told for told in problems(spoilt, tree)), problems(spoilt, tree)
