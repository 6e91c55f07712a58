# SPDX-License-Identifier: Apache-2.0
"""``blindvisor attack``: attacks a machine, also one that has a fault planted in it."""

import json
import time
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from blindvisor.hdl.config import MachineConfig, load_configuration
from blindvisor.sim.compiled import SimulatorError, SimulatorMissing
from blindvisor.sw.cli.app import CommandError, ExitCode, settings
from blindvisor.verification.attacks.attack import Attack, Outcome, Verdict
from blindvisor.verification.attacks.catalogue import ATTACKS, find_attacks
from blindvisor.verification.attacks.runs import carry_out, carry_out_on_model, ready_machine
from blindvisor.verification.attacks.world import check_machine
from blindvisor.verification.controls.catalogue import FAULTS
from blindvisor.verification.controls.plant import Fault, PlantError

__all__ = ["attack", "outcome_row"]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="All attacks.")
@click.option("--list", "listing", is_flag=True, help="Show attacks and faults, attack nothing.")
@click.option("--plant", metavar="FAULT", help="Attack a machine that has this fault.")
@click.option(
    "--control",
    is_flag=True,
    help="Carry out each attack with each of its faults planted: all must succeed.",
)
@click.option("--config", default="small", show_default=True, help="Machine: a name or a file.")
@click.option("--on", "target", type=click.Choice(["rtl", "model"]), default="rtl")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def attack(
    names: tuple[str, ...],
    everything: bool,
    listing: bool,
    plant: str | None,
    control: bool,
    config: str,
    target: str,
    as_json: bool,
) -> int:
    """Attack a machine in simulation, as a compromised hypervisor, a malicious VM, or both.

    Ends with 0 if every attack was blocked, and with 1 if one succeeded or was answered in
    another way than it should be. With --plant a check is switched off in the source of the
    machine first. With --control it ends with 0 only if every attack succeeds with every fault
    that belongs to it: the proof that the attacks can fail.
    """
    if listing:
        _list(as_json)
        return ExitCode.OK
    if everything and names:
        raise CommandError("give names of attacks or --all, not both")
    if not (names or everything or control):
        raise CommandError("name attacks, or give --all, --control or --list")
    if plant is not None and control:
        raise CommandError("--control plants all faults by itself: leave out --plant")
    if target == "model" and (plant is not None or control):
        raise CommandError("faults are planted in gateware: --on model has none")
    try:
        chosen = find_attacks(list(names))
        machine = load_configuration(config)
        check_machine(machine)
    except ValueError as error:
        raise CommandError(str(error)) from error
    if plant is not None and plant not in FAULTS:
        raise CommandError(f"fault must be one of {', '.join(FAULTS)}, not {plant}")
    screen = _Screen(quiet=as_json)
    try:
        with screen.progress:
            if control:
                return _control(chosen, machine, screen, as_json=as_json)
            fault = FAULTS[plant] if plant is not None else None
            return _attack(chosen, machine, fault, target, screen, as_json=as_json)
    except SimulatorMissing as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    except (SimulatorError, PlantError) as error:
        raise CommandError(str(error), ExitCode.CHECK_FAILED) from error


def _attack(
    chosen: list[Attack],
    machine: MachineConfig,
    fault: Fault | None,
    target: str,
    screen: "_Screen",
    *,
    as_json: bool,
) -> int:
    began = time.monotonic()
    task = screen.progress.add_task("attacking", total=len(chosen))

    def show(outcome: Outcome) -> None:
        screen.progress.advance(task)
        screen.show(outcome, fault)

    if target == "model":
        outcomes = carry_out_on_model(chosen, config=machine, on_outcome=show)
    else:
        with screen.waiting("building the machine"):
            ready_machine(machine, fault)
        outcomes = carry_out(chosen, config=machine, fault=fault, on_outcome=show)
    ok = all(outcome.blocked for outcome in outcomes)
    result = {
        "ok": ok,
        "config": machine.name,
        "on": target,
        "planted": fault.name if fault is not None else None,
        "seconds": round(time.monotonic() - began, 3),
        "outcomes": [outcome.as_dict() for outcome in outcomes],
    }
    _finish(result, as_json, _summary(outcomes))
    return ExitCode.OK if ok else ExitCode.CHECK_FAILED


def _control(
    chosen: list[Attack], machine: MachineConfig, screen: "_Screen", *, as_json: bool
) -> int:
    began = time.monotonic()
    pairs = sum(len(item.controls) for item in chosen)
    task = screen.progress.add_task("controls", total=pairs)
    found: list[dict[str, Any]] = []
    for fault in FAULTS.values():
        concerned = [item for item in chosen if fault.name in item.controls]
        if not concerned:
            continue
        with screen.waiting(f"building with {fault.name}"):
            ready_machine(machine, fault)
        for item in concerned:  # one simulation each: what a fault breaks stays broken
            (outcome,) = carry_out([item], config=machine, fault=fault)
            screen.progress.advance(task)
            screen.show(outcome, fault)
            found.append({"fault": fault.name, **outcome.as_dict()})
    caught = sum(item["verdict"] == Verdict.SUCCEEDED for item in found)
    ok = caught == len(found) > 0
    result = {
        "ok": ok,
        "config": machine.name,
        "seconds": round(time.monotonic() - began, 3),
        "controls": found,
    }
    _finish(result, as_json, f"{caught} of {len(found)} controls let their attack succeed")
    return ExitCode.OK if ok else ExitCode.CHECK_FAILED


def outcome_row(outcome: Outcome) -> tuple[str, str, str, str]:
    """Return verdict with its colour, attack, promises, and what the machine answered."""
    colour = {Verdict.DENIED: "green", Verdict.SUCCEEDED: "red", Verdict.BROKEN: "yellow"}
    answer = "; ".join(outcome.gains or outcome.surprises)
    if not answer:
        last = outcome.problem.strip().splitlines()[-1:]
        answer = last[0] if last else _answers(outcome)
    shade = "yellow" if outcome.surprises else colour[outcome.verdict]
    promises = " ".join(ATTACKS[outcome.name].promises)
    return f"[{shade}]{outcome.verdict}[/]", outcome.name, promises, escape(answer)


def _answers(outcome: Outcome) -> str:
    """Return the different answers of its steps, in order, with their numbers."""
    counts: dict[str, int] = {}
    for step in outcome.steps:
        counts[step.answer] = counts.get(step.answer, 0) + 1
    return ", ".join(f"{n} x {answer}" if n > 1 else answer for answer, n in counts.items())


def _summary(outcomes: list[Outcome]) -> str:
    blocked = sum(outcome.blocked for outcome in outcomes)
    return f"{blocked} of {len(outcomes)} attacks blocked"


def _finish(result: dict[str, Any], as_json: bool, summary: str) -> None:
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        click.echo(f"{summary}, {result['seconds']:.1f} s")


def _list(as_json: bool) -> None:
    if as_json:
        faults = [
            {"name": fault.name, "promises": list(fault.promises), "breaks": fault.breaks}
            for fault in FAULTS.values()
        ]
        attacks = [item.as_dict() for item in ATTACKS.values()]
        click.echo(json.dumps({"attacks": attacks, "faults": faults}, indent=2))
        return
    for item in ATTACKS.values():
        click.echo(f"{item.name:<24} {' '.join(item.promises):<15} {item.threat}")
        click.echo(f"    {item.goal}")
        click.echo(f"    controls: {', '.join(item.controls)}")
        if item.published:
            click.echo(f"    modelled on: {item.published}")
    click.echo("\nFaults for --plant")
    for fault in FAULTS.values():
        click.echo(f"{fault.name:<24} {' '.join(fault.promises):<15} {fault.breaks}")


class _Screen:
    """Progress on standard error, outcomes on standard output."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._verbose = settings().verbose > 0
        self.progress = Progress(
            TextColumn("{task.description:<32}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._console = Console()

    def waiting(self, what: str) -> "_Waiting":
        """Bar without an end, shown inside the ``with`` block."""
        return _Waiting(self.progress, what)

    def show(self, outcome: Outcome, fault: Fault | None) -> None:
        """Print an outcome; with -v also its steps."""
        if self._quiet:
            return
        verdict, name, promises, answer = outcome_row(outcome)
        planted = f" [dim]with {fault.name}[/]" if fault is not None else ""
        self._console.print(f"{verdict:<20} {name:<24} {promises:<12}{planted} {answer}")
        if self._verbose:
            for step in outcome.steps:
                self._console.print(f"    {escape(step.tried)}: [dim]{escape(step.answer)}[/]")
            if outcome.problem:
                self._console.print(outcome.problem, markup=False)


class _Waiting:
    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=None)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._progress.remove_task(self._task)
