# SPDX-License-Identifier: Apache-2.0
"""The bridge of the host link with a stand-in for the machine, in gateware and in Python."""

from typing import Any

from amaranth import Cat, Const, Module, Signal
from amaranth.back import verilog
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.host.bridge import HostBridge
from blindvisor.hdl.iocluster.bus import HypervisorBus
from blindvisor.sw.hypervisor.link import BusError

__all__ = ["BAUD", "CLOCK_HZ", "CONFIG", "DIVISOR", "HostRig", "StandIn", "rig_verilog"]

CONFIG = MachineConfig(name="rig", width=2, height=1)
CLOCK_HZ, BAUD = 5_000_000, 1_000_000
DIVISOR = CLOCK_HZ // BAUD

COMMAND, STATUS, LAST, STAGING, COUNTER = 0x010, 0x014, 0x020, 0x050, 0x058
"""Registers of the stand-in: counts its writes; bit 1 is the count's lowest bit; the last command;
takes even words and refuses others; gives another word at each read. Nothing else is there."""


class HostRig(wiring.Component):
    """Bridge and stand-in.

    Members
    -------
    rx, tx : :py:`In(1)`, :py:`Out(1)`
        The line.
    print_until : :py:`In(16)`
        The machine prints the bytes 0, 1, 2, ... (modulo 256) on TTY 0, so many in all.
    accesses, commands, staged, printed : :py:`Out(16)`
        How many there were: accesses, refused ones too; writes that were taken; bytes.
    typed_valid, typed : :py:`Out(1)`, :py:`Out(12)`
        A byte is typed: byte and channel.
    """

    rx: Signal
    tx: Signal
    print_until: Signal
    accesses: Signal
    commands: Signal
    staged: Signal
    printed: Signal
    typed_valid: Signal
    typed: Signal

    def __init__(self) -> None:
        counts = {name: Out(16) for name in ("accesses", "commands", "staged", "printed")}
        super().__init__(
            {
                "rx": In(1),
                "tx": Out(1),
                "print_until": In(16),
                "typed_valid": Out(1),
                "typed": Out(12),
                **counts,
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Registers, a printer, and no logic else."""
        m = Module()
        m.submodules.bridge = bridge = HostBridge(CONFIG, clock_hz=CLOCK_HZ, baud=BAUD)
        bus: Any = HypervisorBus().flip().create()
        connect(m, bridge.hypervisor, bus)
        last, counter = Signal(32), Signal(32)
        taken = Signal()
        m.d.comb += [
            bridge.rx.eq(self.rx),
            self.tx.eq(bridge.tx),
            bridge.interrupt.eq(self.commands[0]),
            bus.ack.eq(bus.stb & taken),
            bus.err.eq(bus.stb & ~taken),
            self.typed_valid.eq(bridge.tty_in.valid),
            self.typed.eq(bridge.tty_in.payload),
            bridge.tty_in.ready.eq(1),
        ]
        with m.If(bus.stb):
            m.d.sync += self.accesses.eq(self.accesses + 1)
            with m.If(bus.we), m.Switch(bus.adr):
                with m.Case(COMMAND):
                    m.d.comb += taken.eq(1)
                    m.d.sync += [last.eq(bus.dat_w), self.commands.eq(self.commands + 1)]
                with m.Case(STAGING):
                    m.d.comb += taken.eq(~bus.dat_w[0])
                    m.d.sync += self.staged.eq(self.staged + taken)
            with m.Else(), m.Switch(bus.adr):
                with m.Case(STATUS):
                    m.d.comb += [taken.eq(1), bus.dat_r.eq(self.commands[0] << 1)]
                with m.Case(LAST):
                    m.d.comb += [taken.eq(1), bus.dat_r.eq(last)]
                with m.Case(COUNTER):
                    m.d.comb += [taken.eq(1), bus.dat_r.eq(counter)]
                    m.d.sync += counter.eq(counter + 1)

        pause = Signal()  # the machine offers a byte at most every second cycle
        m.d.comb += [
            bridge.tty_out.valid.eq((self.printed != self.print_until) & ~pause),
            bridge.tty_out.payload.eq(Cat(self.printed[:8], Const(0, 4))),
        ]
        m.d.sync += pause.eq(0)
        with m.If(bridge.tty_out.valid & bridge.tty_out.ready):
            m.d.sync += [pause.eq(1), self.printed.eq(self.printed + 1)]
        return m


def rig_verilog() -> str:
    """Return the Verilog of the rig, module ``top``."""
    return verilog.convert(HostRig(), name="top", strip_internal_attrs=True)


class StandIn:
    """The same machine in Python, as a :class:`~blindvisor.sw.hypervisor.link.Link`."""

    def __init__(self) -> None:
        self.config = CONFIG
        self.accesses = self.commands = self.staged = self.printed = 0
        self.print_until = 0
        self.typed: list[int] = []
        self._last = self._counter = 0

    def read(self, address: int) -> int:
        """Read a register."""
        match address:
            case 0x014:
                return (self.commands & 1) << 1
            case 0x020:
                return self._last
            case 0x058:
                self._counter += 1
                return self._counter - 1
        raise BusError(address=address, write=False)

    def write(self, address: int, value: int) -> None:
        """Write a register."""
        if address == COMMAND:
            self._last = value
            self.commands += 1
        elif address == STAGING and not value & 1:
            self.staged += 1
        else:
            raise BusError(address=address, write=True)

    def tty_read(self, channel: int) -> bytes:
        """Return what is printed."""
        if channel:
            return b""
        data = bytes(n % 256 for n in range(self.printed, self.print_until))
        self.printed = self.print_until
        return data

    def tty_write(self, channel: int, data: bytes) -> None:
        """Type."""
        self.typed += [channel << 8 | byte for byte in data]

    def write_words(self, address: int, words: Any) -> int:
        """Not of use to a device."""
        raise NotImplementedError

    def read_words(self, address: int, count: int) -> list[int]:
        """Not of use to a device."""
        raise NotImplementedError

    def wait_done(self, timeout: int) -> None:
        """Not of use to a device."""
        raise NotImplementedError

    def advance(self, cycles: int) -> None:
        """Not of use to a device."""
        raise NotImplementedError
