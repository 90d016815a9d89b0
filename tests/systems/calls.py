"""The steps of tests/<system>/calls.py: calls of repository methods, with what they lead to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec

P = ParamSpec("P")


@dataclass(frozen=True)
class Call:
    """A method of a repository class with its arguments.

    Attributes:
        error: What it raises; None if it returns.
    """

    method: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    error: type[Exception] | None = None

    @property
    def names(self) -> tuple[str, str]:
        """The class and the method."""
        owner, _, name = self.method.__qualname__.rpartition(".")
        return owner, name


Step = Call | Callable[[Any], Call]


def call(method: Callable[Concatenate[Any, P], Any], *args: P.args, **kwargs: P.kwargs) -> Call:
    """Call *method*."""
    return Call(method, args, kwargs)


def refused(
    error: type[Exception],
    method: Callable[Concatenate[Any, P], Any],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Call:
    """Call *method*, which raises exactly *error*."""
    return Call(method, args, kwargs, error)


def then(step: Callable[[Any], Call]) -> Step:
    """Make a call from what the step before returned."""
    return step
