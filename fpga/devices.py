# SPDX-License-Identifier: Apache-2.0
"""What the FPGAs of our boards hold, and how their netlists are counted."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DEVICES", "FAMILIES", "Capacity", "Family", "Usage", "count_cells"]


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Resources, of a netlist or of a device.

    Parameters
    ----------
    lut4 : :class:`int`
        LUT sites: look-up tables, and what adders and LUT RAM take of them.
    ff, ebr, dsp : :class:`int`
        Flip-flops, block RAMs, multipliers.
    """

    lut4: int = 0
    ff: int = 0
    ebr: int = 0
    dsp: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum, resource by resource."""
        return Usage(
            lut4=self.lut4 + other.lut4,
            ff=self.ff + other.ff,
            ebr=self.ebr + other.ebr,
            dsp=self.dsp + other.dsp,
        )


Capacity = Usage

DEVICES = {
    # The 12F is a 25F that is sold as half of it; the open tools use the whole.
    "LFE5U-12F": Usage(lut4=24_288, ff=24_288, ebr=56, dsp=28),
    "LFE5U-25F": Usage(lut4=24_288, ff=24_288, ebr=56, dsp=28),
    "LFE5U-45F": Usage(lut4=43_848, ff=43_848, ebr=108, dsp=72),
    "LFE5U-85F": Usage(lut4=83_640, ff=83_640, ebr=208, dsp=156),
    "LFE5UM5G-45F": Usage(lut4=43_848, ff=43_848, ebr=108, dsp=72),
    "LFE5UM5G-85F": Usage(lut4=83_640, ff=83_640, ebr=208, dsp=156),
    "iCE40UP5K": Usage(lut4=5_280, ff=5_280, ebr=30, dsp=8),
    "iCE40HX8K": Usage(lut4=7_680, ff=7_680, ebr=32, dsp=0),
    "GW1NR-9C": Usage(lut4=8_640, ff=6_480, ebr=26, dsp=20),
}
"""By the names that amaranth's platforms use."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """How a family's cells count.

    Parameters
    ----------
    lut4, ebr, dsp : mapping of cell type to number
        What one cell takes. LUT4 of an ECP5: a carry cell takes two sites, a LUT RAM of 16 x 4 six.
    ff : tuple of :class:`str`
        Prefixes of flip-flops.
    """

    lut4: Mapping[str, int]
    ebr: Mapping[str, int]
    dsp: Mapping[str, int]
    ff: tuple[str, ...]

    def usage(self, cell: str) -> Usage:
        """Return what one cell of this type takes."""
        return Usage(
            lut4=self.lut4.get(cell, 0),
            ff=int(cell.startswith(self.ff)),
            ebr=self.ebr.get(cell, 0),
            dsp=self.dsp.get(cell, 0),
        )


FAMILIES = {
    "ecp5": Family(
        lut4={"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6},
        ebr={"DP16KD": 1, "PDPW16KD": 1},
        dsp={"MULT18X18D": 1, "ALU54B": 1},
        ff=("TRELLIS_FF",),
    ),
    # An adder's LUT is a cell of its own beside its SB_CARRY.
    "ice40": Family(
        lut4={"SB_LUT4": 1},
        ebr={"SB_RAM40_4K": 1},
        dsp={"SB_MAC16": 1},
        ff=("SB_DFF",),
    ),
    "gowin": Family(
        lut4={f"LUT{n}": 1 for n in range(1, 5)} | {"ALU": 1, "RAM16SDP4": 8, "RAM16SDP2": 4},
        ebr=dict.fromkeys(("SDPB", "SDPX9B", "SPB", "SP", "DPB", "DPX9B", "SPX9"), 1),
        dsp=dict.fromkeys(("MULT9X9", "MULT18X18", "MULT36X36"), 1),
        ff=("DFF",),
    ),
}
"""By the names that board files use."""


def count_cells(family: Family, cells: Mapping[str, int]) -> Usage:
    """Return what a netlist takes, from how many cells of each type it has."""
    total = Usage()
    for cell, number in cells.items():
        one = family.usage(cell)
        total += Usage(
            lut4=one.lut4 * number, ff=one.ff * number, ebr=one.ebr * number, dsp=one.dsp * number
        )
    return total
