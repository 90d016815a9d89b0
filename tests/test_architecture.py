"""Imports point one way, and each driver is imported in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "dal"

# Lowest first. A module imports from its own layer and from those below.
LAYERS = (
    {"errors", "tasks"},
    {"values", "settings"},
    {"queries"},
    {"engines"},
    {"logs", "models"},
    {"rows", "executor", "transaction", "database", "cache"},
    {"operations", "checks", "repositories"},
    {"cli", "fastapi"},
)

# Each driver, and the only folder or module that imports it.
DRIVERS = {
    "aiosqlite": "engines/sqlite",
    "asyncpg": "engines/postgresql",
    "asyncmy": "engines/mysql",
    "redis": "cache/stores/redis",
}

ENGINES = {"sqlite", "postgresql", "postgres", "mysql", "mariadb"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def parsed(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def imported(module: Path) -> Iterator[str]:
    """The full names that *module* imports anywhere, also those imported for types only."""
    package = [PACKAGE.name, *module.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def part(module: Path) -> str:
    """The part of the package that *module* belongs to: its folder or, at the top, its own name."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rank(name: str) -> int:
    ranks = [number for number, layer in enumerate(LAYERS) if name in layer]
    assert ranks, f"dal.{name} belongs to no layer; add it to LAYERS"
    return ranks[0]


def label(module: Path) -> str:
    return str(module.relative_to(PACKAGE.parent))


@pytest.mark.parametrize("module", [m for m in MODULES if m != PACKAGE / "__init__.py"], ids=label)
def test_imports_point_down(module: Path) -> None:
    """A module imports nothing from a layer above its own."""
    own = rank(part(module))
    names = {name.split(".")[1] for name in imported(module) if name.startswith("dal.")}

    assert {name for name in names if rank(name) > own} == set()


@pytest.mark.parametrize("driver", DRIVERS)
def test_driver_is_imported_in_one_place(driver: str) -> None:
    """Nothing outside of the driver's place imports it."""
    place = PACKAGE / DRIVERS[driver]
    users = [module for module in MODULES if driver in {name.split(".")[0] for name in imported(module)}]

    assert [label(module) for module in users if place not in (module, *module.parents)] == []


def asked_in(tree: ast.AST, module: Path) -> Iterator[str]:
    """Where the code of *module* compares something with the name of an engine: its line."""
    for node in ast.walk(tree):
        sides: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            sides = node.args if node.func.attr in ("startswith", "endswith") else []
        values = [part.value for side in sides for part in ast.walk(side) if isinstance(part, ast.Constant)]
        if any(isinstance(value, str) and value.split(":")[0] in ENGINES for value in values):
            yield f"{label(module)}:{sides[0].lineno}"


def test_only_engines_ask_which_engine_it_is() -> None:
    """What differs is data, a text, a capability or a method of the engine, never a comparison."""
    outside = [module for module in MODULES if part(module) != "engines"]

    assert [place for module in outside for place in asked_in(parsed(module), module)] == []


@pytest.mark.parametrize(
    "line",
    [
        'if engine == "sqlite": pass',
        'x = 1 if engine != "mysql" else 2',
        'if engine in ("postgresql", "mariadb"): pass',
        'match engine:\n    case "mysql": pass',
        'url.startswith("sqlite://")',
    ],
)
def test_a_comparison_with_an_engine_is_seen(line: str) -> None:
    """Each form of asking that someone might write is found."""
    module = PACKAGE / "written.py"
    assert list(asked_in(ast.parse(line), module)) == ["dal/written.py:" + ("2" if "match" in line else "1")]


def test_every_folder_is_a_package() -> None:
    """Every folder with modules has an __init__.py, so that the wheel and the tools see it."""
    assert [label(m.parent) for m in MODULES if not (m.parent / "__init__.py").exists()] == []
