"""``dal adopt``, run as an operator runs it."""

from __future__ import annotations

from pathlib import Path

from tests.operations.old_files import BY_HAND, market_file
from tests.operations.test_adopt import run
from tests.operations.test_cli import dal


def test_a_file_is_looked_at_and_adopted(tmp_path: Path) -> None:
    """The dry run shows what differs; the run says where the old file is; then nothing is to be done."""
    file = tmp_path / "app.db"
    market_file(file, 12)
    run(file, "UPDATE system_events SET created_at = NULL WHERE id = 1", "CREATE TABLE mine (x)")
    before = file.read_bytes()
    dry = dal("adopt", str(file), "market", "--dry-run")
    assert dry.returncode == 0
    assert "the column open: its type is REAL, today's INTEGER; it may be NULL" in dry.stdout
    assert "rows that would be adopted" in dry.stdout
    assert "system_events.created_at: 1 rows had no value" in dry.stdout
    assert "kept as they are: mine" in dry.stdout
    assert dry.stdout.endswith(f"{file} can be adopted; this was a dry run, and it is as it was\n")
    assert file.read_bytes() == before

    done = dal("adopt", str(file), "market")
    (backup,) = tmp_path.glob("*.before-adoption-*")
    assert done.stdout.endswith(f"{file} is adopted; the old file is {backup}\n")
    assert done.stderr == ""
    again = dal("adopt", str(file), "market")
    assert again.stdout == f"{file} is as the migrations make it; nothing was done\n"
    status = dal("migrate", "status", "--check", "--system", "market", url=f"sqlite:///{file}")
    assert status.returncode == 0


def test_a_refusal_lists_every_reason(tmp_path: Path) -> None:
    """Each row has its line, and the last line is one on stderr, with exit code 1."""
    file = tmp_path / "app.db"
    market_file(file, 12)
    run(file, "UPDATE daily_data SET volume = -1 WHERE id > 10")
    refused = dal("adopt", str(file), "market")
    assert refused.returncode == 1
    for key in (11, 12):
        assert f"daily_data id={key}: CHECK daily_data_volume_range" in refused.stdout
    assert refused.stderr == (
        f"dal: {file} stays as it is: daily_data id=11: CHECK daily_data_volume_range (and 1 more)\n"
    )


def test_what_has_to_be_asked_for(tmp_path: Path) -> None:
    """Rounding, and whole numbers in INTEGER columns, are refused until they are asked for."""
    file = tmp_path / "app.db"
    market_file(file, 1, ddl=BY_HAND.replace("market_cap REAL", "market_cap INTEGER"))
    run(file, "UPDATE portfolio_positions SET shares = 0.1 + 0.2")
    assert "market_cap is INTEGER" in dal("adopt", str(file), "market").stdout
    assert "more than 6 digits" in dal("adopt", str(file), "market", "--whole").stdout
    assert dal("adopt", str(file), "market", "--whole", "--round").returncode == 0


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    """A file that is not there and a system that has no old files are told without a traceback."""
    for system, text in (("market", "does not exist"), ("shop", "there are chat, market")):
        wrong = dal("adopt", str(tmp_path / "app.db"), system)
        assert wrong.returncode == 1
        assert len(wrong.stderr.splitlines()) == 1
        assert text in wrong.stderr
