"""Wheels that a test makes: pip takes them as it does any other."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from downloads import Wheel


def make_wheel(folder: Path, project: str, files: Mapping[str, bytes]) -> Wheel:
    """Write version 1.0 of *project*, which holds *files*, into *folder*."""
    path = folder / f"{project}-1.0-py3-none-any.whl"
    about = f"{project}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return Wheel(f"{project}==1.0", path.name, hashlib.sha256(path.read_bytes()).hexdigest())
