# SPDX-License-Identifier: Apache-2.0
"""A cluster's timer, mailboxes and channel interrupts."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.abi import CoreRegister
from blindvisor.hdl.cluster.bus import RegisterBus

__all__ = ["InterruptController"]


class InterruptController(wiring.Component):
    """The registers of :class:`~blindvisor.hdl.abi.CoreRegister`, one set per core.

    Parameters
    ----------
    cores : :class:`int`
        Cores of the cluster, 1 to 4.
    guest_channels : :class:`int`
        Guest channel numbers, 1 to 16.

    Members
    -------
    bus : :py:`In(RegisterBus())`
        ``adr`` from the first core's first register on, so the offset minus 0x200.
    hold : :py:`In(1)`
        No VM runs here: all registers are held at their initial values (P5, P11).
    count : :py:`In(1)`
        Time passes: the VM is running.
    pending : :py:`In(guest_channels)`
        Channel interrupts, from the SMMU.
    timer, software, external : :py:`Out(cores)`
        Interrupt levels.
    time : :py:`Out(64)`
        Cycles since launch, not counting those in FROZEN.

    Notes
    -----
    The only inputs besides the VM's own accesses are ``pending`` and time (P11).
    """

    bus: Any
    hold: Signal
    count: Signal
    pending: Signal
    timer: Signal
    software: Signal
    external: Signal
    time: Signal

    def __init__(self, *, cores: int, guest_channels: int) -> None:
        self._cores = cores
        self._guest_channels = guest_channels
        super().__init__(
            {
                "bus": In(RegisterBus()),
                "hold": In(1),
                "count": In(1),
                "pending": In(guest_channels),
                "timer": Out(cores),
                "software": Out(cores),
                "external": Out(cores),
                "time": Out(64),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One set of registers per core; a read answers in the next cycle."""
        m = Module()
        with m.If(self.hold):
            m.d.sync += self.time.eq(0)
        with m.Elif(self.count):
            m.d.sync += self.time.eq(self.time + 1)

        bus = self.bus
        value = Signal(32)
        known = Signal()
        m.d.sync += [bus.dat_r.eq(value), bus.err.eq(bus.stb & ~known)]
        never = (1 << 64) - 1
        for core in range(self._cores):
            # Registers of core n of the cluster.
            compare = Signal(64, init=never, name=f"compare{core}")
            mailbox = Signal(data.StructLayout({"word": 32, "full": 1}), name=f"mailbox{core}")
            enable = Signal(self._guest_channels, name=f"enable{core}")
            due = Signal(name=f"due{core}")
            m.d.sync += due.eq((self.time >= compare) & ~self.hold)
            m.d.comb += [
                self.timer[core].eq(due),
                self.software[core].eq(mailbox.full),
                self.external[core].eq((enable & self.pending).any()),
            ]
            with m.If(bus.stb & (bus.adr[5:] == core)):
                with m.Switch(bus.adr[:5]):
                    with m.Case(CoreRegister.COMPARE.value):
                        m.d.comb += [known.eq(1), value.eq(compare[:32])]
                        with m.If(bus.we):
                            m.d.sync += compare[:32].eq(bus.dat_w)
                    with m.Case(CoreRegister.COMPARE_HIGH.value):
                        m.d.comb += [known.eq(1), value.eq(compare[32:])]
                        with m.If(bus.we):
                            m.d.sync += compare[32:].eq(bus.dat_w)
                    with m.Case(CoreRegister.MAILBOX.value):
                        m.d.comb += [known.eq(1), value.eq(mailbox.word)]
                        m.d.sync += mailbox.eq(Mux(bus.we, Cat(bus.dat_w, 1), 0))
                    with m.Case(CoreRegister.MAILBOX_FULL.value):
                        m.d.comb += [known.eq(~bus.we), value.eq(mailbox.full)]
                    with m.Case(CoreRegister.PENDING.value):
                        m.d.comb += [known.eq(~bus.we), value.eq(self.pending)]
                    with m.Case(CoreRegister.ENABLE.value):
                        m.d.comb += [known.eq(1), value.eq(enable)]
                        with m.If(bus.we):
                            m.d.sync += enable.eq(bus.dat_w)
            with m.If(self.hold):
                m.d.sync += [compare.eq(never), mailbox.eq(0), enable.eq(0)]
        return m
