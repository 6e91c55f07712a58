# SPDX-License-Identifier: Apache-2.0
"""RTLIL of a machine for synthesis: what ``generate`` writes as Verilog, with its memories as they
are on FPGAs."""

import re
from typing import Any

from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]

from blindvisor.hdl.cluster.core import core_verilog
from blindvisor.hdl.cluster.memory import MEMORY_NAME
from blindvisor.hdl.cluster.tile import Tile
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.generate import TOP_MODULE
from blindvisor.hdl.machine import TILE_MODULE, Machine

__all__ = ["block_ram", "machine_files"]


def machine_files(config: MachineConfig) -> dict[str, str]:
    """Return the machine and its tile, by file name, with clusters in block RAM."""
    tile = block_ram(_convert(Tile(config), TILE_MODULE), write_ports=1)
    files = {"tile.il": tile, "machine.il": _convert(Machine(config), TOP_MODULE)}
    core = core_verilog(config)
    return files | ({"core.v": core} if core else {})


def block_ram(text: str, *, write_ports: int) -> str:
    """Make true dual-port block RAM of cluster memories, with unknown contents at power-on.

    A word that is fetched in the cycle in which the other port writes it may be read as anything:
    block RAM promises no more, and what promises it (RTL) needs every memory twice, and a bypass.
    Software runs FENCE.I between writing code and running it; the monitor's writes (load, scrub)
    come while no core runs.

    Raises
    ------
    :exc:`RuntimeError`
        If the text has no such memory.
    """
    name = re.escape(f'parameter \\MEMID "\\\\{MEMORY_NAME}"')
    text, dropped = re.subn(
        rf"\n  cell \$meminit_v2 [^\n]*\n    {name}\n(?:    [^\n]*\n)*  end\n", "\n", text
    )
    text, relaxed = re.subn(
        rf"({name}\n(?:    parameter [^\n]*\n)*?    parameter \\COLLISION_X_MASK) \S+\n",
        rf"\1 {write_ports}'{'1' * write_ports}\n",
        text,
    )
    if not dropped or relaxed < 2 * dropped:
        raise RuntimeError(f"each {MEMORY_NAME} must have contents and two read ports")
    return text


def _convert(component: Any, name: str) -> str:
    return rtlil.convert(component, name=name, emit_src=False)
