# SPDX-License-Identifier: Apache-2.0
"""``blindvisor bench noc``: how soon and how much the mesh carries."""

import json
import shlex
import sys
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from blindvisor.sim.compiled import SimulatorError, SimulatorMissing
from blindvisor.sw.cli.app import CommandError, ExitCode
from blindvisor.sw.cli.steps import steps

__all__ = ["noc"]


@click.command()
@click.option(
    "--mesh",
    "meshes",
    type=click.Choice(["2", "4", "8"]),
    multiple=True,
    default=["4", "8"],
    show_default=True,
    help="Clusters per row and column; may be given several times.",
)
@click.option("--curves/--no-curves", default=True, help="Measure below saturation too.")
@click.option("--peers-depth/--no-peers-depth", default=True, help="2 flits per input too.")
@click.option("--window", type=click.IntRange(min=500), help="Cycles that are counted.")
@click.option("--table", is_flag=True, help="Write docs/noc.json, the tables and the plot.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def noc(
    meshes: tuple[str, ...],
    curves: bool,
    peers_depth: bool,
    window: int | None,
    table: bool,
    as_json: bool,
) -> int:
    """Measure latency and saturation of the mesh on its netlist.

    Traffic is made and checked in C++ around the Verilated routers: one packet at a time, growing
    loads, and an overload with sinks that are always ready; uniform random, transpose, hot-spot and
    neighbour. Exit code 1 if a mesh with the default FIFOs misses a goal. Needs Verilator.
    """
    from blindvisor.verification.noc.measure import (
        DEFAULT_DEPTH,
        PEERS_DEPTH,
        WINDOW,
        judge,
        measure_mesh,
    )
    from blindvisor.verification.noc.patterns import PATTERNS

    sizes = sorted({int(mesh) for mesh in meshes})
    if table and (sizes != [4, 8] or not curves or not peers_depth):
        raise CommandError("--table must be with all meshes, curves and depths: it writes all rows")
    found = []
    try:
        with steps() as step:
            for size in sizes:
                for depth in (DEFAULT_DEPTH, *([PEERS_DEPTH] if peers_depth else [])):
                    default = depth == DEFAULT_DEPTH
                    found.append(
                        measure_mesh(
                            width=size,
                            height=size,
                            fifo_depth=depth,
                            patterns=list(PATTERNS) if default else ["uniform random"],
                            curves=curves and default,
                            window=window or WINDOW,
                            step=step,
                        )
                    )
    except SimulatorMissing as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    except SimulatorError as error:
        raise CommandError(str(error), ExitCode.CHECK_FAILED) from error
    missed = [goal for mesh in found if mesh["fifo_depth"] == DEFAULT_DEPTH for goal in judge(mesh)]
    report = {
        "command": shlex.join(["blindvisor", *sys.argv[1:]]),
        "date": f"{datetime.now():%Y-%m-%d}",
        "meshes": found,
        "missed": missed,
    }
    if table:
        from blindvisor.verification.noc.page import write

        try:
            write(report)
        except ImportError as error:
            raise CommandError(
                f"the plot needs matplotlib: {error}", ExitCode.MISSING_TOOL
            ) from error
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        _report(report)
    for goal in missed:
        click.echo(goal, err=True)
    return ExitCode.CHECK_FAILED if missed else ExitCode.OK


def _report(report: dict[str, Any]) -> None:
    alone = Table("mesh", "FIFO", "flits", "cycles of one packet, by hops", box=None)
    loads = Table(
        *("mesh", "FIFO", "traffic", "flits", "bound", "carried", "share", "slowest sender"),
        box=None,
    )
    for mesh in report["meshes"]:
        name = [f"{mesh['width']} x {mesh['height']}", f"{mesh['fifo_depth']}"]
        for flits, by_hops in mesh["zero_load"].items():
            told = (
                f"{hops}: {least}" + (f"..{most}" if most != least else "")
                for hops, (least, most) in by_hops.items()
            )
            alone.add_row(*name, flits, ", ".join(told))
        for found in mesh["traffic"]:
            loads.add_row(
                *name,
                found["pattern"],
                f"{found['flits']}",
                f"{found['bound']:.3f}",
                f"{found['carried']:.3f}",
                f"{found['carried'] / found['bound']:.1%}",
                f"{found['slowest']:.3f}",
            )
    console = Console(width=120)
    console.print(alone)
    console.print(loads)
    click.echo(report["command"])
