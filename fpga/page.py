# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/boards.md: what was built, what its blocks take, the blocks alone.

``blindvisor boards --table`` adds to docs/boards.json what is under build/boards, and writes from
that file the lines between the marks in docs/boards.md. What others have built stays.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blindvisor.fpga.blocks import render_blocks
from blindvisor.fpga.boards import board_names, load_board

__all__ = ["FIGURES", "PAGE", "collect", "render", "short_tool", "write"]

PAGE = Path(__file__).parents[1] / "docs" / "boards.md"
FIGURES = PAGE.with_suffix(".json")

_KEPT = ("device", "machine", "used", "there", "blocks", "clocks", "bitstream")


def collect(figures: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the figures with those of the builds under a folder.

    Parameters
    ----------
    figures : mapping
        ``builds``: by board; ``blocks``: of :func:`~blindvisor.fpga.blocks.measure_blocks`.
    folder : :class:`~pathlib.Path`
        Has a folder per board, with the report that ``blindvisor build`` wrote.
    """
    builds = dict(figures.get("builds", {}))
    for name in board_names():
        path = folder / name / "report_blocks.json"
        if not path.is_file():
            continue
        report = json.loads(path.read_text())
        builds[name] = {key: report[key] for key in _KEPT} | {
            "path": [report["path"][0], report["path"][-1]] if report["path"] else [],
            "stages": {
                stage["stage"]: stage["run"] | {"tool": short_tool(stage["tool"])}
                for stage in report["stages"]
            },
        }
    return {"builds": dict(sorted(builds.items())), "blocks": dict(figures.get("blocks", {}))}


def render(page: str, figures: Mapping[str, Any]) -> str:
    """Return the page with the tables of these figures.

    Raises
    ------
    :exc:`ValueError`
        If a mark is missing.
    """
    for name, text in (
        ("builds", _builds(figures["builds"])),
        ("shares", _shares(figures["builds"])),
        ("blocks", render_blocks(figures["blocks"])),
    ):
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page must have the marks <!-- {name} --> and {end}")
        page = before + begin + text + end + after
    return page


def write(figures: Mapping[str, Any], *, page: Path = PAGE) -> None:
    """Write the figures beside the page, and the tables into it."""
    text = render(page.read_text(), figures)
    page.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")
    page.write_text(text)


def short_tool(told: str) -> str:
    """Return name and version of a tool from what it says of itself."""
    found = re.search(r"(Yosys|nextpnr)[ -](\d[^\s\")]*)", told)
    return f"{found[1].lower()} {found[2]}" if found else told


def _builds(builds: Mapping[str, Any]) -> str:
    titles = "board, FPGA, design, LUT sites, FF, block RAM, MHz (wanted), synthesis, routing"
    lines = [f"| {titles.replace(', ', ' | ')} | bitstream |", "|---" * 10 + "|"]
    for name in board_names():
        board = load_board(name)
        machine = board.machine
        row = builds.get(name)
        if row is None:
            design = f"{board.design} {machine.width} x {machine.height}"
            lines.append(f"| `{name}` | {board.device} | {design} | not built | | | | | | no |")
            continue
        clocks = ", ".join(f"{one['mhz']:.1f} ({one['wanted_mhz']:g})" for one in row["clocks"])
        lines.append(
            f"| `{name}` | {row['device']} | {row['machine']} | {_share(row, 'lut4')} |"
            f" {_share(row, 'ff')} | {_share(row, 'ebr')} | {clocks or '-'} |"
            f" {_stage(row, 'synthesis')} | {_stage(row, 'place and route')} |"
            f" {'yes' if row['bitstream'] else 'no'} |"
        )
    return "\n".join(lines) + "\n"


def _share(row: Mapping[str, Any], what: str) -> str:
    used, there = row["used"][what], row["there"][what]
    return f"{used:,} ({100 * used / there:.0f} %)"


def _stage(row: Mapping[str, Any], stage: str) -> str:
    run = row["stages"].get(stage)
    return f"{run['cpu_seconds']:.0f} s CPU, {run['peak_mb']} MB" if run else "-"


def _shares(builds: Mapping[str, Any]) -> str:
    """LUT sites of each block of a cluster, as a mean over the clusters, and of the rest."""
    machines = {name: row for name, row in builds.items() if row["machine"].startswith("machine")}
    if not machines:
        return "No machine was built yet.\n"
    lines = [
        "| LUT sites | " + " | ".join(f"`{name}`" for name in machines) + " |",
        "|---|" + "---|" * len(machines),
    ]
    sums = [_by_block(row["blocks"]) for row in machines.values()]
    names = sorted({name for one in sums for name in one}, key=lambda n: (n[0] != "cluster", n))
    for kind, name in names:
        numbers = (f"{one[kind, name]:,}" if (kind, name) in one else "-" for one in sums)
        lines.append(f"| {kind}{': ' + name if name else ''} | " + " | ".join(numbers) + " |")
    return "\n".join(lines) + "\n"


def _by_block(blocks: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    tiles = {name.partition(".")[0] for name in blocks if name.startswith("tile_")}
    found: dict[tuple[str, str], int] = {}
    for name, usage in blocks.items():
        first, _, rest = name.partition(".")
        if first in tiles:
            for key in (("cluster", ""), ("cluster", rest or "wires between blocks")):
                found[key] = found.get(key, 0) + usage["lut4"]
        else:
            kind = "I/O cluster" if first == "iocluster" else "board"
            for key in ((kind, ""), (kind, rest if kind != "board" else first)):
                found[key] = found.get(key, 0) + usage["lut4"]
    return {
        key: round(number / len(tiles)) if key[0] == "cluster" else number
        for key, number in found.items()
    }
