# SPDX-License-Identifier: Apache-2.0
"""``blindvisor bench``: how fast things are, with the command and the host beside the figures."""

import json
import shlex
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from blindvisor.hdl.config import load_configuration
from blindvisor.sim.bench import bench_build, bench_generation, bench_run, host
from blindvisor.sim.compiled import SimulatorError, SimulatorMissing
from blindvisor.sim.machine import machine_verilog
from blindvisor.sim.session import ScenarioError
from blindvisor.sw.cli.app import CommandError, ExitCode
from blindvisor.sw.cli.bench_isolation import isolation
from blindvisor.sw.cli.bench_loader import loader, vectors
from blindvisor.sw.cli.bench_noc import noc
from blindvisor.sw.cli.steps import steps

__all__ = ["bench"]


@click.group()
def bench() -> None:
    """Measure simulation, loader, mesh, and what isolation costs."""


bench.add_command(loader)
bench.add_command(vectors)
bench.add_command(noc)
bench.add_command(isolation)


@bench.command()
@click.option("--config", default="reference", show_default=True, help="Machine: a name or a file.")
@click.option("--cold/--no-cold", default=True, help="Build the simulator from nothing too.")
@click.option("--meshes/--no-meshes", default=True, help="Generate growing meshes too.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def sim(config: str, cold: bool, meshes: bool, as_json: bool) -> int:
    """Measure generation, simulator build, and cycles per second with two guests computing.

    The same compiled model runs in turn under cocotb and under a bare loop in C++ that only
    toggles the clock; the ratio of both tells what Python costs. Needs Verilator.
    """
    machine = load_configuration(config)
    if machine.height < 2:
        raise CommandError(f"{machine.name} must have two rows for two guests, not one")
    if (simulator := host()["simulator"]) != "verilator":
        raise CommandError(f"bench sim needs verilator, not {simulator}", ExitCode.MISSING_TOOL)
    figures: dict[str, Any] = {"command": shlex.join(["blindvisor", *sys.argv[1:]]), "host": host()}
    try:
        with steps() as step:
            if meshes:
                figures["generation"] = bench_generation(step)
            step(f"generating {machine.name}", 0, None)
            verilog = machine_verilog(machine)
            step("building the simulator", 0, None)
            figures["build"] = bench_build(verilog, cold=cold)
            figures["run"] = {"config": machine.name} | bench_run(verilog, machine, step)
    except SimulatorMissing as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    except (SimulatorError, ScenarioError) as error:
        raise CommandError(str(error), ExitCode.CHECK_FAILED) from error
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        _report(figures)
    return ExitCode.OK


def _report(figures: dict[str, Any]) -> None:
    table = Table("what", "figure", box=None, pad_edge=False)
    for row in figures.get("generation", ()):
        size = f"{row['bytes'] / 1e6:.2f} MB of Verilog"
        table.add_row(f"generate {row['mesh']}", f"{row['seconds']:.1f} s, {size}")
    build, run = figures["build"], figures["run"]
    if build["cold_seconds"] is not None:
        table.add_row("build the simulator, cold", f"{build['cold_seconds']:.1f} s")
    table.add_row("build the simulator, cached", f"{build['cached_seconds']:.3f} s")
    for name, title in (("cocotb", "under cocotb"), ("bare", "bare C++ loop")):
        wall = run[f"{name}_cycles_per_second"]
        process = run[f"{name}_cycles_per_cpu_second"]
        table.add_row(
            f"{run['config']}, two guests, {title}",
            f"{wall:,.0f} cycles/s ({process:,.0f} per CPU second)",
        )
    table.add_row("ratio (CPU time)", f"{run['ratio']:.2f}")
    console = Console()
    console.print(table)
    machine = figures["host"]
    click.echo(f"{figures['command']}  ({machine['cpu']}, Python {machine['python']})")
