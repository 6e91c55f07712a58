# SPDX-License-Identifier: Apache-2.0
"""The hypervisor's shell: a machine by hand, with the terminals of its VMs."""

import cmd
import re
import shlex
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from blindvisor.hdl.abi import Call, ChannelKind, Result, VmState
from blindvisor.sw.files import write_whole
from blindvisor.sw.host.errors import HostLinkError
from blindvisor.sw.host.link import UartLink
from blindvisor.sw.host.terminal import attach, printable
from blindvisor.sw.hypervisor.errors import HypervisorError
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.hypervisor.link import BusError, LinkTimeout
from blindvisor.sw.image.format import HEADER_BYTES, Header, ImageError

__all__ = ["Shell"]

_CALLS = {call.name.lower(): call for call in Call if call is not Call.NONE}
_BY_NAME = sorted(_CALLS.keys() - {"vm_load", "vm_save"})  # those two carry an image along
_EXIT = re.compile(r"^\[exit (\d+)\]$")
_LOOK = 0.05  # seconds between looks at the terminals
_ERRORS = (HypervisorError, LinkTimeout, BusError, ImageError, OSError)


class _Misuse(Exception):
    """A command was given wrong arguments."""


class Shell(cmd.Cmd):
    """Commands in, calls out; what VMs print appears as ``ttyN| line``.

    Parameters
    ----------
    link : :class:`~blindvisor.sw.host.link.UartLink`
        The board.
    stdin, stdout : text files
        Where commands come from, and where all output goes.

    Members
    -------
    interactive : :class:`bool`
        ``stdin`` is a terminal: there is a prompt, and errors end nothing.
    failed : :class:`bool`
        A command failed, which ended a script.
    """

    intro = "Type help for the commands, quit to leave; the VMs stay."

    def __init__(self, link: UartLink, *, stdin: TextIO, stdout: TextIO) -> None:
        super().__init__(stdin=stdin, stdout=stdout)
        self.interactive = stdin.isatty()
        self.failed = False
        self.use_rawinput = self.interactive and stdin is sys.stdin
        self.prompt = "blindvisor> " if self.interactive else ""
        self._hypervisor = Hypervisor(link)
        self._link = link
        self._lock = threading.RLock()
        self._lines: dict[int, str] = {}  # of each TTY, the line that has not ended
        self._exits: dict[int, int] = {}  # of each TTY, the last exit code that was printed
        self._started: dict[int, int] = {}  # VMs started here, and their TTYs
        self._leaving = threading.Event()

    def run(self) -> None:
        """Read commands to the end; in the background, show what VMs print."""
        listener = threading.Thread(target=self._listen, daemon=True)
        if self.interactive:
            listener.start()
        else:
            self.intro = None
        try:
            self.cmdloop()
        finally:
            self._leaving.set()
            if self.interactive:
                listener.join()
        if not self.failed:
            self._show()
        for channel, rest in self._lines.items():
            if rest:
                self._say(f"tty{channel}| {printable(rest)}")

    # What cmd calls

    def onecmd(self, line: str) -> bool:
        """Carry out one line; an error is told and ends a script."""
        try:
            with self._lock:
                stop = bool(super().onecmd("" if line.startswith("#") else line.strip()))
                if not stop:
                    self._show()
                return stop
        except _Misuse as error:
            message = str(error)
        except _ERRORS as error:
            message = str(error)
        except KeyboardInterrupt:
            message = "interrupted"
        self._say(f"Error: {message}")
        self.failed = not self.interactive
        return self.failed

    def emptyline(self) -> bool:
        """Do nothing."""
        return False

    def default(self, line: str) -> None:
        """Make a call by its name, as :attr:`_BY_NAME` lists them."""
        name, *arguments = shlex.split(line)
        if name not in _BY_NAME:
            raise _Misuse(f"no such command or call: {name}; help lists them")
        numbers = [_number(argument) for argument in arguments]
        result = self._hypervisor.invoke(_CALLS[name], *numbers)
        self._say(result.name)
        if result is Result.OK and _CALLS[name] is Call.STATUS:
            self._say(" ".join(f"{value:#x}" for value in self._hypervisor.values()))
        if result is not Result.OK:
            raise _Misuse(f"{name} failed with {result.name}")

    def completenames(self, text: str, *ignored: object) -> list[str]:
        """Commands and calls."""
        calls = [name for name in _BY_NAME if name.startswith(text)]
        return super().completenames(text, *ignored) + calls

    # Commands

    def do_help(self, arg: str) -> None:
        """help: show this list."""
        methods = (getattr(self, name) for name in self.get_names() if name.startswith("do_"))
        for text in sorted({str(method.__doc__) for method in methods}):
            self._say(f"  {text}")
        self._say("calls, with numbers as arguments: " + ", ".join(_BY_NAME))

    def do_load(self, arg: str) -> None:
        """load IMAGE [X,Y]: create a VM of the image's size, give it a TTY, load it."""
        name, place = _words(arg, "load IMAGE [X,Y]", 1, 2)
        image = Path(name).read_bytes()
        header = Header.from_bytes(image[:HEADER_BYTES])
        at = None
        if place:
            match = re.fullmatch(r"(\d+),(\d+)", place)
            if match is None:
                raise _Misuse(f"a place must be X,Y with whole numbers, not {place}")
            at = int(match[1]), int(match[2])
        vm = self._hypervisor.create(width=header.width, height=header.height, at=at)
        tty = self._free_tty()
        if tty is not None:
            vm.grant(tty, 0)
        vm.load(image, progress=self._progress("loading", len(image)))
        status = vm.status()
        terminal = "no TTY is free" if tty is None else f"tty {tty}"
        self._say(
            f"vm{vm.number}: {status.width} x {status.height} clusters at"
            f" ({status.x}, {status.y}), {terminal}"
        )

    def do_start(self, arg: str) -> None:
        """start VM: let a loaded VM run."""
        vm = self._vm(arg, "start VM")
        self._started[vm] = self._tty_of(vm)
        self._exits.pop(self._started[vm], None)
        self._hypervisor.vm_start(vm)

    def do_freeze(self, arg: str) -> None:
        """freeze VM: stop it, keeping its state."""
        self._hypervisor.vm_freeze(self._vm(arg, "freeze VM"))

    def do_resume(self, arg: str) -> None:
        """resume VM: let a frozen VM run on."""
        self._hypervisor.vm_resume(self._vm(arg, "resume VM"))

    def do_save(self, arg: str) -> None:
        """save VM FILE: write a frozen VM as an encrypted image."""
        number, name = _words(arg, "save VM FILE", 2, 2)
        write_whole(Path(name), self._hypervisor.vm_save(_number(number)))

    def do_destroy(self, arg: str) -> None:
        """destroy VM: scrub it and free its clusters; what it printed is shown before."""
        vm = self._vm(arg, "destroy VM")
        self._show()
        self._hypervisor.vm_destroy(vm)
        self._started.pop(vm, None)

    def do_status(self, arg: str) -> None:
        """status: show machine, VMs, channels, denied accesses. With KIND INDEX: that call."""
        if arg:
            self.default(f"status {arg}")
            return
        hypervisor, config = self._hypervisor, self._link.config
        self._say(
            f"{config.name}: {config.width} x {config.height} clusters, {config.cores} core(s)"
            f" and {config.memory_bytes} bytes each, at {self._link.clock_hz / 1e6:g} MHz"
        )
        for number in range(1, config.vms + 1):
            vm = hypervisor.vm_status(number)
            if vm.state is not VmState.EMPTY:
                self._say(
                    f"vm{number}: {vm.state.name.lower()}, {vm.width} x {vm.height} at"
                    f" ({vm.x}, {vm.y})"
                )
        for number in range(config.channels):
            channel = hypervisor.channel_status(number)
            if channel.owner:
                self._say(
                    f"channel {number} ({channel.kind.name.lower()}): vm{channel.owner}, as its"
                    f" channel {channel.guest_channel}"
                )
        for index in range(config.clusters):
            cluster = hypervisor.cluster_status(index)
            if cluster.faults:
                self._say(
                    f"cluster ({index % config.width}, {index // config.width}):"
                    f" {cluster.faults} denied, first {cluster.first_fault.name}"
                )

    def do_tty(self, arg: str) -> None:
        """tty N [TEXT]: type a line on a TTY; without TEXT, use it until Ctrl-]."""
        parts = arg.split(maxsplit=1)
        if not parts:
            raise _Misuse("usage: tty N [TEXT]")
        channel = _number(parts[0])
        if not 0 <= channel < self._link.config.tty_channels:
            raise _Misuse(
                f"a TTY must be from 0 to {self._link.config.tty_channels - 1}, not {channel}"
            )
        if len(parts) == 2:
            self._link.tty_write(channel, parts[1].encode() + b"\n")
            return
        if not self.interactive:
            raise _Misuse("tty needs TEXT, as commands do not come from a terminal")
        self._say(f"tty {channel}, until Ctrl-]")
        attach(self._link, channel)

    def do_wait(self, arg: str) -> None:
        """wait [SECONDS]: until all VMs started here have printed `[exit N]` (60 s)."""
        (seconds,) = _words(arg, "wait [SECONDS]", 0, 1)
        limit = time.monotonic() + (_number(seconds) if seconds else 60)
        while waiting := [vm for vm, tty in self._started.items() if tty not in self._exits]:
            if time.monotonic() > limit:
                raise _Misuse(f"still running: {', '.join(f'vm{vm}' for vm in waiting)}")
            self._show()
            time.sleep(_LOOK)

    def do_reconnect(self, arg: str) -> None:
        """reconnect: bring the link to a known state after an error; loads are aborted."""
        self._link.reconnect()

    def do_quit(self, arg: str) -> bool:
        """quit: leave; the VMs stay as they are."""
        return True

    do_EOF = do_quit  # the end of a script, or Ctrl-D

    # Inside

    def _listen(self) -> None:
        while not self._leaving.wait(_LOOK):
            try:
                with self._lock:
                    self._show()
            except (HostLinkError, LinkTimeout) as error:
                self._say(f"Error: {error}; see `reconnect`")
                return

    def _show(self) -> None:
        """Print what VMs have printed, line by line."""
        for channel in range(self._link.config.tty_channels):
            text = self._link.tty_read(channel).decode("latin-1")
            *lines, rest = (self._lines.get(channel, "") + text).split("\n")
            self._lines[channel] = rest
            for line in lines:
                clean = printable(line.rstrip("\r"))
                self._say(f"tty{channel}| {clean}")
                if (ended := _EXIT.match(clean)) is not None:
                    self._exits[channel] = int(ended[1])

    def _say(self, text: str) -> None:
        self.stdout.write(text + "\n")
        self.stdout.flush()

    def _progress(self, what: str, total: int) -> Callable[[int], None] | None:
        if not self.interactive:
            return None

        def show(done: int) -> None:
            end = "\n" if done >= total else ""
            self.stdout.write(f"\r{what}: {100 * done // total} %{end}")
            self.stdout.flush()

        return show

    def _vm(self, arg: str, usage: str) -> int:
        (vm,) = _words(arg, usage, 1, 1)
        return _number(vm.removeprefix("vm"))

    def _free_tty(self) -> int | None:
        for channel in range(self._link.config.tty_channels):
            if not self._hypervisor.channel_status(channel).owner:
                return channel
        return None

    def _tty_of(self, vm: int) -> int:
        """TTY of a VM; -1: none."""
        for channel in range(self._link.config.channels):
            status = self._hypervisor.channel_status(channel)
            if status.owner == vm and status.kind is ChannelKind.TTY:
                return channel
        return -1


def _words(arg: str, usage: str, least: int, most: int) -> list[str]:
    """Return the words of a command's arguments, empty ones where some may be missing."""
    words = shlex.split(arg)
    if not least <= len(words) <= most:
        raise _Misuse(f"usage: {usage}")
    return words + [""] * (most - len(words))


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise _Misuse(f"a number is needed, not {text}") from None
