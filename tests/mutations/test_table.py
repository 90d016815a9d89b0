"""The table of mutations fits the code; `scripts/mutations` runs them."""

from __future__ import annotations

import ast

import pytest

from tests.mutations.table import CLAIMS, ENGINES, ROOT, Mutation, mutations

MUTATIONS = mutations()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_applies(mutation: Mutation) -> None:
    """Its text stands once in its file, and what comes out is a module, another one than before."""
    source = (ROOT / mutation.file).read_text(encoding="utf-8")
    mutated = mutation.applied(source)
    compile(mutated, mutation.file, "exec")
    assert ast.dump(ast.parse(mutated)) != ast.dump(ast.parse(source))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_its_claim_is_a_test(mutation: Mutation) -> None:
    """Of the conformance suite, on engines that the suite has."""
    file, _, function = mutation.claim.partition("::")
    names = {node.name for node in ast.walk(ast.parse((CLAIMS / file).read_text(encoding="utf-8")))
             if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}  # fmt: skip
    assert function in names
    assert function.startswith("test_")
    assert mutation.engines
    assert set(mutation.engines) <= set(ENGINES)


def test_a_name_tells_a_mutation_apart() -> None:
    """In the report, and on the command line."""
    names = [mutation.name for mutation in MUTATIONS]
    assert sorted(set(names)) == sorted(names)
