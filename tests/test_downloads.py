"""Wheels that are fetched for the files in them, by the real pip; no test needs the network."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from downloads import NotFetched, Wheel, fetch, read_member
from tests.wheels import make_wheel

pytest.importorskip("pip", reason="the tests' environment has no pip")

WORDS = "grün\n".encode()


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one place where pip looks."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return shelf


@pytest.fixture
def wheel(shelf: Path) -> Wheel:
    """A wheel that pip finds."""
    return make_wheel(shelf, "colours", {"colours/green.txt": WORDS})


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An index that nobody answers for."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free.getsockname()[1]}/simple")
        for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
            monkeypatch.delenv(name, raising=False)
        yield


def test_is_fetched_and_read(wheel: Wheel, tmp_path: Path) -> None:
    """pip brings the file, it is kept as it is, and what it holds can be read."""
    path = fetch(wheel, tmp_path / "new" / "folder")

    assert [path] == list((tmp_path / "new" / "folder").iterdir())
    assert read_member(path, "colours/green.txt") == WORDS


def test_is_fetched_once(wheel: Wheel, shelf: Path, tmp_path: Path) -> None:
    """What is there already is not fetched again."""
    first = fetch(wheel, tmp_path)
    (shelf / wheel.file).unlink()

    assert fetch(wheel, tmp_path) == first


def test_other_content(wheel: Wheel, tmp_path: Path) -> None:
    """A file with another hash than the one that is asked for is neither kept nor read."""
    other = dataclasses.replace(wheel, sha256="0" * 64)
    with pytest.raises(NotFetched, match=r"colours==1\.0: .* is not the file that was published"):
        fetch(other, tmp_path / "folder")

    assert list((tmp_path / "folder").iterdir()) == []


def test_content_that_was_changed(wheel: Wheel, tmp_path: Path) -> None:
    """A kept file that was changed since is refused."""
    path = fetch(wheel, tmp_path)
    path.write_bytes(path.read_bytes() + b"\n")

    with pytest.raises(NotFetched, match="is not the file that was published; remove it"):
        fetch(wheel, tmp_path)


def test_release_that_is_not_there(shelf: Path, tmp_path: Path) -> None:
    """What pip says is passed on."""
    with pytest.raises(NotFetched, match=r"pip says: No matching distribution found for colours==2\.0"):
        fetch(Wheel("colours==2.0", "colours-2.0-py3-none-any.whl", ""), tmp_path)


@pytest.mark.usefixtures("away")
def test_index_that_is_away(tmp_path: Path) -> None:
    """The message says that it cannot be reached, and nothing is left behind."""
    with pytest.raises(NotFetched, match=r"colours==1\.0: pip cannot reach the package index"):
        fetch(Wheel("colours==1.0", "colours-1.0-py3-none-any.whl", ""), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_made(wheel: Wheel, tmp_path: Path) -> None:
    """A folder that is a file is named."""
    (tmp_path / "file").touch()
    with pytest.raises(NotFetched, match=r"colours==1\.0: .*file"):
        fetch(wheel, tmp_path / "file")
