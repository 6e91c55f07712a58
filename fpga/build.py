# SPDX-License-Identifier: Apache-2.0
"""From a board's name to a bitstream, in stages that are kept by what they were made from."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from blindvisor.fpga.boards import Board
from blindvisor.fpga.devices import Usage, count_cells
from blindvisor.fpga.netlist import machine_files
from blindvisor.fpga.tools import Run, find_tool, run_tool
from blindvisor.sw.files import write_whole

__all__ = ["STAGES", "Built", "DoesNotFit", "Plan", "build", "check_fit", "make_plan"]

NAME = "top"
STAGES = ("synthesis", "place and route", "bitstream")
DEVELOPMENT_KEY = bytes(range(32))
"""Root key of bitstreams made without one: everybody knows it."""

Tell = Callable[[str, str], None]


class DoesNotFit(ValueError):
    """The netlist needs more than the FPGA has."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a build will do.

    Parameters
    ----------
    board : :class:`Board`
        For which board.
    files : mapping
        Sources, scripts and constraints by name.
    commands : list
        One command line per stage, as amaranth names its tools.
    seed : :class:`int`
        Of the placement.
    """

    board: Board
    files: dict[str, str]
    commands: list[list[str]]
    seed: int


@dataclass(frozen=True, kw_only=True)
class Built:
    """One stage as it was done.

    Parameters
    ----------
    stage : :class:`str`
        One of :data:`STAGES`.
    kept : :class:`bool`
        It was there already, made from the same.
    run : :class:`Run`
        What it took when it was done.
    tool : :class:`str`
        Version of the tool.
    """

    stage: str
    kept: bool
    run: Run
    tool: str


def make_plan(board: Board, *, seed: int = 1, root_key: bytes = DEVELOPMENT_KEY) -> Plan:
    """Elaborate a board's design.

    Raises
    ------
    :exc:`BoardError`
        If the board's platform is not installed.
    """
    platform = board.make_platform()
    if board.design == "machine":
        from blindvisor.fpga.machine_top import MachineTop

        top: Any = MachineTop(board, root_key=root_key)
        for name, text in machine_files(board.machine).items():
            platform.add_file(name, text)
    else:
        from blindvisor.fpga.fabric_top import FabricTop

        top = FabricTop(board)
    options = f"--seed {seed} --report report.json --timing-allow-fail {board.place}"
    plan = platform.prepare(
        top,
        NAME,
        emit_src=False,
        debug_verilog=False,
        synth_opts=board.synthesis,
        script_after_synth="tee -o cells.json stat -json",
        nextpnr_opts=options.strip(),
    )
    files = {
        name: text if isinstance(text, str) else text.decode()
        for name, text in plan.files.items()
        if not name.startswith("build_") and not name.endswith(".debug.v")
    }
    commands = [_adapted(line) for line in json.loads(plan.files[f"build_{NAME}.json"])["commands"]]
    return Plan(board=board, files=files, commands=commands, seed=seed)


def build(
    plan: Plan, folder: Path, *, until: str = STAGES[-1], tell: Tell | None = None
) -> list[Built]:
    """Do what is not yet done; a stage whose inputs are the same as last time is kept.

    Parameters
    ----------
    plan : :class:`Plan`
        From :func:`make_plan`.
    folder : :class:`~pathlib.Path`
        Gets everything. A build that was interrupted goes on from its last whole stage.
    until : :class:`str`
        The last stage to do.
    tell : callable
        Called with the stage and what its tool is at.

    Raises
    ------
    :exc:`DoesNotFit`
        After synthesis, if the FPGA is too small.
    :exc:`ToolMissing`, :exc:`ToolFailed`
        If a tool is not there, or gave up.
    """
    tools = [find_tool(command[0]) for command in plan.commands[: STAGES.index(until) + 1]]
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in plan.files.items():
        if not (folder / name).is_file() or (folder / name).read_text() != text:
            write_whole(folder / name, text.encode())
    digest = ""
    done = []
    for number, tool in enumerate(tools):
        stage, command = STAGES[number], plan.commands[number]
        inputs = [digest, tool.version, *command, *_inputs(plan, number)]
        digest = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
        record = folder / f"stage{number}.json"
        if (kept := _kept(record, digest)) is not None:
            done.append(replace(kept, kept=True))
        else:
            record.unlink(missing_ok=True)
            log = folder / (f"{NAME}.rpt" if number == 0 else f"{NAME}.tim")
            run = run_tool(
                [tool.path, *command[1:]],
                folder,
                log=log,
                tell=None if tell is None else lambda line, stage=stage: tell(stage, line),
            )
            built = Built(stage=stage, kept=False, run=run, tool=tool.version)
            write_whole(record, json.dumps({"key": digest} | asdict(built)).encode())
            done.append(built)
        if number == 0:
            check_fit(plan.board, netlist_usage(plan.board, folder))
    return done


def netlist_usage(board: Board, folder: Path) -> Usage:
    """Return what the synthesized netlist in a folder takes."""
    stat = json.loads((folder / "cells.json").read_text())
    return count_cells(board.cells, stat["design"]["num_cells_by_type"])


def check_fit(board: Board, used: Usage) -> None:
    """Refuse a netlist that needs more than there is.

    Raises
    ------
    :exc:`DoesNotFit`
        With how much is missing of what, and what would fit.
    """
    missing = [
        f"{need} {title} of {there} ({need - there} too many)"
        for title, need, there in (
            ("LUT4", used.lut4, board.capacity.lut4),
            ("flip-flops", used.ff, board.capacity.ff),
            ("block RAMs", used.ebr, board.capacity.ebr),
            ("multipliers", used.dsp, board.capacity.dsp),
        )
        if need > there
    ]
    if missing:
        machine = board.machine
        smaller = (
            f"{machine.width} x {machine.height - 1}" if machine.height > 1 else "a smaller one"
        )
        raise DoesNotFit(
            f"{machine.width} x {machine.height} clusters do not fit on {board.device}: it needs"
            f" {', '.join(missing)}. Try {smaller} (--config), or a larger board"
            " (blindvisor boards)"
        )


def _adapted(command: list[str]) -> list[str]:
    """Say to nextpnr's Gowin architecture what amaranth 0.5 says to its forerunner."""
    if command[0] != "nextpnr-gowin":
        return command
    options = dict(pairwise(command))
    renamed = []
    skip = False
    for word in command[1:]:
        if skip:
            skip = False
        elif word in ("--family", "--cst"):
            skip = True
            renamed += ["--vopt", f"{word[2:]}={options[word]}"]
        else:
            renamed.append(word)
    return [command[0], *renamed]


def _inputs(plan: Plan, number: int) -> list[str]:
    """Texts that a stage reads beside what the stage before it wrote."""
    constraints = (".lpf", ".pcf", ".cst", ".sdc")
    return [
        text
        for name, text in sorted(plan.files.items())
        if name.endswith(constraints) == (number == 1) and number < 2
    ]


def _kept(record: Path, digest: str) -> Built | None:
    try:
        found = json.loads(record.read_text())
        if found.pop("key") != digest:
            return None
        return Built(**found | {"run": Run(**found["run"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
