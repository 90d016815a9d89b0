"""A power cut: what was not synced to the disk is gone.

The process writes through a library that keeps an image of the synced bytes beside the files (see
powerloss.c), and is killed; then the image is what is left. A kill alone shows nothing of this: what a
process wrote outlives it, synced or not.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from dal.database import DatabaseManager
from tests.reliability.entries import acknowledged, begun_after, found
from tests.reliability.processes import program

CHECKPOINT_BYTES = 1000 * 4096  # SQLite copies the WAL to the database when it is as long


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that keeps the image, compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        missing = "no C compiler; on Debian, as root: apt-get install gcc libc6-dev"
        if os.environ.get("DAL_REQUIRE_ENGINES") == "all":
            pytest.fail(missing)
        pytest.skip(missing)
    compiled = tmp_path_factory.mktemp("powerloss") / "powerloss.so"
    source = Path(__file__).with_name("powerloss.c")
    options = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-pthread"]
    subprocess.run([compiler, *options, "-o", compiled, source, "-ldl"], check=True)
    return compiled


class Disk:
    """A folder, and the image of what is on its disk."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._folder = folder.resolve() / "folder"
        self._image = folder.resolve() / "image"
        self._folder.mkdir()
        self._image.mkdir()
        self._environment = {
            "LD_PRELOAD": str(library),
            "POWERLOSS_FOLDER": str(self._folder),
            "POWERLOSS_IMAGE": str(self._image),
        }

    def lose_power(self, name: str, *arguments: object, after: int, file: str = "data/a.db") -> list[str]:
        """Run a program on *file* until it has printed *after* lines; return all that it printed."""
        with program(name, self._folder / file, *arguments, environment=self._environment) as running:
            lines = [running.line() for _ in range(after)]
            return lines + running.kill()

    def left(self, file: str = "data/a.db") -> Path:
        """Return where *file* is as the power cut left it."""
        return self._image / file


@pytest.fixture
def disk(tmp_path: Path, library: Path) -> Disk:
    """A disk of its own."""
    return Disk(tmp_path, library)


@pytest.mark.parametrize("run", range(4))
def test_acknowledged_writes_survive_a_power_cut(disk: Disk, run: int) -> None:
    """After a power cut every acknowledged write is there, whole, and no other but those under way."""
    acks = acknowledged(disk.lose_power("write", 100, after=random.randint(1, 1500)))

    left = found(disk.left())
    assert (left.integrity, left.torn, acks - left.writes) == ("ok", frozenset(), frozenset())
    assert left.writes - acks <= begun_after(acks)


@pytest.mark.parametrize("run", range(2))
def test_acknowledged_writes_survive_beyond_a_checkpoint(disk: Disk, run: int) -> None:
    """The same holds when the WAL has been copied to the database, several times, and begun anew."""
    acks = acknowledged(disk.lose_power("write", 20_000, after=random.randint(1500, 2500)))

    assert disk.left().stat().st_size > 2 * CHECKPOINT_BYTES
    left = found(disk.left())
    assert (left.integrity, left.torn, acks - left.writes) == ("ok", frozenset(), frozenset())


async def test_next_process_writes_on(disk: Disk) -> None:
    """What a power cut left is opened and written as if nothing had happened."""
    acks = acknowledged(disk.lose_power("write", 100, after=200))

    async with DatabaseManager(f"sqlite:///{disk.left()}") as db:
        await db.execute("INSERT INTO entries VALUES (-1, 0, 0, 1, '')")
        assert await db.fetch_value("SELECT count(DISTINCT task * 1000000 + number) FROM entries") > len(acks)


def test_writes_that_nobody_synced_are_lost(disk: Disk) -> None:
    """The control: with synchronous=NORMAL, as WAL is often used, acknowledged writes are gone."""
    acks = acknowledged(disk.lose_power("write_without_sync", after=300, file="a.db"))

    left = found(disk.left("a.db"))
    assert left.integrity == "ok"
    assert acks - left.writes


def test_image_holds_the_synced_bytes(disk: Disk) -> None:
    """The control of the library: what was written and cut before the last sync is in the image."""
    disk.lose_power("half_sync", after=1, file="data")

    assert disk.left("data/synced").read_bytes() == b"FIRST"
    assert sorted(path.name for path in disk.left("data").iterdir()) == ["renamed", "synced"]
