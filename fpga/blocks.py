# SPDX-License-Identifier: Apache-2.0
"""Blocks alone on ECP5, beside their targets and the open peers: the tables of docs/boards.md."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.lib import wiring

from blindvisor.fpga.measure import Run, measure
from blindvisor.hdl.cluster.scrubber import Scrubber
from blindvisor.hdl.cluster.tile import Tile
from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.hdl.iocluster.monitor import Monitor
from blindvisor.hdl.ionet.node import IoNode
from blindvisor.hdl.loader.loader import Loader
from blindvisor.hdl.noc.router import Router
from blindvisor.hdl.smmu.faults import FaultRecord
from blindvisor.hdl.smmu.smmu import FAULT_SOURCES, Smmu

__all__ = ["BLOCKS", "OPTIONS", "PEERS", "Block", "measure_blocks", "render_blocks"]

OPTIONS = "-nowidelut"
SEEDS = (1, 2, 3)
_CONFIG = CONFIGURATIONS["reference"]


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of the machine, with what it may take.

    Parameters
    ----------
    name, target : :class:`str`
        For the table.
    make : callable
        Makes it, as it is in the reference machine.
    place : :class:`bool`
        Whether its clock alone says anything.
    """

    name: str
    make: Callable[[], wiring.Component]
    target: str = ""
    place: bool = False


BLOCKS = (
    Block(
        name="router",
        make=lambda: Router(fifo_depth=_CONFIG.fifo_depth),
        target="1,200 LUTeq, 85 MHz",
        place=True,
    ),
    Block(name="SMMU", make=lambda: Smmu(_CONFIG), target="250 LUT4"),
    Block(name="fault record (in the SMMU)", make=lambda: FaultRecord(sources=FAULT_SOURCES)),
    Block(name="I/O node", make=lambda: IoNode(_CONFIG), target="120 LUT4"),
    Block(name="scrubber", make=lambda: Scrubber(words=_CONFIG.memory_words)),
    Block(name="tile", make=lambda: Tile(_CONFIG)),
    Block(name="monitor", make=lambda: Monitor(_CONFIG)),
    Block(name="loader", make=lambda: Loader(_CONFIG)),
)
"""In the order of the table."""

PEERS = (
    # router, LUT4, LUTeq, FF, MHz; flit bits
    ("basejump_stl bsg_mesh_router_buffered (b778890), 34 bits", 993, 1263, 37, 94.2),
    ("basejump_stl bsg_wormhole_router (b778890), 34 bits", 1362, 1632, 71, 80.9),
    ("RaveNoC (ffc4683), 34 bits", 1709, 1709, 425, 102.9),
    ("FlooNoC floo_router (2fa02eb), 35 bits", 1311, 1311, 456, 74.9),
    ("ProNoC two-stage (4a5e410), 32 bits", 1315, 1585, 559, 96.0),
    ("OpenPiton dynamic_node (41a14a0), 64 bits", 2108, 2736, 244, 79.3),
    ("tnoc (7e9841f), 41 bits", 3685, 4345, 2575, 62.6),
)
"""Open mesh routers with 5 ports, measured on 2026-11-23 with yosys 0.70 ``synth_ecp5`` (default
options) and nextpnr-ecp5 0.11.1, LFE5U-85F, speed 6, median of 3 seeds."""


def measure_blocks(
    *,
    place: bool = True,
    step: Callable[[str], None] | None = None,
    run: Run | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the figures of :func:`~blindvisor.fpga.measure.measure` by block.

    Raises
    ------
    :exc:`ToolMissing`
        If yosys or nextpnr is not installed.
    """
    figures = {}
    for block in BLOCKS:
        if step is not None:
            step(block.name)
        figures[block.name] = measure(
            block.make,
            options=OPTIONS,
            seeds=SEEDS if place and block.place else (),
            run=run,
        )
    return figures


def render_blocks(figures: dict[str, dict[str, Any]]) -> str:
    """Return the table of blocks and peers as Markdown."""
    lines = [
        "| block | LUT4 | LUTeq | FF | EBR | MHz | target |",
        "|---|---|---|---|---|---|---|",
    ]
    for block in BLOCKS:
        row = figures.get(block.name)
        if row is None:
            continue
        lines.append(
            f"| {block.name} | {row['lut4']:,} | {_equivalents(row):,} | {row['ff']:,} |"
            f" {row['ebr']} | {row.get('mhz', '-')} | {block.target or '-'} |"
        )
    lines += [
        f"| peer: {name} | {lut4:,} | {luteq:,} | {ff:,} | - | {mhz} | - |"
        for name, lut4, luteq, ff, mhz in PEERS
    ]
    return "\n".join(lines) + "\n"


def _equivalents(row: dict[str, Any]) -> int:
    """LUTeq: LUT4, two for a carry cell, six for a LUT RAM."""
    return row["lut4"] + 2 * row["ccu2c"] + 6 * row["dpr16x4"]
