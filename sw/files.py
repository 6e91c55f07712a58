# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["write_new", "write_whole"]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place and move it there; an old file stays until then."""
    with _written_beside(path, data) as temporary:
        # The mode that open() would have given; mkstemp makes private files.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)


def write_new(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file that must not be there yet, with exactly these permissions.

    Raises
    ------
    :exc:`FileExistsError`
        If it is there.
    """
    with _written_beside(path, data) as temporary:
        temporary.chmod(mode)
        os.link(temporary, path)  # unlike a rename, fails if the name is taken


@contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[Path]:
    """Temporary file with the data, gone afterwards; errors name ``path``, not it."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
