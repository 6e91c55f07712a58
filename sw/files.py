# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all."""

import os
import tempfile
from pathlib import Path

__all__ = ["write_new", "write_whole"]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place and move it there; an old file stays until then."""
    temporary = _write_beside(path, data)
    try:
        # The mode that open() would have given; mkstemp makes private files.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_new(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file that must not be there yet, with exactly these permissions.

    Raises
    ------
    :exc:`FileExistsError`
        If it is there.
    """
    temporary = _write_beside(path, data)
    try:
        temporary.chmod(mode)
        os.link(temporary, path)  # unlike a rename, fails if the name is taken
    finally:
        temporary.unlink()


def _write_beside(path: Path, data: bytes) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
