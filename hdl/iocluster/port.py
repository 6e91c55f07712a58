# SPDX-License-Identifier: Apache-2.0
"""The hypervisor's registers: its only door to the machine."""

from typing import Any

from amaranth import C, Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.abi import HypervisorRegister
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.bus import HypervisorBus
from blindvisor.hdl.iocluster.calls import CallPort
from blindvisor.hdl.iocluster.channel import AccessPort
from blindvisor.hdl.iocluster.saved import SAVED_DEPTH

__all__ = ["MACHINE_ID", "MAILBOX_BYTES", "HypervisorPort"]

MACHINE_ID = 0x31564C42
"""What the register ID holds: "BLV1"."""

MAILBOX_BYTES = 0x20
"""From one mailbox's registers to the next one's."""


class HypervisorPort(wiring.Component):
    """Register file (abi.HypervisorRegister) between the hypervisor's bus and the I/O cluster.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine; the first four registers describe it.

    Members
    -------
    bus : :py:`In(HypervisorBus())`
        The hypervisor.
    interrupt : :py:`Out(1)`
        A call has ended since STATUS was last written.
    calls : :py:`Out(CallPort())`
        The monitor.
    staging_write, staging_data, staging_space
        The write side of :class:`Staging`.
    saved_read, saved_data, saved_count
        The read side of :class:`SavedWords`.
    mailboxes : :py:`In(AccessPort()).array(config.mailbox_channels)`
        The hypervisor's ends of the mailbox channels.

    Notes
    -----
    P8: what is not a register, not a whole word, or not for this direction gets ``err`` and
    changes nothing.
    """

    bus: Any
    interrupt: Signal
    calls: Any
    staging_write: Signal
    staging_data: Signal
    staging_space: Signal
    saved_read: Signal
    saved_data: Signal
    saved_count: Signal
    mailboxes: list[Any]

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "bus": In(HypervisorBus()),
                "interrupt": Out(1),
                "calls": Out(CallPort()),
                "staging_write": Out(1),
                "staging_data": Out(32),
                "staging_space": In(range(config.staging_words + 1)),
                "saved_read": Out(1),
                "saved_data": In(32),
                "saved_count": In(range(SAVED_DEPTH + 1)),
                "mailboxes": In(AccessPort()).array(config.mailbox_channels),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Decode; an access is refused unless a register takes it."""
        m = Module()
        bus, calls, config = self.bus, self.calls, self.config
        arguments = Signal(data.ArrayLayout(32, 5))
        done = Signal()
        taken = Signal()
        value = Signal(32)
        m.d.comb += [
            bus.ack.eq(bus.stb & taken),
            bus.err.eq(bus.stb & ~taken),
            self.interrupt.eq(done),
            calls.command.eq(bus.dat_w),
            calls.arguments.eq(arguments),
            self.staging_data.eq(bus.dat_w),
        ]
        with m.If(bus.stb & ~bus.we & taken):
            m.d.comb += bus.dat_r.eq(value)

        register = HypervisorRegister
        limits = (config.vms, config.channels, config.tty_channels, config.guest_channels)
        readable: dict[HypervisorRegister, Value | int] = {
            register.ID: MACHINE_ID,
            register.MESH: config.width | config.height << 8 | config.cores << 16,
            register.MEMORY: config.memory_bytes,
            register.LIMITS: sum(limit << 8 * n for n, limit in enumerate(limits)),
            register.STATUS: Cat(calls.busy, done, calls.loading, calls.saving),
            register.RESULT: calls.result.as_value(),
            register.STAGING_SPACE: self.staging_space,
            register.SAVED_WORDS: self.saved_count,
        }
        words = [register.ARG0, register.ARG1, register.ARG2, register.ARG3, register.ARG4]
        readable |= {word: arguments[n] for n, word in enumerate(words)}
        values = [register.VALUE0, register.VALUE1, register.VALUE2, register.VALUE3]
        readable |= {word: calls.values[n] for n, word in enumerate(values)}

        with m.If(bus.stb & ~bus.we), m.Switch(bus.adr):
            for address, word in readable.items():
                with m.Case(address.value):
                    m.d.comb += [taken.eq(1), value.eq(word)]
            with m.Case(register.SAVED.value):
                m.d.comb += [
                    taken.eq(self.saved_count != 0),
                    value.eq(self.saved_data),
                    self.saved_read.eq(taken),
                ]
        with m.If(bus.stb & bus.we), m.Switch(bus.adr):
            with m.Case(register.COMMAND.value):
                m.d.comb += [taken.eq(~calls.busy), calls.start.eq(~calls.busy)]
            with m.Case(register.STATUS.value):
                m.d.comb += taken.eq(1)
                m.d.sync += done.eq(0)
            with m.Case(register.ABORT.value):
                m.d.comb += [taken.eq(1), calls.abort.eq(1)]
            for n, word in enumerate(words):
                with m.Case(word.value):
                    m.d.comb += taken.eq(1)
                    m.d.sync += arguments[n].eq(bus.dat_w)
            with m.Case(register.STAGING.value):
                m.d.comb += [taken.eq(self.staging_space != 0), self.staging_write.eq(taken)]
        with m.If(calls.ended):  # last, so that no end is lost to a write of STATUS
            m.d.sync += done.eq(1)

        with m.If(bus.stb), m.Switch(bus.adr):
            for n, mailbox in enumerate(self.mailboxes):
                base = register.MAILBOX.value + MAILBOX_BYTES * n
                with m.Case(f"{base >> 4:08b}--00"):
                    m.d.comb += [
                        mailbox.access.eq(Cat(C(1, 1), bus.we, bus.adr[:4], bus.dat_w)),
                        taken.eq(~mailbox.answer.error),
                        value.eq(mailbox.answer.data),
                    ]
        return m
