# SPDX-License-Identifier: Apache-2.0
"""``blindvisor fuzz``: random hypervisors and random guests on RTL, against the model."""

import json
import secrets
from pathlib import Path
from typing import Any

import click

from blindvisor.hdl.config import ConfigurationError, load_configuration
from blindvisor.sim.compiled import SimulatorError, SimulatorMissing
from blindvisor.sim.session import ScenarioError
from blindvisor.sw.cli.app import CommandError, ExitCode, settings
from blindvisor.sw.cli.steps import steps
from blindvisor.verification.controls.plant import PlantError
from blindvisor.verification.fuzz.coverage import BINS, UNREACHABLE, holes, merged
from blindvisor.verification.fuzz.runs import FOLDER, ReproducerError, fuzz, replay

__all__ = ["fuzz_command", "show_coverage"]

_CALLS, _CYCLES = 400, 500_000


@click.command("fuzz")
@click.option("--calls", type=click.IntRange(0), help="Random monitor calls.  [default: 400]")
@click.option("--cycles", type=click.IntRange(0), help="Cycles with guests.  [default: 500000]")
@click.option("--seed", type=click.IntRange(0), help="Of all that is random.  [default: a new one]")
@click.option(
    "--seconds",
    type=click.FloatRange(1),
    default=600.0,
    show_default=True,
    help="Wall-clock time after which neither fuzzer begins anything new.",
)
@click.option("--config", help="Machine: a name or a file.  [default: a small one for each]")
@click.option("--plant", metavar="FAULT", help="Fuzz a machine that has this fault.")
@click.option(
    "--replay",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Run a reproducer, and nothing else.",
)
@click.option("--unplanted", is_flag=True, help="With --replay: on the machine without its fault.")
@click.option(
    "-o",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=FOLDER,
    help="For logs and reproducers.  [default: build/fuzz]",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def fuzz_command(
    calls: int | None,
    cycles: int | None,
    seed: int | None,
    seconds: float,
    config: str | None,
    plant: str | None,
    file: Path | None,
    unplanted: bool,
    folder: Path,
    as_json: bool,
) -> int:
    """Run random hypervisor programs and random guests on RTL, in lockstep with the model.

    With --calls or --cycles alone, only that fuzzer runs. What machine and model disagree on is
    shrunk and written to a file that --replay runs. Ends with 0 if nothing was found, with 1 if
    something was, or if --replay still shows it.
    """
    try:
        if file is not None:
            return _replay(file, folder, as_json=as_json, plant=not unplanted)
        if unplanted:
            raise CommandError("--unplanted is for --replay")
        if calls is None and cycles is None:
            calls, cycles = _CALLS, _CYCLES
        machine = load_configuration(config) if config is not None else None
        seed = secrets.randbits(32) if seed is None else seed
        if not as_json:
            click.echo(f"seed {seed}")
        results = []
        for kind, total in (("calls", calls or 0), ("guests", cycles or 0)):
            if total:
                with steps() as step:

                    def show(event: dict[str, Any]) -> None:
                        if event["kind"] == "fuzzed":
                            step(event["what"], event["done"], event["total"])
                        elif event["kind"] == "shrinking":
                            step("shrinking, items left", event["items"], None)

                    results.append(
                        fuzz(
                            kind,
                            seed=seed,
                            total=total,
                            config=machine,
                            fault=plant,
                            seconds=seconds,
                            folder=folder,
                            on_event=show,
                        )
                    )
    except SimulatorMissing as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    except (ConfigurationError, ReproducerError) as error:
        raise CommandError(str(error)) from error
    except (SimulatorError, ScenarioError, PlantError) as error:
        raise CommandError(str(error), ExitCode.CHECK_FAILED) from error
    except ValueError as error:
        raise CommandError(str(error)) from error
    return _finish(results, seed, as_json=as_json)


def _replay(file: Path, folder: Path, *, as_json: bool, plant: bool) -> int:
    message = replay(file, folder=folder, plant=plant)
    if as_json:
        click.echo(json.dumps({"file": str(file), "message": message}, indent=2))
    else:
        click.echo(message or "machine and model agree")
    return ExitCode.CHECK_FAILED if message else ExitCode.OK


def _finish(results: list[dict[str, Any]], seed: int, *, as_json: bool) -> int:
    bins = merged(result["bins"] for result in results)
    found = [result for result in results if result["found"] is not None]
    if as_json:
        values = {"ok": not found, "seed": seed, "holes": holes(bins), "runs": results}
        click.echo(json.dumps(values, indent=2))
    else:
        for result in results:
            click.echo(
                f"{result['kind']}: {result['programs']} programs, {result['calls']} monitor calls,"
                f" {result['cycles']} cycles on {result['config']}"
            )
        show_coverage(bins)
        for result in found:
            item = result["found"]
            again = "" if item["confirmed"] else " (not seen again in a fresh simulation)"
            click.echo(f"FOUND {item['message']}\n  {item['file']}{again}")
    return ExitCode.CHECK_FAILED if found else ExitCode.OK


def show_coverage(bins: dict[str, int]) -> None:
    """Say how many bins were met; with -v name the others."""
    open_bins = holes(bins)
    click.echo(
        f"{len(BINS) - len(open_bins)} of {len(BINS)} bins met;"
        f" {len(UNREACHABLE)} cannot be, with their reasons"
    )
    if settings().verbose:
        for name, why in open_bins.items():
            click.echo(f"  hole: {name}" + (f" ({why})" if why else ""))
