# SPDX-License-Identifier: Apache-2.0
"""Turns a component into Verilog and runs a cocotb bench on it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import find_libpython
from amaranth.back import verilog
from amaranth.lib import wiring
from cocotb_tools import config as cocotb_config
from cocotb_tools.check_results import get_results

from blindvisor.sim.compiled import CompiledModel, SimulatorError, compile_model, log_tail
from blindvisor.sim.events import Sink

__all__ = ["EVENTS_VARIABLE", "default_seed", "run_bench", "simulate"]

EVENTS_VARIABLE = "BLINDVISOR_EVENTS"


def default_seed() -> int:
    """Return the seed that ``COCOTB_RANDOM_SEED`` asks for, else 1."""
    return int(os.environ.get("COCOTB_RANDOM_SEED", "1"))


def run_bench(
    component: wiring.Component | str,
    bench: str,
    build_dir: Path,
    *,
    sim: str | None = None,
    seed: int | None = None,
    timeout: float = 600.0,
    top: str = "top",
    internals: bool = True,
    fast: bool = False,
    testcase: str | None = None,
    env: Mapping[str, str] | None = None,
    on_event: Sink | None = None,
) -> int:
    """Run every test of the module ``bench``; return how many ran.

    Parameters
    ----------
    component : :class:`~amaranth.lib.wiring.Component` or :class:`str`
        What is tested, or its Verilog.
    bench : :class:`str`
        Name of the module that holds the cocotb tests (``bench.__name__``).
    build_dir : :class:`~pathlib.Path`
        Receives the Verilog, the log and the results. The compiled model is in a cache.
    sim : :class:`str`
        ``verilator`` or ``icarus``; by default what ``SIM`` says, else Verilator if it is there.
    seed : :class:`int`
        Seed of ``random`` and ``cocotb.RANDOM_SEED``; by default ``COCOTB_RANDOM_SEED``, else 1.
    timeout : :class:`float`
        Wall-clock seconds for the run, compilation not included.
    top : :class:`str`
        Name of the top module, if ``component`` is Verilog.
    internals : :class:`bool`
        Whether the tests may look at signals other than the top's ports. Costs speed.
    fast : :class:`bool`
        Whether to spend compile time on speed; for long runs.
    testcase : :class:`str`
        Regular expression: run only the tests whose names match.
    env : mapping
        More environment variables for the tests.
    on_event : callable
        As for :func:`simulate`.

    Raises
    ------
    :exc:`AssertionError`
        If a test failed or none ran. The message ends with the end of the log.
    :exc:`~blindvisor.sim.compiled.SimulatorError`
        If the model could not be compiled, or died, or was too slow.
    """
    build_dir.mkdir(parents=True, exist_ok=True)
    if isinstance(component, str):
        source = component
    else:
        top = "top"
        # Paths in attributes would make the Verilog, and so the cache key, differ by checkout.
        source = verilog.convert(component, name=top, strip_internal_attrs=True)
    (build_dir / "top.v").write_text(source)
    model = compile_model(source, top=top, sim=sim, internals=internals, fast=fast)

    more = dict(env or {})
    if testcase is not None:
        more["COCOTB_TEST_FILTER"] = testcase
    log = build_dir / f"{bench.rpartition('.')[2]}.{model.simulator}.log"
    seed = default_seed() if seed is None else seed
    print(f"{bench} on {model.simulator}, COCOTB_RANDOM_SEED={seed}, log in {log}")
    results = simulate(model, bench, log, seed=seed, timeout=timeout, env=more, on_event=on_event)
    ran, failed = get_results(results)
    assert ran > 0, f"{bench} has no tests"
    assert failed == 0, f"{failed} of {ran} tests in {bench} failed; end of {log}:\n{log_tail(log)}"
    return ran


def simulate(
    model: CompiledModel,
    module: str,
    log: Path,
    *,
    seed: int,
    timeout: float = 600.0,
    env: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    on_event: Sink | None = None,
) -> Path:
    """Run the cocotb tests of ``module`` on ``model``; return cocotb's results file.

    Everything that is printed goes to ``log``, beside which the results file is put. With
    ``on_event`` the simulator gets the number of a pipe in :data:`EVENTS_VARIABLE`; each line of
    JSON that it writes there becomes a call.

    Raises
    ------
    :exc:`~blindvisor.sim.compiled.SimulatorError`
        If the simulator died or was still running after ``timeout`` seconds of wall-clock time.
    """
    log = log.resolve()
    results = log.with_suffix(".xml")
    results.unlink(missing_ok=True)
    libpython = find_libpython.find_libpython()
    if libpython is None:
        raise SimulatorError("cocotb needs a Python with a shared libpython, and found none")
    environment = os.environ | {
        "GPI_USERS": f"{libpython};{cocotb_config.pygpi_entry_point()}",
        "PYGPI_PYTHON_BIN": sys.executable,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "COCOTB_TOPLEVEL": model.top,
        "COCOTB_TEST_MODULES": module,
        "TOPLEVEL_LANG": "verilog",
        "COCOTB_RESULTS_FILE": str(results),
        "COCOTB_RANDOM_SEED": str(seed),
        "COCOTB_ANSI_OUTPUT": "0",
    }
    if model.simulator == "verilator":
        environment["COCOTB_TRUST_INERTIAL_WRITES"] = "1"  # writes and clock need no Python
    environment |= env or {}
    code = _run([*model.command(), *arguments], log, environment, timeout, on_event)
    if code is None:
        raise SimulatorError(
            f"{module} must end within {timeout:g} s and was still running; end of {log}:\n"
            f"{log_tail(log)}"
        )
    if not results.is_file():
        raise SimulatorError(
            f"the simulator ended with exit code {code} and without results; end of {log}:\n"
            f"{log_tail(log)}"
        )
    return results


def _run(
    command: list[str], log: Path, env: dict[str, str], timeout: float, on_event: Sink | None
) -> int | None:
    """Run to the end, or for ``timeout`` seconds; return the exit code or None."""
    deadline = time.monotonic() + timeout
    reader, writer = os.pipe()
    process = None
    try:
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=log.parent,
                env=env if on_event is None else env | {EVENTS_VARIABLE: str(writer)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=() if on_event is None else (writer,),
                start_new_session=True,
            )
        os.close(writer)
        writer = None
        if on_event is not None:
            _deliver(reader, deadline, on_event)
        return process.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        return None
    finally:
        os.close(reader)
        if writer is not None:
            os.close(writer)
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _deliver(reader: int, deadline: float, on_event: Sink) -> None:
    """Call ``on_event`` for each line until the other end is closed or time is up."""
    rest = b""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([reader], [], [], left)[0]:
            return
        piece = os.read(reader, 1 << 16)
        if not piece:
            return
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            on_event(json.loads(line))
