# SPDX-License-Identifier: Apache-2.0
"""``blindvisor promises``: what is promised, the evidence and the holes."""

import json

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from blindvisor.sw.cli.app import CommandError, ExitCode

__all__ = ["promises_command"]


@click.command("promises")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def promises_command(names: tuple[str, ...], as_json: bool) -> int:
    """Show each promise, what keeps it, the evidence for it, and what is not covered.

    With NAMEs (P1..P13), show all about these. Ends with 1 if a name in the table stands for
    something that does not exist.
    """
    # Late, because it loads every specification.
    from blindvisor.verification.promises import catalogue_problems, load, problems

    promises = load()
    if unknown := [name for name in names if name not in promises]:
        raise CommandError(f"a promise must be one of {', '.join(promises)}, not {unknown[0]}")
    wrong = problems(promises.values()) + catalogue_problems()
    chosen = [promises[name] for name in names] or list(promises.values())
    console = Console()
    if as_json:
        everything = {"promises": [promise.as_dict() for promise in chosen], "problems": wrong}
        click.echo(json.dumps(everything, indent=2))
    elif names:
        for promise in chosen:
            console.print(f"[bold]{promise.name} {promise.title}[/]: {escape(promise.promise)}")
            for key in ("code", "proofs", "attacks", "controls", "tests", "holes"):
                console.print(f"  [bold]{key}[/]")
                for entry in getattr(promise, key) or ("none",):
                    console.print(f"    {escape(entry)}", highlight=False)
    else:
        table = Table("", "promise", "proofs", "attacks", "tests", "controls", "holes")
        for promise in chosen:
            counts = (promise.tests, promise.controls, promise.holes)
            table.add_row(
                promise.name,
                promise.title,
                " ".join(promise.proofs) or "[yellow]none[/]",
                " ".join(promise.attacks) or "[yellow]none[/]",
                *(str(len(entries)) for entries in counts),
            )
        console.print(table)
    for problem in wrong:
        click.echo(f"Error: {problem}", err=True)
    return ExitCode.CHECK_FAILED if wrong else ExitCode.OK
