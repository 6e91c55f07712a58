# SPDX-License-Identifier: Apache-2.0
"""``blindvisor run``: boots encrypted images on a machine."""

import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from blindvisor.hdl.config import MachineConfig, load_configuration
from blindvisor.sim.compiled import SimulatorError, SimulatorMissing
from blindvisor.sim.machine import machine_verilog
from blindvisor.sim.session import ScenarioError, compile_machine, run_on_model, run_scenario
from blindvisor.sim.trace import write_viewer_files
from blindvisor.sw.cli.app import CommandError, ExitCode, settings
from blindvisor.sw.image.format import HEADER_BYTES, Header, ImageError, check_total
from blindvisor.sw.image.keys import read_key_file

__all__ = ["run"]

_FILE = click.Path(path_type=Path, dir_okay=False)
_SCENARIO = "blindvisor.sim.boot:boot"


class _Place(click.ParamType):
    name = "x,y"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        match = re.fullmatch(r"(\d+),(\d+)", str(value))
        if match is None:
            self.fail(f"a place must be x,y with whole numbers, not {value}", param, ctx)
        return int(match[1]), int(match[2])


@click.command()
@click.argument("images", type=_FILE, metavar="IMAGE...", nargs=-1, required=True)
@click.option("--config", default="reference", show_default=True, help="Machine: a name or a file.")
@click.option(
    "--place",
    "places",
    type=_Place(),
    multiple=True,
    help="Upper left cluster of the next image's VM; images without one go where they fit.",
)
@click.option(
    "--device-key",
    type=_FILE,
    required=True,
    envvar="BLINDVISOR_DEVICE_KEY",
    show_envvar=True,
    metavar="KEYFILE",
    help="Root key of the device, from `blindvisor image keygen`.",
)
@click.option("--on", "target", type=click.Choice(["rtl", "model"]), default="rtl")
@click.option("--cycles", type=click.IntRange(1), default=5_000_000, show_default=True)
@click.option(
    "--mailbox/--no-mailbox",
    default=True,
    show_default=True,
    help="Grant mailboxes, and the attestation channel.",
)
@click.option(
    "--store",
    type=_FILE,
    metavar="FILE",
    help="Keeps from run to run what the device remembers; without it, it is the first power-on.",
)
@click.option(
    "--save",
    type=_FILE,
    metavar="IMAGE",
    help="After --cycles, have the VM suspend itself, and write it as a saved image.",
)
@click.option("--vcd", type=_FILE, metavar="FILE", help="Write a trace (slow), and viewers' files.")
@click.option("--seed", type=click.IntRange(0), help="Of the memory's contents before the scrub.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def run(
    images: tuple[Path, ...],
    config: str,
    places: tuple[tuple[int, int], ...],
    device_key: Path,
    target: str,
    cycles: int,
    mailbox: bool,
    store: Path | None,
    save: Path | None,
    vcd: Path | None,
    seed: int | None,
    as_json: bool,
) -> int:
    """Boot encrypted images side by side, one VM each, and show what they print.

    VM i has TTY channel i as its guest channel 0 and, if there is one, mailbox i as guest channel
    1; the first one has the attestation channel, if there is one, as guest channel 2. Ends when
    every VM has printed `[exit N]`, or after --cycles. Exit code 0 only if all said `[exit 0]`, or
    with --save if the VM was saved.

    A saved image is run like any other, with the same --store: at any place, until a later one of
    the same VM was saved.
    """
    machine = load_configuration(config)
    root_key = read_key_file(device_key)
    _check(machine, images, places)
    if vcd is not None and target != "rtl":
        raise CommandError("--vcd needs --on rtl: the model has no signals")
    if save is not None:
        _check_save(machine, images, store, mailbox=mailbox)
    params = {
        "images": [str(path.resolve()) for path in images],
        "places": [list(places[n]) if n < len(places) else None for n in range(len(images))],
        "cycles": cycles,
        "mailboxes": mailbox,
        "save": None if save is None else str(save.resolve()),
    }
    screen = _Screen(quiet=as_json)
    began = time.monotonic()
    try:
        with screen.progress:
            if target == "model":
                result = run_on_model(
                    _SCENARIO,
                    params,
                    config=machine,
                    root_key=root_key,
                    store=store,
                    on_event=screen.show,
                )
            else:
                result = _on_rtl(machine, params, root_key, screen, store=store, vcd=vcd, seed=seed)
    except SimulatorMissing as error:
        raise CommandError(str(error), ExitCode.MISSING_TOOL) from error
    except SimulatorError as error:
        raise CommandError(str(error), ExitCode.CHECK_FAILED) from error
    except ScenarioError as error:
        if settings().verbose:
            click.echo(error.trace, err=True)
        raise CommandError(error.message or error.error) from error
    screen.finish()

    ok = all(vm["exit"] == 0 or vm["saved"] is not None for vm in result["vms"])
    result |= {"ok": ok, "on": target, "config": machine.name}
    result["seconds"] = round(time.monotonic() - began, 3)
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _report(result, cycles)
    return ExitCode.OK if ok else ExitCode.CHECK_FAILED


def _check(
    machine: MachineConfig, images: tuple[Path, ...], places: tuple[tuple[int, int], ...]
) -> None:
    """Find what would only fail after minutes of simulation."""
    most = min(machine.vms, machine.tty_channels)
    if len(images) > most:
        raise CommandError(
            f"{machine.name} runs at most {most} images ({machine.vms} VM slots,"
            f" {machine.tty_channels} TTY channels), not {len(images)}"
        )
    if len(places) > len(images):
        raise CommandError(f"{len(places)} places were given for {len(images)} images")
    for path in images:
        data = path.read_bytes()
        try:
            check_total(len(data))
            Header.from_bytes(data[:HEADER_BYTES]).check_geometry()
        except ImageError as error:
            raise CommandError(f"{path}: {error}") from error


def _check_save(
    machine: MachineConfig, images: tuple[Path, ...], store: Path | None, *, mailbox: bool
) -> None:
    if store is None:
        # Each run would be the first power-on, and use the same save numbers and keys again.
        raise CommandError("--save needs --store: the device must remember what it has saved")
    if len(images) != 1:
        raise CommandError(f"--save must be given with one image, not with {len(images)}")
    if not mailbox or not machine.mailbox_channels or machine.guest_channels < 2:
        raise CommandError("--save needs a mailbox: the VM is asked there to suspend itself")


def _on_rtl(
    machine: MachineConfig,
    params: dict[str, Any],
    root_key: bytes,
    screen: "_Screen",
    *,
    store: Path | None,
    vcd: Path | None,
    seed: int | None,
) -> dict[str, Any]:
    with screen.waiting("generating Verilog"):
        verilog = machine_verilog(machine)
    with screen.waiting("building the simulator"):
        compile_machine(verilog, trace=vcd is not None)
    with tempfile.TemporaryDirectory(prefix="blindvisor-") as folder:
        result = run_scenario(
            verilog,
            _SCENARIO,
            params,
            config=machine,
            root_key=root_key,
            build_dir=Path(folder),
            store=store,
            seed=seed,
            vcd=vcd,
            # Power-on, loading and the report come on top of what the VMs run.
            timeout_cycles=params["cycles"] + 50_000_000,
            timeout=24 * 3600.0,
            on_event=screen.show,
        )
    if vcd is not None:
        result["trace"] = [str(path) for path in (vcd, *write_viewer_files(vcd))]
    return result


class _Screen:
    """Progress on standard error, what the VMs print on standard output."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._lines: dict[int, str] = {}
        self._tasks: dict[str, Any] = {}
        self.progress = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
        )
        self._together = sys.stdout.isatty() and sys.stderr.isatty()

    def waiting(self, what: str) -> "_Waiting":
        """Bar without an end, shown inside the ``with`` block."""
        return _Waiting(self.progress, what)

    def show(self, event: dict[str, Any]) -> None:
        """Show an event of the scenario."""
        match event:
            case {"kind": "created", "vm": vm, "x": x, "y": y, "width": width, "height": height}:
                self._say(f"vm{vm}: {width} x {height} clusters at ({x}, {y})")
            case {"kind": "loading", "vm": vm, "done": done, "total": total}:
                self._bar(f"vm{vm}: loading", done, total)
            case {"kind": "saving", "vm": vm, "done": done, "total": total}:
                self._bar(f"vm{vm}: saving", done, total)
            case {"kind": "saved", "vm": vm, "path": path}:
                self._say(f"vm{vm}: saved as {path}")
            case {"kind": "started", "vm": vm}:
                self._say(f"vm{vm}: started")
            case {"kind": "running", "done": done, "total": total}:
                self._bar("running", done, total)
            case {"kind": "tty", "vm": vm, "text": text}:
                *lines, self._lines[vm] = (self._lines.get(vm, "") + text).split("\n")
                for line in lines:
                    self._print(vm, line)

    def finish(self) -> None:
        """Print lines that never ended."""
        for vm, line in self._lines.items():
            if line:
                self._print(vm, line)

    def _bar(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self.progress.add_task(what, total=total)
        self.progress.update(self._tasks[what], completed=done, visible=done < total)

    def _print(self, vm: int, line: str) -> None:
        # Guests are not trusted with the user's terminal.
        clean = re.sub(r"[^\x20-\x7e\t]", "\N{REPLACEMENT CHARACTER}", line.rstrip("\r"))
        self._say(f"vm{vm}| {clean}")

    def _say(self, text: str) -> None:
        if self._quiet:
            return
        if self._together:  # above the bars
            self.progress.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(text)


class _Waiting:
    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=None)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._progress.remove_task(self._task)


def _report(result: dict[str, Any], limit: int) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("VM", "image", "clusters", "load cycles", "run cycles", "exit", "denied"):
        table.add_column(name, no_wrap=True)
    for vm in result["vms"]:
        denied = sum(fault["denied"] for fault in vm["faults"])
        kinds = ", ".join(sorted({fault["first"] for fault in vm["faults"]}))
        ended = vm["exit"] is not None
        table.add_row(
            str(vm["vm"]),
            Path(vm["image"]).name,
            f"{vm['width']}x{vm['height']} at {vm['x']},{vm['y']}",
            f"{vm['load_cycles']:,}" if vm["load_cycles"] else "-",
            f"{vm['run_cycles']:,}" if ended else f"over {limit:,}",
            str(vm["exit"]) if ended else "saved" if vm["saved"] else "still running",
            f"{denied} ({kinds})" if denied else "0",
        )
    Console().print(table)
    for path in result.get("trace", ()):
        click.echo(f"trace: {path}")
