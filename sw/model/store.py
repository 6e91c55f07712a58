# SPDX-License-Identifier: Apache-2.0
"""What a machine remembers of VM identities, outside of it and beyond its power-off."""

from dataclasses import dataclass

from blindvisor.sw.image.format import IDENTITY_BYTES

__all__ = ["ROW_BITS", "Row", "Store"]

ROW_BITS = 256
"""Bits of a row on the machine's port (STORE_ROW of hdl/loader/store.py)."""

_VALID = 1 << 192


@dataclass(frozen=True, kw_only=True)
class Row:
    """A VM identity (16 bytes), the highest security version accepted, and the generation."""

    identity: bytes
    version: int
    generation: int

    def as_bits(self) -> int:
        """As the machine's port has it."""
        versions = self.version << 128 | self.generation << 160
        return int.from_bytes(self.identity, "little") | versions | _VALID

    @classmethod
    def from_bits(cls, bits: int) -> "Row | None":
        """Read what a machine writes; None: a free row."""
        if not bits & _VALID:
            return None
        return cls(
            identity=(bits & (1 << 128) - 1).to_bytes(IDENTITY_BYTES, "little"),
            version=bits >> 128 & 0xFFFF_FFFF,
            generation=bits >> 160 & 0xFFFF_FFFF,
        )


class Store:
    """Rows by number, and a count of power-ons; give it to one machine after another.

    Parameters
    ----------
    rows : :class:`int`
        How many rows there are: ``store_rows`` of the machine's configuration.

    Members
    -------
    epoch : :class:`int`
        Power-ons until now.
    """

    def __init__(self, rows: int) -> None:
        self.epoch = 0
        self._rows: list[Row | None] = [None] * rows

    @property
    def rows(self) -> tuple[Row | None, ...]:
        """What is kept."""
        return tuple(self._rows)

    def power_on(self) -> int:
        """Count a power-on; return its epoch, which no other one gets."""
        self.epoch += 1
        self.changed()
        return self.epoch

    def find(self, identity: bytes) -> int | None:
        """Return the number of an identity's row, or else of the first free one, if any."""
        for number, row in enumerate(self._rows):
            if row is not None and row.identity == identity:
                return number
        return self._rows.index(None) if None in self._rows else None

    def write(self, number: int, row: Row | None) -> None:
        """Replace a row; durable afterwards."""
        self._rows[number] = row
        self.changed()

    def changed(self) -> None:
        """Make durable what is kept. Here: for as long as the object lives."""
