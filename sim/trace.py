# SPDX-License-Identifier: Apache-2.0
"""Files beside a VCD that make viewers show the interesting signals first."""

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["interesting", "signals", "write_viewer_files"]

_GROUPS = {
    "hypervisor": r"(clk|rst|interrupt|hypervisor__\w+)",
    "terminals": r"tty_(in|out)__\w+",
    "clusters": r"tile_\d+_\d+\.smmu\.lifecycle\.(state|ownership\.owner)",
}
"""Groups of signals by what their path below the top looks like."""


def signals(vcd: Path) -> Iterator[tuple[str, int]]:
    """Return path (dots between scopes) and width of each signal in a VCD's header."""
    scopes: list[str] = []
    with vcd.open(errors="replace") as file:
        for line in file:
            words = line.split()
            match words:
                case ["$scope", _, name, *_]:
                    scopes.append(name)
                case ["$upscope", *_]:
                    scopes.pop()
                case ["$var", _, width, _, name, *_]:
                    yield ".".join([*scopes, name]), int(width)
                case ["$enddefinitions", *_]:
                    return


def interesting(vcd: Path) -> dict[str, list[tuple[str, int]]]:
    """Return the signals of each group, without the copies that Verilator makes of ports."""
    found: dict[str, dict[str, tuple[str, int]]] = {group: {} for group in _GROUPS}
    for path, width in signals(vcd):
        below = re.sub(r"^(TOP\.)?(harness\.)?blindvisor\.", "", path)
        if below == path:
            continue  # a port of Verilator's wrapper: the top has it too
        for group, pattern in _GROUPS.items():
            if re.fullmatch(pattern, below):
                found[group].setdefault(below, (path, width))
    return {group: list(paths.values()) for group, paths in found.items()}


def write_viewer_files(vcd: Path) -> tuple[Path, Path]:
    """Write a GTKWave save file and a Surfer command file; return their names.

    ``gtkwave F.gtkw`` opens the trace with its signals; ``surfer F.vcd -c F.surfer`` too.
    """
    groups = interesting(vcd)
    gtkw = [f'[dumpfile] "{vcd.resolve()}"']
    surfer = []
    for group, paths in groups.items():
        gtkw += ["@200", f"-{group}"]
        surfer.append(f"divider_add {group}")
        for path, width in paths:
            gtkw += [
                "@28" if width == 1 else "@22",
                f"{path}[{width - 1}:0]" if width > 1 else path,
            ]
            surfer.append(f"variable_add {path}")
    files = vcd.with_suffix(".gtkw"), vcd.with_suffix(".surfer")
    for file, lines in zip(files, (gtkw, surfer), strict=True):
        file.write_text("\n".join(lines) + "\n")
    return files
