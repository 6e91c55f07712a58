# SPDX-License-Identifier: Apache-2.0
"""Blocks alone on ECP5, beside their targets and the open peers: the tables of docs/boards.md."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from amaranth.lib import wiring

from blindvisor.fpga.measure import Run, measure
from blindvisor.hdl.cluster.core import core_verilog, make_core
from blindvisor.hdl.cluster.scrubber import Scrubber
from blindvisor.hdl.cluster.tile import Tile
from blindvisor.hdl.config import CONFIGURATIONS, MachineConfig
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
_SMALLER = replace(_CONFIG, core="vexriscv")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of the machine, with what it may take.

    Parameters
    ----------
    name, target : :class:`str`
        For the table.
    make : callable
        Makes it, for ``config``.
    place : :class:`bool`
        Whether its clock alone says anything.
    config : :class:`MachineConfig`
        The reference machine, or one with another core.
    """

    name: str
    make: Callable[[MachineConfig], wiring.Component]
    target: str = ""
    place: bool = False
    config: MachineConfig = _CONFIG


BLOCKS = (
    Block(
        name="router",
        make=lambda config: Router(fifo_depth=config.fifo_depth),
        target="1,200 LUTeq, 85 MHz",
        place=True,
    ),
    Block(name="SMMU", make=Smmu, target="250 LUT4"),
    Block(name="fault record (in the SMMU)", make=lambda _: FaultRecord(sources=FAULT_SOURCES)),
    Block(name="I/O node", make=IoNode, target="120 LUT4"),
    Block(name="scrubber", make=lambda config: Scrubber(words=config.memory_words)),
    Block(name="core, Minerva", make=make_core),
    Block(name="core, VexRiscv", make=make_core, config=_SMALLER),
    Block(name="tile, Minerva", make=Tile),
    Block(name="tile, VexRiscv", make=Tile, config=_SMALLER),
    Block(name="monitor", make=Monitor),
    Block(name="loader", make=Loader),
)
"""In the order of the table."""

_SECURITY = ("SMMU", "I/O node", "scrubber")  # the fault record is in the SMMU
_TILES = ("tile, Minerva", "tile, VexRiscv")

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
    measuring: bool = True,
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
        found = measure(
            lambda block=block: block.make(block.config),
            options=OPTIONS,
            seeds=SEEDS if place and block.place else (),
            run=run,
            measuring=measuring,
            more=core_verilog(block.config),
        )
        if found:
            figures[block.name] = found
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
            f" {row['ebr']} | {_mhz(row)} | {block.target or '-'} |"
        )
    lines += [
        f"| peer: {name} | {lut4:,} | {luteq:,} | {ff:,} | - | {mhz} | - |"
        for name, lut4, luteq, ff, mhz in PEERS
    ]
    lines += [""] if any(tile in figures for tile in _TILES) else []
    lines += [
        f"SMMU, I/O node and scrubber: {_share(figures, tile):.1f} % of the LUTeq of the {tile}"
        " (target: 12 %)."
        for tile in _TILES
        if {tile, *_SECURITY} <= figures.keys()
    ]
    return "\n".join(lines) + "\n"


def _share(figures: dict[str, dict[str, Any]], tile: str) -> float:
    security = sum(_equivalents(figures[name]) for name in _SECURITY)
    return 100 * security / _equivalents(figures[tile])


def _equivalents(row: dict[str, Any]) -> int:
    """LUTeq: LUT4, two for a carry cell, six for a LUT RAM."""
    return row["lut4"] + 2 * row["ccu2c"] + 6 * row["dpr16x4"]


def _mhz(row: Mapping[str, Any]) -> str:
    return f"{row['mhz']:.1f}" if "mhz" in row else "-"
