# SPDX-License-Identifier: Apache-2.0
"""``blindvisor demo-save``: a VM is saved, moved and attested; its old states are refused."""

import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from blindvisor.hdl.config import MachineConfig, load_configuration
from blindvisor.sim.compiled import SimulatorError, SimulatorMissing
from blindvisor.sim.machine import machine_verilog
from blindvisor.sim.session import ScenarioError, compile_machine, run_on_model, run_scenario
from blindvisor.sw.cli.app import CommandError, ExitCode
from blindvisor.sw.files import write_whole
from blindvisor.sw.guests.build import BIN
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.image.keys import generate_key_file, machine_identity, read_key_file, report_key
from blindvisor.sw.image.pack import pack, rewrap, unpack
from blindvisor.sw.image.report import REPORT_BYTES, Report, ReportError, read_report

__all__ = ["demo_save"]

_SCENARIO = "blindvisor.sim.lives:live"
_WIDTH, _HEIGHT = 2, 1  # of the VM
_COUNTS = 4
_NONCE_BYTES = 32


@dataclass(frozen=True)
class _Check:
    """A row of the table: what was done, what had to come of it, and what did."""

    what: str
    expected: str
    got: str

    @property
    def ok(self) -> bool:
        return self.got == self.expected


@dataclass(kw_only=True)
class _Device:
    """A machine with a root key and a store of its own."""

    name: str
    root_key: bytes
    store: Path
    powered: int = 0


@dataclass(kw_only=True)
class _Story:
    """Runs the parts of the VM's life one after another, and judges them."""

    live: Callable[[_Device, dict[str, Any]], dict[str, Any]]
    folder: Path
    tell: Callable[[_Check], None]
    checks: list[_Check] = field(default_factory=list)

    def check(self, what: str, expected: object, got: object) -> None:
        found = _Check(what, str(expected), str(got))
        self.checks.append(found)
        self.tell(found)

    def part(self, device: _Device, image: str, at: tuple[int, int], **more: Any) -> dict[str, Any]:
        """Power a device on, try what must be refused, run ``image``."""
        device.powered += 1
        params: dict[str, Any] = {"refused": [], "saves": [], "nonce": None} | more
        for name in ("refused", "saves"):
            params[name] = [str(self.file(item)) for item in params[name]]
        params |= {"image": str(self.file(image)), "at": list(at), "counts": _COUNTS}
        result = self.live(device, params)
        return {"output": "", "report": None, "answers": []} | result

    def file(self, name: str) -> Path:
        return (self.folder / name).resolve()


@click.command("demo-save")
@click.option("--config", default="small", show_default=True, help="Machine: a name or a file.")
@click.option("--on", "target", type=click.Choice(["rtl", "model"]), default="rtl")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out/demo-save"),
    show_default=True,
    help="Folder for keys, stores, images and reports.",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def demo_save(config: str, target: str, output: Path, as_json: bool) -> int:
    """Show saving: a VM counts, is saved, and goes on elsewhere; nothing older is accepted.

    Two machines with root keys of their own, each with a store that outlives its power-off. Ends
    with 0 only if all is as it must be.
    """
    machine = load_configuration(config)
    if machine.width < _WIDTH or machine.height < 2 or not machine.attest_channels:
        raise CommandError(
            f"{machine.name} must have a mesh of 2 x 2 or more and an attestation channel"
        )
    if not machine.mailbox_channels or not machine.tty_channels or machine.guest_channels < 3:
        raise CommandError(f"{machine.name} must have a TTY, a mailbox and three guest channels")
    began = time.monotonic()
    console = Console()
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    try:
        with progress:
            task = progress.add_task("building the simulator", total=None)
            live = _player(
                machine, target, output, lambda what: progress.update(task, description=what)
            )
            story = _Story(live=live, folder=output, tell=_Teller(console, quiet=as_json))
            _tell_story(story, machine)
    except SimulatorMissing as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    except (SimulatorError, ScenarioError) as error:
        raise CommandError(str(error), ExitCode.CHECK_FAILED) from error
    ok = all(found.ok for found in story.checks)
    seconds = time.monotonic() - began
    if as_json:
        rows = [asdict(found) | {"ok": found.ok} for found in story.checks]
        shown = {"ok": ok, "config": machine.name, "on": target, "seconds": seconds}
        click.echo(json.dumps(shown | {"checks": rows}, indent=2))
    else:
        _summary(console, story.checks, seconds)
    return ExitCode.OK if ok else ExitCode.CHECK_FAILED


def _player(
    config: MachineConfig, target: str, output: Path, show: Callable[[str], None]
) -> Callable[[_Device, dict[str, Any]], dict[str, Any]]:
    """Return what plays a part of the life on a device: RTL or model."""
    output.mkdir(parents=True, exist_ok=True)
    verilog = ""
    if target == "rtl":
        verilog = machine_verilog(config)
        compile_machine(verilog)

    def live(device: _Device, params: dict[str, Any]) -> dict[str, Any]:
        where = f"{device.name}, power-on {device.powered}"
        common: dict[str, Any] = {
            "config": config,
            "root_key": device.root_key,
            "store": device.store,
            "on_event": lambda event: show(f"{where}: {event['what']}"),
        }
        show(f"{where}: switching on")
        if target == "model":
            return run_on_model(_SCENARIO, params, **common)
        return run_scenario(
            verilog, _SCENARIO, params, build_dir=output, timeout_cycles=60_000_000, **common
        )

    return live


def _device(folder: Path, name: str) -> _Device:
    key, store = folder / f"{name}.key", folder / f"{name}.store"
    for path in (key, store):
        path.unlink(missing_ok=True)
    generate_key_file(key)
    return _Device(name=name.replace("-", " "), root_key=read_key_file(key), store=store)


def _tell_story(story: _Story, config: MachineConfig) -> None:
    here, there = (_device(story.folder, name) for name in ("machine-1", "machine-2"))
    memories = read_guest(
        BIN / "counter.elf", width=_WIDTH, height=_HEIGHT, memory_bytes=config.memory_bytes
    )
    identity = secrets.token_bytes(16)
    for name, version in (("counter.bvi", 2), ("outdated.bvi", 1)):
        image = pack(
            memories,
            width=_WIDTH,
            height=_HEIGHT,
            root_key=here.root_key,
            identity=identity,
            security_version=version,
            migrate=True,
        )
        write_whole(story.folder / name, image)
    launched = unpack((story.folder / "counter.bvi").read_bytes(), root_key=here.root_key)

    first = story.part(here, "counter.bvi", (0, 0), saves=["first.bvi", "second.bvi"])
    story.check("machine 1: the packed VM is loaded", "OK", first["result"])
    story.check("it counts from 1", "1", _first_count(first["output"]))
    saved = first["answers"][-1] if first["answers"] else 0

    nonce = secrets.token_bytes(_NONCE_BYTES)
    second = story.part(
        here,
        "second.bvi",
        (0, 1),
        refused=["first.bvi", "outdated.bvi"],
        nonce=nonce.hex(),
    )
    results = second["results"]
    story.check("power-off; the earlier saved state is loaded", "IMAGE_OLD", results[0])
    story.check("an older security version is loaded", "IMAGE_OLD", results[1])
    story.check("the latest saved state is loaded, at another place", "OK", second["result"])
    story.check("it knows that it was restored", True, "counter: resumed\n" in second["output"])
    story.check("it counts on", saved + 1, _first_count(second["output"]))
    _judge_report(story, here, second["report"], nonce, launched.measurement, generation=2)

    moved = rewrap(
        (story.folder / "second.bvi").read_bytes(),
        root_key=here.root_key,
        new_root_key=there.root_key,
    )
    write_whole(story.folder / "migrated.bvi", moved)
    other_nonce = secrets.token_bytes(_NONCE_BYTES)
    third = story.part(
        there, "migrated.bvi", (0, 0), refused=["second.bvi"], nonce=other_nonce.hex()
    )
    story.check("machine 2: machine 1's saved state is loaded", "IMAGE_TAG", third["results"][0])
    story.check("rewrapped by who holds both root keys, it is", "OK", third["result"])
    story.check("it counts on there", saved + 1, _first_count(third["output"]))
    _judge_report(story, there, third["report"], other_nonce, launched.measurement, generation=2)
    if second["report"] and third["report"]:
        story.check(
            "machine 2's report as one of machine 1",
            "mac",
            _verdict(bytes.fromhex(third["report"]), report_key(here.root_key)),
        )


def _judge_report(
    story: _Story,
    device: _Device,
    report: str | None,
    nonce: bytes,
    measurement: bytes,
    *,
    generation: int,
) -> None:
    """Check a report as a verifier does, then with every field changed and every expectation."""
    if report is None:
        story.check(f"{device.name} reports on it", "a report", "none")
        return
    data, key = bytes.fromhex(report), report_key(device.root_key)
    write_whole(story.folder / f"{device.name.replace(' ', '-')}.report", data)
    expected: dict[str, Any] = {
        "nonce": nonce,
        "measurement": measurement,
        "machine": machine_identity(device.root_key),
        "width": _WIDTH,
        "height": _HEIGHT,
        "security_version": 2,
        "generation": generation,
    }
    story.check(
        f"{device.name}'s report on it, for the verifier's nonce",
        "accepted",
        _verdict(data, key, **expected),
    )
    story.check(
        "the same for another nonce",
        "nonce",
        _verdict(data, key, **expected | {"nonce": nonce[::-1]}),
    )
    refused = 0
    for at in range(REPORT_BYTES):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        refused += _verdict(changed, key, **expected) != "accepted"
    story.check("with each of its bytes changed", f"{REPORT_BYTES} refused", f"{refused} refused")
    others = {
        name: bytes(len(value)) if isinstance(value, bytes) else value + 1
        for name, value in vars(Report.from_bytes(data)).items()
    }
    named = sum(_verdict(data, key, **{name: other}) == name for name, other in others.items())
    story.check("with each field expected otherwise", f"{len(others)} named", f"{named} named")


def _verdict(data: bytes, key: bytes, **expected: Any) -> str:
    try:
        read_report(data, key=key, **expected)
    except ReportError as error:
        return error.field
    return "accepted"


def _first_count(output: str) -> str:
    found = re.search(r"^count (\d+)$", output, re.MULTILINE)
    return found[1] if found else "none"


class _Teller:
    """Prints a check once it is made."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet

    def __call__(self, found: _Check) -> None:
        if self._quiet:
            return
        mark = "[green]as it must be[/]" if found.ok else "[red]WRONG[/]        "
        self._console.print(f"{mark}  {found.what}: {found.got}", highlight=False)


def _summary(console: Console, checks: list[_Check], seconds: float) -> None:
    table = Table("", "what", "must be", "is", box=None, pad_edge=False)
    for found in checks:
        mark = "[green]yes[/]" if found.ok else "[red]NO[/]"
        table.add_row(mark, found.what, found.expected, found.got)
    right = sum(found.ok for found in checks)
    colour = "green" if right == len(checks) else "red"
    console.print()
    console.print(table)
    console.print(
        f"\n[{colour}]{right} of {len(checks)} as they must be, {seconds:.0f} s[/]",
        highlight=False,
    )
