# SPDX-License-Identifier: Apache-2.0
"""What a guest can learn of where it is and of its own denied accesses."""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.abi import GuestRegister
from blindvisor.hdl.cluster.bus import RegisterBus
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.noc.packets import COORDINATES

__all__ = ["Identity"]


class Identity(wiring.Component):
    """The registers of :class:`~blindvisor.hdl.abi.GuestRegister`.

    Members
    -------
    bus : :py:`In(RegisterBus())`
    hold : :py:`In(1)`
        No VM runs here: the fault registers are held at zero (P5).
    own, last : :py:`In(COORDINATES)`
        This cluster's guest coordinates, and the largest of the VM. Mesh coordinates never come
        here.
    resumed : :py:`In(1)`
        The VM was restored from a saved image.
    time : :py:`In(64)`
        Cycles since launch.
    denied : :py:`In(1)`, denied_address : :py:`In(30)`
        One cycle each: the SMMU denied an access of this cluster's cores, at this guest-physical
        word address.
    """

    bus: Any
    hold: Signal
    own: data.View
    last: data.View
    resumed: Signal
    time: Signal
    denied: Signal
    denied_address: Signal

    def __init__(self, config: MachineConfig) -> None:
        self._config = config
        super().__init__(
            {
                "bus": In(RegisterBus()),
                "hold": In(1),
                "own": In(COORDINATES),
                "last": In(COORDINATES),
                "resumed": In(1),
                "time": In(64),
                "denied": In(1),
                "denied_address": In(30),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Read multiplexer and two fault registers; a read answers in the next cycle."""
        m = Module()
        count = Signal(16)
        address = Signal(30)
        with m.If(self.denied):
            m.d.sync += address.eq(self.denied_address)
            with m.If(~count.all()):
                m.d.sync += count.eq(count + 1)

        bus = self.bus
        value = Signal(32)
        known = Signal()
        m.d.sync += [bus.dat_r.eq(value), bus.err.eq(bus.stb & ~known)]
        width = Signal(8)
        height = Signal(8)
        m.d.comb += [width.eq(self.last.x + 1), height.eq(self.last.y + 1)]
        constants = (
            (GuestRegister.COORDINATES, Cat(self.own.x, Const(0, 4), self.own.y)),
            (GuestRegister.SIZE, Cat(width, height)),
            (
                GuestRegister.CORE,
                Cat(Mux(bus.own, bus.core, 0), Const(0, 6), Const(self._config.cores, 3)),
            ),
            (GuestRegister.MEMORY, Const(self._config.memory_bytes, 32)),
            (GuestRegister.FAULTS, count),
            (GuestRegister.TIME, self.time[:32]),
            (GuestRegister.TIME_HIGH, self.time[32:]),
            (GuestRegister.FLAGS, self.resumed),
        )
        with m.If(bus.stb):
            with m.Switch(bus.adr):
                for register, shown in constants:
                    with m.Case(register.value):
                        m.d.comb += [known.eq(~bus.we), value.eq(shown)]
                with m.Case(GuestRegister.FAULT_ADDRESS.value):
                    m.d.comb += [known.eq(1), value.eq(Cat(Const(0, 2), address))]
                    with m.If(bus.we):
                        m.d.sync += [count.eq(0), address.eq(0)]
        with m.If(self.hold):
            m.d.sync += [count.eq(0), address.eq(0)]
        return m
