# SPDX-License-Identifier: Apache-2.0
"""What a build came to: cells per block of the hierarchy, clocks, the critical path."""

import json
import re
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from blindvisor.fpga.boards import Board
from blindvisor.fpga.build import NAME, Built
from blindvisor.fpga.devices import Family, Usage, count_cells

__all__ = ["BuildReport", "Clock", "block_usage", "clocks", "critical_path", "make_report"]

_NUMBERED = re.compile(r"\$\d+$")


@dataclass(frozen=True, kw_only=True)
class Clock:
    """A clock after routing: what was reached and what was asked for."""

    name: str
    mhz: float
    wanted_mhz: float


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """Everything about one build.

    Parameters
    ----------
    board, device, machine : :class:`str`
        What was built, for what.
    used, there : :class:`Usage`
        Of the whole netlist, and of the device.
    blocks : mapping
        Resources by block, ``tile_0_0.smmu`` and so on, to the depth asked for.
    clocks : list of :class:`Clock`
        Empty before place and route.
    path : list of :class:`str`
        The slowest path, a line for each step, in the design's names.
    stages : list of :class:`Built`
        What each stage took.
    bitstream : :class:`str` or None
        Name of the file, if it was made.
    """

    board: str
    device: str
    machine: str
    used: Usage
    there: Usage
    blocks: dict[str, Usage]
    clocks: list[Clock]
    path: list[str]
    stages: list[Built]
    bitstream: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def make_report(board: Board, folder: Path, stages: list[Built], *, depth: int = 2) -> BuildReport:
    """Read what the tools left in a build's folder.

    Parameters
    ----------
    board : :class:`Board`
        What was built.
    folder : :class:`~pathlib.Path`
        Of the build.
    stages : list of :class:`Built`
        What :func:`build` returned: no file of a later stage is looked at.
    depth : :class:`int`
        Levels of the hierarchy below the board's own.
    """
    netlist = folder / (f"{NAME}.syn.json" if board.family == "gowin" else f"{NAME}.json")
    cells = _top(json.loads(netlist.read_text()))["cells"]
    blocks = block_usage(cells, board.cells, depth=depth)
    placed = len(stages) > 1
    timing = json.loads((folder / "report.json").read_text()) if placed else {}
    products = [folder / f"{NAME}.{ending}" for ending in ("bit", "bin", "fs")]
    machine = board.machine
    return BuildReport(
        board=board.name,
        device=board.device,
        machine=f"{board.design} {machine.width} x {machine.height}",
        used=sum(blocks.values(), Usage()),
        there=board.capacity,
        blocks=blocks,
        clocks=clocks(timing),
        path=critical_path(timing),
        stages=stages,
        bitstream=next((path.name for path in products if path.is_file()), None)
        if len(stages) > 2
        else None,
    )


def block_usage(cells: dict[str, Any], family: Family, *, depth: int) -> dict[str, Usage]:
    """Return what each block takes of a flattened netlist.

    A cell belongs to the block that its name says. Registers and memories have the names of the
    design; a look-up table has that of the register, or else of the wire, that yosys named it by
    (``autoname``), so logic that two blocks share counts for one of them.
    """
    types: dict[str, Counter[str]] = defaultdict(Counter)
    for name, cell in cells.items():
        types[block_of(name, depth=depth)][cell["type"]] += 1
    counted = {block: count_cells(family, number) for block, number in sorted(types.items())}
    return {block: usage for block, usage in counted.items() if usage != Usage()}


def block_of(name: str, *, depth: int) -> str:
    """Return the block of a cell from its name after flattening.

    ``board.machine`` in front of a machine's blocks is left out, and so are yosys's own marks.
    """
    plain = name.replace("$flatten", "").replace("\\", "")
    parts = [_NUMBERED.sub("", part) for part in plain.split(".")[:-1]]
    parts = [part for part in parts if part and not part.startswith("$")]
    if parts[:2] == ["board", "machine"]:
        parts = parts[2:] or ["machine"]
    elif parts[:1] == ["board"] or parts[:1] == ["fabric"]:
        parts = parts[1:] or ["board"]
    return ".".join(parts[:depth]) or "top"


def clocks(timing: dict[str, Any]) -> list[Clock]:
    """Return the clocks of nextpnr's report."""
    return [
        Clock(
            name=name.removeprefix("$glbnet$"),
            mhz=round(clock["achieved"], 2),
            wanted_mhz=round(clock["constraint"], 2),
        )
        for name, clock in sorted(timing.get("fmax", {}).items())
    ]


def critical_path(timing: dict[str, Any]) -> list[str]:
    """Return the longest path within one clock of nextpnr's report, a line per step."""
    paths = [
        path["path"]
        for path in timing.get("critical_paths", ())
        if path["from"] == path["to"] and path["path"]
    ]
    if not paths:
        return []
    longest = max(paths, key=lambda path: sum(step["delay"] for step in path))
    lines = []
    total = 0.0
    for step in longest:
        total += step["delay"]
        what = step.get("net") or f"{step['to']['cell']} {step['to']['port']}"
        lines.append(f"{total:7.2f} ns  {step['type']:<9} {what}")
    return lines


def _top(netlist: dict[str, Any]) -> dict[str, Any]:
    return netlist["modules"][NAME]
