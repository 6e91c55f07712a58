# SPDX-License-Identifier: Apache-2.0
"""``blindvisor demo``: encrypted guests side by side on RTL, then every attack, then a report."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from blindvisor.hdl.config import MachineConfig, load_configuration
from blindvisor.sim.compiled import SimulatorError, SimulatorMissing
from blindvisor.sim.machine import machine_verilog
from blindvisor.sim.session import ScenarioError, compile_machine, run_scenario
from blindvisor.sw.cli.app import CommandError, ExitCode
from blindvisor.sw.cli.attack import outcome_row
from blindvisor.sw.files import write_whole
from blindvisor.sw.guests.build import BIN
from blindvisor.sw.guests.expected import attacker_tries, bench_checksum, matmul_checksum
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.image.keys import generate_key_file, read_key_file
from blindvisor.sw.image.pack import pack
from blindvisor.verification.attacks.attack import Outcome, Verdict
from blindvisor.verification.attacks.catalogue import ATTACKS, DEMO_ATTACKS
from blindvisor.verification.attacks.memory import judge_attacker
from blindvisor.verification.attacks.runs import carry_out
from blindvisor.verification.attacks.world import check_machine
from blindvisor.verification.report.evidence import collect
from blindvisor.verification.report.report import Guest, Phase, Report, render

__all__ = ["demo"]

_BOOT = "blindvisor.sim.boot:boot"
_FROM_INSIDE = "attacker-guest"
"""The attack that runs beside the guests, not after them: it takes longest."""

_CYCLES = 6_000_000


@dataclass(frozen=True)
class _Plan:
    """A guest and its place."""

    name: str
    x: int
    y: int
    width: int
    height: int


@click.command()
@click.option("--config", default="reference", show_default=True, help="Machine: a name or a file.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out/demo"),
    show_default=True,
    help="Folder for key, images and report.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def demo(config: str, output: Path, as_json: bool) -> int:
    """Show the whole: two encrypted guests and an attacker side by side, then every attack.

    Ends with 0 only if all guests' results are right and every attack was blocked. Writes
    report.html, a page that needs nothing else.
    """
    try:
        machine = load_configuration(config)
        check_machine(machine)
    except ValueError as error:
        raise CommandError(str(error)) from error
    show = _Show(quiet=as_json)
    try:
        report = _run(machine, output, show)
    except SimulatorMissing as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    except (SimulatorError, ScenarioError) as error:
        raise CommandError(str(error), ExitCode.CHECK_FAILED) from error
    page = output / "report.html"
    write_whole(page, render(report).encode())
    if as_json:
        click.echo(json.dumps(_as_json(report, page), indent=2))
    else:
        show.summary(report, page)
    return ExitCode.OK if report.ok else ExitCode.CHECK_FAILED


def _plans(config: MachineConfig) -> list[_Plan]:
    """Three rectangles: two rows above, what is left below."""
    half = config.width // 2
    return [
        _Plan("matmul", 0, 0, half, config.height // 2),
        _Plan("bench", half, 0, config.width - half, 1),
        _Plan("attacker", 0, config.height // 2, config.width - half, config.height // 2),
    ]


def _run(config: MachineConfig, output: Path, show: "_Show") -> Report:
    phases: list[Phase] = []

    @contextmanager
    def phase(what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        phases.append(Phase(what, time.monotonic() - began))

    with phase("Verilog of the machine"), show.waiting("generating Verilog"):
        verilog = machine_verilog(config)
    with phase("simulator"), show.waiting("building the simulator"):
        compile_machine(verilog)
    with phase("device key and images"):
        plans = _plans(config)
        key_file, images = _pack(config, plans, output)
    show.say(
        f"{config.name}: {config.clusters} clusters; packed and encrypted for one device:"
        f" {', '.join(path.name for path in images)}"
    )
    root_key = read_key_file(key_file)

    with phase("guests"), show.bar("running the guests", _CYCLES) as task:
        result = run_scenario(
            verilog,
            _BOOT,
            {
                "images": [str(path.resolve()) for path in images],
                "places": [[plan.x, plan.y] for plan in plans],
                "cycles": _CYCLES,
            },
            config=config,
            root_key=root_key,
            build_dir=output,
            timeout_cycles=10 * _CYCLES,
            on_event=lambda event: show.guest_event(event, task),
        )
    phases[-1] = Phase(phases[-1].what, phases[-1].seconds, result["run_cycles"])
    guests = [_guest(plan, vm) for plan, vm in zip(plans, result["vms"], strict=True)]
    for guest in guests:
        show.guest(guest)

    inside = _from_inside(plans[-1], config, guests[-1].output)
    outcomes = {inside.name: inside}
    show.outcome(inside)
    rest = [attack for attack in DEMO_ATTACKS if attack.name != _FROM_INSIDE]
    with phase("attacks"), show.bar("attacking", len(rest)) as task:

        def outcome(item: Outcome) -> None:
            outcomes[item.name] = item
            show.step(task)
            show.outcome(item)

        carry_out(rest, config=config, on_outcome=outcome)
    cycles = sum(item.cycles for item in outcomes.values())
    phases[-1] = Phase(phases[-1].what, phases[-1].seconds, cycles)
    return Report(
        config=config,
        guests=guests,
        attacks=[(attack, outcomes[attack.name]) for attack in DEMO_ATTACKS],
        phases=phases,
        version=metadata.version("blindvisor"),
        evidence=collect(),
    )


def _pack(config: MachineConfig, plans: list[_Plan], output: Path) -> tuple[Path, list[Path]]:
    """Make a device key and the images that only this device can open."""
    output.mkdir(parents=True, exist_ok=True)
    key_file = output / "device.key"
    key_file.unlink(missing_ok=True)
    generate_key_file(key_file)
    images = []
    for plan in plans:
        memories = read_guest(
            BIN / f"{plan.name}.elf",
            width=plan.width,
            height=plan.height,
            memory_bytes=config.memory_bytes,
        )
        image = pack(
            memories, width=plan.width, height=plan.height, root_key=read_key_file(key_file)
        )
        images.append(output / f"{plan.name}.bvi")
        write_whole(images[-1], image)
    return key_file, images


def _guest(plan: _Plan, vm: dict[str, Any]) -> Guest:
    lines = vm["output"].splitlines()
    checksum = {
        "matmul": lambda: f"checksum 0x{matmul_checksum(plan.width, plan.height):08x}",
        "bench": lambda: f"checksum 0x{bench_checksum():08x}",
    }.get(plan.name)
    right = vm["exit"] == 0 and (checksum is None or checksum() in lines)
    return Guest(
        name=plan.name,
        x=plan.x,
        y=plan.y,
        width=plan.width,
        height=plan.height,
        output=vm["output"],
        right=right,
        load_cycles=vm["load_cycles"],
        run_cycles=vm["run_cycles"],
    )


def _from_inside(plan: _Plan, config: MachineConfig, printed: str) -> Outcome:
    """Judge the attacker guest that ran beside the others."""
    steps, gains = judge_attacker(printed, attacker_tries(plan.width, plan.height, config.cores))
    verdict = Verdict.SUCCEEDED if gains else Verdict.DENIED
    return Outcome(name=_FROM_INSIDE, verdict=verdict, gains=gains, steps=steps)


def _as_json(report: Report, page: Path) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "config": report.config.name,
        "guests": [asdict(guest) for guest in report.guests],
        "outcomes": [outcome.as_dict() for _, outcome in report.attacks],
        "phases": [asdict(phase) for phase in report.phases],
        "page": str(page),
    }


class _Show:
    """Progress on standard error, results on standard output."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._console = Console()
        self._progress = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )

    @contextmanager
    def bar(self, what: str, total: int | None) -> Iterator[TaskID]:
        """Progress bar during the ``with`` block."""
        with self._progress:
            task = self._progress.add_task(what, total=total)
            yield task
            self._progress.remove_task(task)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Bar without an end."""
        with self.bar(what, None):
            yield

    def step(self, task: TaskID) -> None:
        """One more of a bar's total."""
        self._progress.advance(task)

    def guest_event(self, event: dict[str, Any], task: TaskID) -> None:
        """Follow the guests; how long they run is not known, so the bar only shows cycles."""
        if event["kind"] == "running":
            self._progress.update(task, completed=event["done"])

    def say(self, text: str) -> None:
        """Print a line."""
        if not self._quiet:
            self._console.print(text, markup=False, highlight=False)

    def guest(self, guest: Guest) -> None:
        """Print how a guest ended."""
        if self._quiet:
            return
        mark = "[green]right[/]" if guest.right else "[red]WRONG[/]"
        place = f"{guest.width} x {guest.height} at {guest.x},{guest.y}"
        took = f"{guest.run_cycles:,} cycles" if guest.run_cycles else "did not end"
        self._console.print(f"{mark}  {guest.name:<9} {place:<14} {took}", highlight=False)

    def outcome(self, outcome: Outcome) -> None:
        """Print how an attack ended."""
        if self._quiet:
            return
        verdict, name, promises, answer = outcome_row(outcome)
        goal = ATTACKS[name].goal
        self._console.print(
            f"{verdict} {promises:<12} {goal}: [dim]{answer}[/]", highlight=False, soft_wrap=True
        )

    def summary(self, report: Report, page: Path) -> None:
        """Print the table at the end."""
        table = Table("", "attack", "promises", "who", box=None, pad_edge=False)
        for attack, outcome in report.attacks:
            verdict = outcome_row(outcome)[0]
            table.add_row(verdict, attack.name, " ".join(attack.promises), attack.threat)
        self._console.print()
        self._console.print(table)
        right = sum(guest.right for guest in report.guests)
        colour = "green" if report.ok else "red"
        self._console.print(
            f"\n[{colour}]{right} of {len(report.guests)} guests right,"
            f" {report.blocked} of {len(report.attacks)} attacks blocked,"
            f" {sum(phase.seconds for phase in report.phases):.0f} s[/]",
            highlight=False,
        )
        click.echo(f"Report: {page}")
