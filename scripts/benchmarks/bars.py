"""The targets, as data. A verdict is made of figures of the same run, never of stored ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.figures import Spread

FLOOR = "floor"

Kind = Literal["at most", "faster", "p99", "memory", "growth", "imports"]


@dataclass(frozen=True)
class Bar:
    """One target.

    Attributes:
        case: What it is for.
        kind: ``at most`` so many times *than*; so many times ``faster``; ``p99`` below so many
            milliseconds; ``memory`` grows by less than so many MB; ``growth`` by at most so many times from
            the smallest table to the largest; ``imports`` none of what is to come late.
        limit: The number.
        than: The floor, or a peer.
        engine: None for every engine.
    """

    case: str
    kind: Kind
    limit: float
    than: str = FLOOR
    engine: str | None = None

    def __str__(self) -> str:
        match self.kind:
            case "at most":
                return f"<= {self.limit:g} x {self.than}"
            case "faster":
                return f">= {self.limit:g} x faster than {self.than}"
            case "p99":
                return f"P99 < {self.limit:g} ms"
            case "memory":
                return f"memory grows < {self.limit:g} MB"
            case "growth":
                return f"P50 <= {self.limit:g} x that of the smallest table"
            case _:
                return "import dal loads nothing that can come later"


BARS = (
    Bar("point_read", "at most", 1.3, engine="sqlite"),
    Bar("point_read", "faster", 10, "databases", "sqlite"),
    Bar("point_read", "faster", 5, "SQLAlchemy ORM", "sqlite"),
    Bar("point_read", "at most", 1.25, engine="postgresql"),
    Bar("point_read", "faster", 2, "asyncpg pool", "postgresql"),
    Bar("point_read", "faster", 3.5, "databases", "postgresql"),
    Bar("point_read", "faster", 6, "SQLAlchemy ORM", "postgresql"),
    Bar("point_read", "at most", 1.3, engine="mysql"),
    Bar("point_read", "faster", 2, "databases", "mysql"),
    Bar("point_read", "p99", 50),
    Bar("rows_1000", "at most", 1.15),
    Bar("insert", "at most", 1.2, "aiosqlite", "sqlite"),
    Bar("writers_64", "faster", 5, "aiosqlite", "sqlite"),
    Bar("bulk_insert", "at most", 1.2),
    Bar("stream", "at most", 1.3),
    Bar("stream", "memory", 50),
    Bar("readers_64", "p99", 50),
    Bar("growth", "growth", 1.5),
    Bar("cache_get", "p99", 10),
    Bar("cache_set", "p99", 10),
    Bar("cache_get_64", "p99", 10),
    Bar("cache_set_64", "p99", 10),
    Bar("import", "imports", 0),
)


@dataclass
class Result:
    """What came out of a case on an engine.

    Attributes:
        rows: Of the table, or inserted, or streamed; None where there is no table.
        floor: What the floor is, None without one.
        p99_us: Of the calls of `dal`, as whoever called saw them.
        ratio: `dal` by the floor, round by round.
        peers: Microseconds a call (of `bulk_insert` and `stream`: a row).
        peer_ratios: A peer by `dal`: how many times faster `dal` is.
        missing: Who was not measured, and why.
        facts: Other figures of the case.
        asked: The peers that take part in it.
        bars: Its targets, None for those of `BARS`.
    """

    case: str
    engine: str
    rows: int | None
    loop: str
    ours_us: float
    p99_us: float | None = None
    floor: str | None = None
    floor_us: float | None = None
    ratio: Spread | None = None
    peers: dict[str, float] = field(default_factory=dict)
    peer_ratios: dict[str, Spread] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    bars: tuple[Bar, ...] | None = None

    @property
    def verdicts(self) -> list[tuple[Bar, str, bool | None]]:
        """Each target, what was measured, and whether it is met; None if it could not be measured."""
        bars = self.bars
        if bars is None:
            bars = tuple(bar for bar in BARS if bar.case == self.case and bar.engine in (None, self.engine))
        # A peer that nobody asked for is no gap.
        return [(bar, *self._measured(bar)) for bar in bars if bar.than == FLOOR or bar.than in self.asked]

    def _measured(self, bar: Bar) -> tuple[str, bool | None]:
        unknown = "not measured", None
        if bar.kind == "p99":
            return (f"{self.p99_us / 1e3:.2f} ms", self.p99_us < bar.limit * 1e3) if self.p99_us else unknown
        if bar.kind in ("memory", "growth", "imports"):
            value = self.facts.get(bar.kind)
            if value is None:
                return unknown
            if bar.kind == "imports":
                return ", ".join(value) or "nothing", not value
            return f"{value:.2f}", value < bar.limit if bar.kind == "memory" else value <= bar.limit
        # How many times the other's time `dal` takes, or the other way round.
        by_floor = self.ratio if bar.than in (FLOOR, self.floor) else None
        faster = self.peer_ratios.get(bar.than)
        if bar.kind == "at most":
            value = by_floor.median if by_floor else 1 / faster.median if faster else None
            return (f"{value:.2f} x", value <= bar.limit) if value else unknown
        value = 1 / by_floor.median if by_floor else faster.median if faster else None
        return (f"{value:.2f} x", value >= bar.limit) if value else unknown

    @property
    def target(self) -> str | None:
        """All targets of the case, None if it has none."""
        return "; ".join(str(bar) for bar, _, _ in self.verdicts) or None

    @property
    def ok(self) -> bool | None:
        """False if a target is missed, True if all are met, None if there is none or one is not known."""
        held = [is_met for _, _, is_met in self.verdicts]
        if False in held:
            return False
        return None if not held or None in held else True

    def as_json(self) -> dict[str, Any]:
        """Return it as the report stores it."""
        return {
            "case": self.case,
            "engine": self.engine,
            "rows": self.rows,
            "loop": self.loop,
            "ours_us": _short(self.ours_us),
            "floor": self.floor,
            "floor_us": _short(self.floor_us),
            "p99_us": _short(self.p99_us),
            "ratio_to_floor": _short(self.ratio.median if self.ratio else None),
            "ratio_spread": [_short(self.ratio.low), _short(self.ratio.high)] if self.ratio else None,
            "peers": {name: _short(us) for name, us in self.peers.items()},
            "peer_ratios": {
                name: {"median": _short(s.median), "low": _short(s.low), "high": _short(s.high)}
                for name, s in self.peer_ratios.items()
            },
            "target": self.target,
            "verdicts": [
                {"target": str(bar), "measured": measured, "ok": is_met}
                for bar, measured, is_met in self.verdicts
            ],
            "ok": self.ok,
            "not_measured": self.missing,
            "facts": self.facts,
        }


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
