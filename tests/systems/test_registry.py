"""Every system of the tree is known to the suites beside this file, and to what deploys it."""

from __future__ import annotations

import pytest

from tests.systems import registry
from tests.systems.registry import BASE, FAILED, NAMES, ROOT, SYSTEMS


@pytest.mark.parametrize("name", NAMES)
def test_system_is_complete(name: str) -> None:
    """What the suites have to be told of a system, it tells; what they read from the tree is there."""
    if name in FAILED:
        pytest.fail(
            f"the system {name} is held by no suite: {FAILED[name]!r}.\n"
            f"What tests/{name}/samples.py and tests/{name}/calls.py have to say:\n{registry.__doc__}",
            pytrace=False,
        )
    assert SYSTEMS[name].steps()


def test_folders_agree() -> None:
    """Each system has its SQL and its migrations, and no migrations are of a system without SQL."""
    migrations = {path.name for path in (ROOT / "migrations").iterdir() if path.is_dir()}
    assert migrations == {BASE, *NAMES}
    assert "documents" in NAMES


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=repr)
def test_sample_names_are_known(system: registry.System) -> None:
    """What the samples say of a constraint, a query or a table is about one that there is."""
    said = system.samples
    queries = {query.name for query in system.queries}
    assert said.parameters_of.keys() <= queries
    assert said.variants.keys() <= queries
    for reasons in (*said.scans.values(), *said.sorted.values()):
        assert reasons.keys() <= queries
    assert said.fields.keys() | said.without_clocks.keys() <= system.rows.keys()
    assert said.parameters.keys() <= {
        parameter.name for query in system.queries for parameter in query.parameters
    }
