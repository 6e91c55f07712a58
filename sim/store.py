# SPDX-License-Identifier: Apache-2.0
"""The store of a simulated machine, as a file that outlives the simulation."""

import json
from pathlib import Path

from blindvisor.sw.files import write_whole
from blindvisor.sw.model.store import Row, Store

__all__ = ["FileStore", "StoreFileError"]

_FORMAT = 1


class StoreFileError(ValueError):
    """A file that is no store, or one of a machine with another number of rows."""


class FileStore(Store):
    """A store in a JSON file, which is written beside its place and renamed at each change.

    Parameters
    ----------
    path : :class:`~pathlib.Path`
        The file; one that is not there is an empty store.
    rows : :class:`int`
        ``store_rows`` of the machine.

    Raises
    ------
    :exc:`StoreFileError`
        If the file is not such a store.

    Notes
    -----
    Whoever can change the file can roll VMs back: it stands for non-volatile memory inside of the
    machine. Two machines must not share one at the same time.
    """

    def __init__(self, path: Path, rows: int) -> None:
        super().__init__(rows)
        self._path = path
        if not path.is_file():
            return
        try:
            content = json.loads(path.read_text())
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {content['format']}, not {_FORMAT}")
            self.epoch = int(content["epoch"])
            kept = [
                None
                if row is None
                else Row(
                    identity=bytes.fromhex(row["identity"]),
                    version=int(row["version"]),
                    generation=int(row["generation"]),
                )
                for row in content["rows"]
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise StoreFileError(f"{path} must be a store of blindvisor: {error}") from error
        if len(kept) != rows:
            raise StoreFileError(
                f"{path} must have the {rows} rows of this machine's store, not {len(kept)}"
            )
        self._rows = kept

    def changed(self) -> None:
        """Write the file."""
        rows = [
            None
            if row is None
            else {
                "identity": row.identity.hex(),
                "version": row.version,
                "generation": row.generation,
            }
            for row in self.rows
        ]
        content = {"format": _FORMAT, "epoch": self.epoch, "rows": rows}
        write_whole(self._path, (json.dumps(content, indent=1) + "\n").encode())
