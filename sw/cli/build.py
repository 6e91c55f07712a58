# SPDX-License-Identifier: Apache-2.0
"""``blindvisor build`` and ``blindvisor boards``: bitstreams from open tools."""

import json
import shlex
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from blindvisor.fpga import page
from blindvisor.fpga.boards import BoardError, board_names, load_board
from blindvisor.fpga.clocking import PllError
from blindvisor.fpga.measure import ToolMissing
from blindvisor.fpga.tools import ToolFailed
from blindvisor.hdl.config import load_configuration
from blindvisor.sw.cli.app import CommandError, ExitCode
from blindvisor.sw.files import write_whole

__all__ = ["boards", "build"]

OUTPUT = Path("build") / "boards"


@click.command()
@click.option("--board", "name", required=True, metavar="NAME", help="See: blindvisor boards.")
@click.option("--config", metavar="NAME|FILE", help="Another machine than the board's own.")
@click.option("--seed", default=1, show_default=True, help="Of the placement.")
@click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Device key (blindvisor image keygen) to put into the bitstream; else one that all know.",
)
@click.option("--plan-only", is_flag=True, help="Write sources and constraints; run no tool.")
@click.option(
    "--until",
    type=click.Choice(["synthesis", "place and route", "bitstream"]),
    default="bitstream",
    show_default=True,
    help="Last stage to do.",
)
@click.option("--depth", default=2, show_default=True, help="Levels of blocks in the report.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="By default build/boards/NAME.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def build(
    name: str,
    config: str | None,
    seed: int,
    key: Path | None,
    plan_only: bool,
    until: str,
    depth: int,
    output: Path | None,
    as_json: bool,
) -> int:
    """Make a bitstream, and say what it takes and how fast it is.

    Goes on where it was interrupted: a stage whose inputs have not changed is kept. Ends with 1 if
    the design does not fit, a tool gives up, or a clock is slower than the board needs.
    """
    from blindvisor.fpga import build as flow
    from blindvisor.fpga.report import make_report

    folder = output or OUTPUT / name
    try:
        board = load_board(name, machine=None if config is None else load_configuration(config))
        with Console(stderr=True).status(f"Elaborating {board.title} ..."):
            plan = flow.make_plan(
                board, seed=seed, root_key=flow.DEVELOPMENT_KEY if key is None else _root_key(key)
            )
        if plan_only:
            folder.mkdir(parents=True, exist_ok=True)
            for file, text in plan.files.items():
                write_whole(folder / file, text.encode())
            click.echo(f"wrote {len(plan.files)} files into {folder}; the commands would be:")
            for command in plan.commands:
                click.echo(f"  {shlex.join(command)}")
            return ExitCode.OK
        with _progress() as progress:
            task = progress.add_task("starting", tool="")
            stages = flow.build(
                plan,
                folder,
                until=until,
                tell=lambda stage, line: progress.update(task, description=stage, tool=line[:90]),
            )
        report = make_report(board, folder, stages, depth=depth)
    except (BoardError, PllError) as error:
        raise CommandError(str(error)) from error
    except ToolMissing as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    except (flow.DoesNotFit, ToolFailed) as error:
        raise CommandError(str(error), ExitCode.CHECK_FAILED) from error
    text = json.dumps(report.as_dict(), indent=2)
    write_whole(folder / "report_blocks.json", text.encode())
    if as_json:
        click.echo(text)
    else:
        _show(report, folder)
    slow = [clock for clock in report.clocks if clock.mhz < clock.wanted_mhz]
    if slow:
        raise CommandError(
            f"the clock {slow[0].name} reaches {slow[0].mhz} MHz of {slow[0].wanted_mhz}: try other"
            " seeds (--seed)",
            ExitCode.CHECK_FAILED,
        )
    return ExitCode.OK


@click.command()
@click.option(
    "--blocks",
    is_flag=True,
    help="Instead: measure the machine's blocks alone, beside peers (many minutes; kept).",
)
@click.option("--kept", is_flag=True, help="With --blocks: only what was measured already.")
@click.option(
    "--table",
    is_flag=True,
    help="Write docs/boards.json, and the tables of docs/boards.md; with --blocks, theirs.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def boards(blocks: bool, kept: bool, table: bool, as_json: bool) -> int:
    """List the boards, what goes onto each, and what was built of it.

    A figure is shown where build/boards has that board's report; docs/boards.md has what the
    authors saw.
    """
    if blocks:
        return _blocks(kept=kept, table=table, as_json=as_json)
    if table:
        _write(page.collect(_figures(), OUTPUT))
    found = []
    for name in board_names():
        board = load_board(name)
        machine = board.machine
        report = OUTPUT / name / "report_blocks.json"
        found.append(
            {
                "name": name,
                "title": board.title,
                "device": board.device,
                "design": f"{board.design} {machine.width} x {machine.height}",
                "clock_mhz": board.clock_mhz,
                "built": _built(report),
                "program": board.program,
                "note": board.note,
            }
        )
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return ExitCode.OK
    listed = Table("board", "what", "FPGA", "design", "MHz", "built here", box=None, pad_edge=False)
    for row in found:
        listed.add_row(
            row["name"],
            row["title"],
            row["device"],
            row["design"],
            f"{row['clock_mhz']:g}",
            row["built"] or "no",
        )
    Console().print(listed)
    for row in found:
        if row["note"]:
            click.echo(f"{row['name']}: {row['note']}")
    return ExitCode.OK


def _figures() -> dict[str, Any]:
    return json.loads(page.FIGURES.read_text())


def _write(figures: dict[str, Any]) -> None:
    page.write(figures)
    click.echo(f"wrote {page.FIGURES.name} and the tables of {page.PAGE.name}", err=True)


def _blocks(*, kept: bool, table: bool, as_json: bool) -> int:
    from blindvisor.fpga.blocks import measure_blocks, render_blocks

    try:
        with _progress() as progress:
            task = progress.add_task("measuring", tool="")
            figures = measure_blocks(
                measuring=not kept, step=lambda name: progress.update(task, tool=name)
            )
    except ToolMissing as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    except RuntimeError as error:
        raise CommandError(str(error), ExitCode.CHECK_FAILED) from error
    if table:
        known = _figures()
        _write(known | {"blocks": known["blocks"] | figures})
    click.echo(json.dumps(figures, indent=2) if as_json else render_blocks(figures), nl=as_json)
    return ExitCode.OK


def _built(path: Path) -> str | None:
    """One line about a build's report, if there is one."""
    try:
        report = json.loads(path.read_text())
        share = 100 * report["used"]["lut4"] / report["there"]["lut4"]
        clocks = ", ".join(f"{clock['mhz']:g} MHz" for clock in report["clocks"])
        how = "bitstream" if report["bitstream"] else "routed" if clocks else "synthesized"
    except (OSError, ValueError, KeyError):
        return None
    return f"{how}, {share:.0f} % of LUT4" + (f", {clocks}" if clocks else "")


def _root_key(path: Path) -> bytes:
    from blindvisor.sw.image.keys import read_key_file

    return read_key_file(path)


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<16}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[tool]}", markup=False),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )


def _show(report: Any, folder: Path) -> None:
    table = Table("block", "LUT4", "FF", "EBR", "DSP", box=None, pad_edge=False)
    for block, usage in report.blocks.items():
        table.add_row(block, *(f"{value:,}" for value in _numbers(usage)))
    table.add_row("[bold]all", *(f"{value:,}" for value in _numbers(report.used)))
    table.add_row("there", *(f"{value:,}" for value in _numbers(report.there)))
    table.add_row(
        "share",
        *(
            f"{100 * used / there:.0f} %" if there else "-"
            for used, there in zip(_numbers(report.used), _numbers(report.there), strict=True)
        ),
    )
    Console().print(table)
    for clock in report.clocks:
        click.echo(f"clock {clock.name}: {clock.mhz} MHz, wanted {clock.wanted_mhz}")
    if report.path:
        click.echo("slowest path:")
        for line in report.path:
            click.echo(f"  {line}")
    for stage in report.stages:
        how = "kept from an earlier build, which took" if stage.kept else "took"
        click.echo(
            f"{stage.stage}: {how} {stage.run.seconds:.0f} s ({stage.run.cpu_seconds:.0f} s CPU),"
            f" {stage.run.peak_mb} MB  [{page.short_tool(stage.tool)}]"
        )
    click.echo(f"folder {folder}" + (f", {report.bitstream}" if report.bitstream else ""))


def _numbers(usage: Any) -> tuple[int, int, int, int]:
    return usage.lut4, usage.ff, usage.ebr, usage.dsp
