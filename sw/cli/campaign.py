# SPDX-License-Identifier: Apache-2.0
"""``blindvisor campaign``: attacks, fuzzing and mutants on many processes or computers."""

import json
from pathlib import Path
from typing import Any

import click

from blindvisor.sim.compiled import CACHE
from blindvisor.sw.cli.app import CommandError, ExitCode
from blindvisor.sw.cli.fuzz import show_coverage
from blindvisor.sw.cli.steps import steps
from blindvisor.verification.campaign.jobs import (
    Job,
    attack_jobs,
    fuzz_jobs,
    mutant_jobs,
    sources,
)
from blindvisor.verification.campaign.results import CampaignFileError, Results
from blindvisor.verification.campaign.run import CampaignMissing, run_campaign
from blindvisor.verification.fuzz.coverage import holes, merged

__all__ = ["campaign_command"]

_FOLDER = CACHE.parent / "campaign"


@click.command("campaign")
@click.option("--attacks", is_flag=True, help="All attacks, one job each.")
@click.option("--controls", is_flag=True, help="With --attacks: also with each planted fault.")
@click.option("--fuzz", is_flag=True, help="Random hypervisors and guests.")
@click.option("--mutants", is_flag=True, help="Mutants of proved blocks, a job for each block.")
@click.option("--calls", type=click.IntRange(0), default=20_000, show_default=True)
@click.option("--cycles", type=click.IntRange(0), default=2_000_000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--most", type=click.IntRange(1), help="Mutants of each block.")
@click.option("--config", default="small", show_default=True, help="Machine that is attacked.")
@click.option("--only", multiple=True, metavar="NAME", help="Of the attacks and blocks, these.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Processes on this computer.",
)
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler that has workers.")
@click.option(
    "--db",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where results are kept; goes on with what is there."
    "  [default: build/campaign/SOURCES.sqlite]",
)
@click.option("--retry-broken", is_flag=True, help="Do jobs again that ended with an exception.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def campaign_command(
    attacks: bool,
    controls: bool,
    fuzz: bool,
    mutants: bool,
    calls: int,
    cycles: int,
    seed: int,
    most: int | None,
    config: str,
    only: tuple[str, ...],
    workers: int,
    scheduler: str | None,
    file: Path | None,
    retry_broken: bool,
    as_json: bool,
) -> int:
    """Do many independent jobs, each exactly once, and keep the results in one SQLite file.

    A campaign that was interrupted goes on when the same command is given again: what is in the
    file is not done again. Workers of a scheduler need the same sources; they refuse jobs of
    others. Ends with 0 only if all jobs have a result and each is as it should be.
    """
    if not (attacks or fuzz or mutants):
        raise CommandError("give --attacks, --fuzz or --mutants, or several of them")
    if controls and not attacks:
        raise CommandError("--controls is for --attacks")
    try:
        jobs: list[Job] = []
        if attacks:
            jobs += attack_jobs(only, config=config, controls=controls)
        if fuzz:
            jobs += fuzz_jobs(calls=calls, cycles=cycles, seed=seed)
        if mutants:
            jobs += mutant_jobs(only, most=most)
        file = file if file is not None else _FOLDER / f"{sources()}.sqlite"
        with Results(file, sources=sources()) as results:
            results.add(jobs)
            if retry_broken:
                results.reopen_broken()
            _run(results, workers, scheduler, quiet=as_json)
            return _finish(results, file, as_json=as_json)
    except CampaignMissing as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    except (CampaignFileError, ValueError) as error:
        raise CommandError(str(error)) from error


def _run(results: Results, workers: int, scheduler: str | None, *, quiet: bool) -> None:
    total, done = len(results.open_jobs()), 0
    with steps() as step:

        def show(job: Job, result: dict[str, Any]) -> None:
            nonlocal done
            done += 1
            step("jobs", done, total)
            if not quiet and not result["ok"]:
                click.echo(f"{job.name}: {result['says']}")

        step("jobs", 0, total)
        run_campaign(results, workers=workers, scheduler=scheduler, on_result=show)


def _finish(results: Results, file: Path, *, as_json: bool) -> int:
    counts = results.counts()
    parts: list[dict[str, int]] = []
    bad: dict[str, str] = {}
    calls = cycles = 0
    for name, kind, result in results.results():
        if not result["ok"]:
            bad[name] = result["says"]
        if kind == "fuzz" and "bins" in result:
            parts.append(result["bins"])
            calls += result["calls"]
            cycles += result["cycles"]
    ok = not bad and not counts.get("open", 0)
    bins = merged(parts)
    if as_json:
        values = {"ok": ok, "file": str(file), "jobs": counts, "bad": bad}
        if parts:
            values |= {"calls": calls, "cycles": cycles, "holes": holes(bins)}
        click.echo(json.dumps(values, indent=2))
    else:
        states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        click.echo(f"{sum(counts.values())} jobs: {states}; {len(bad)} not as they should be")
        if parts:
            click.echo(f"fuzzing: {calls} monitor calls, {cycles} cycles")
            show_coverage(bins)
        click.echo(f"results in {file}")
    return ExitCode.OK if ok else ExitCode.CHECK_FAILED
