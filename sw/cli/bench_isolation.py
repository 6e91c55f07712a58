# SPDX-License-Identifier: Apache-2.0
"""``blindvisor bench isolation``: what isolation costs, and whether a neighbour can be noticed."""

import json
import shlex
import sys
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from blindvisor.hdl.config import load_configuration
from blindvisor.sim.compiled import SimulatorError, SimulatorMissing, simulator_name
from blindvisor.sim.session import ScenarioError
from blindvisor.sw.cli.app import CommandError, ExitCode
from blindvisor.sw.cli.steps import steps

__all__ = ["isolation"]


@click.command()
@click.option("--config", default="reference", show_default=True, help="Machine: a name or a file.")
@click.option("--guest", "guests", multiple=True, help="Only this one; may be given several times.")
@click.option(
    "--places",
    type=click.IntRange(1, 3),
    default=3,
    show_default=True,
    help="Places of each guest: a corner, the middle, the other corner.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Sets of attackers around each, none of them used twice.",
)
@click.option("--table", is_flag=True, help="Write docs/isolation.json, the tables and the plot.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def isolation(
    config: str, guests: tuple[str, ...], places: int, seeds: int, table: bool, as_json: bool
) -> int:
    """Measure run time, traces, covert channels and calls on RTL, side by side.

    Guests run alone, among attackers that flood mesh, I/O network and monitor, and alone on a
    machine made from a variant of the source without the SMMU's checks. All that a victim's cores
    exchange with their clusters is compared cycle by cycle. Covert channels are tried over I/O
    network, mesh and monitor. A variant without isolation of time and with a slow SMMU shows
    that the comparison can fail. Exit code 1 if anything is not as promised. Needs Verilator.
    """
    from blindvisor.verification.isolation.measure import GUESTS, judge, measure

    machine = load_configuration(config)
    if machine.clusters < 4 or machine.height < 2 or machine.width < 2 or machine.vms < 3:
        raise CommandError(f"{machine.name} must have 2 x 2 clusters and 3 VM slots, or more")
    if unknown := sorted(set(guests) - set(GUESTS)):
        raise CommandError(f"a guest must be one of {', '.join(GUESTS)}, not {unknown[0]}")
    if table and guests:
        raise CommandError("--table must be without --guest: it writes all rows")
    if simulator_name() != "verilator":
        raise CommandError("bench isolation needs verilator", ExitCode.MISSING_TOOL)
    try:
        with steps() as step:
            figures = measure(
                machine,
                guests=guests or tuple(GUESTS),
                places=places,
                seeds=seeds,
                step=step,
            )
    except SimulatorMissing as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    except (SimulatorError, ScenarioError) as error:
        raise CommandError(str(error), ExitCode.CHECK_FAILED) from error
    figures |= {
        "command": shlex.join(["blindvisor", *sys.argv[1:]]),
        "date": f"{datetime.now():%Y-%m-%d}",
        "missed": judge(figures),
    }
    if table:
        from blindvisor.verification.isolation.page import write

        try:
            write(figures)
        except ImportError as error:
            raise CommandError(
                f"the plot needs matplotlib: {error}", ExitCode.MISSING_TOOL
            ) from error
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        _report(figures)
    for goal in figures["missed"]:
        click.echo(goal, err=True)
    return ExitCode.CHECK_FAILED if figures["missed"] else ExitCode.OK


def _report(figures: dict[str, Any]) -> None:
    runs = Table(
        *("guest", "at", "cycles", "without checks", "SMMU costs", "among attackers", "trace"),
        box=None,
    )
    for run in figures["runs"]:
        for among in run["among"]:
            where = among["difference"]
            runs.add_row(
                run["guest"],
                f"{run['at'][0]},{run['at'][1]}",
                f"{run['cycles']:,}",
                f"{run['unchecked']:,}",
                f"{run['overhead']:.2f} %",
                f"{among['cycles']:,}" if among["cycles"] else "-",
                f"differs from cycle {where['cycle']:,} on" if where else "the same",
            )
    for control in figures["controls"]:
        among = control["among"]
        where = among["difference"]
        runs.add_row(
            f"{control['guest']}, leaky machine",
            f"{control['at'][0]},{control['at'][1]}",
            f"{control['cycles']:,}",
            "",
            "",
            f"{among['cycles']:,}" if among["cycles"] else "not ended",
            f"differs from cycle {where['cycle']:,} on" if where else "the same",
        )
    channels = Table("covert channel over", "machine", "bits per symbol", box=None)
    for found in figures["covert"]:
        channels.add_row(found["medium"], found["variant"], f"{found['bits_per_symbol']:.3f}")
    console = Console(width=120)
    console.print(runs)
    console.print(channels)
    if "calls" in figures:
        calls = Table("clusters", "image", *_CALLS, box=None)
        for life in figures["calls"]:
            calls.add_row(
                f"{life['clusters']}",
                f"{life['image']:,}",
                *(f"{life[name]:,}" for name in _CALLS),
            )
        console.print(calls)
        times = figures["mailbox"]
        click.echo(f"mailbox, word and answer: {min(times):,} to {max(times):,} cycles")
    click.echo(figures["command"])


_CALLS = ("create", "load", "grant", "start", "freeze", "resume", "status", "destroy")
