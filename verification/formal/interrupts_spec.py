# SPDX-License-Identifier: Apache-2.0
"""Properties of a cluster's interrupts, for every core, every access and all time."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.abi import CoreRegister
from blindvisor.hdl.cluster.interrupts import InterruptController
from blindvisor.verification.formal.inner import opened

__all__ = ["InterruptsSpec"]


class InterruptsSpec(wiring.Component):
    """Follows the lines of one core, any one (``watched``).

    Claims
    ------
    P11-SOFTWARE, P11-TIMER, P11-EXTERNAL
        A core's lines follow from what was written to its own registers since ``hold``, from time
        and from the channel interrupts, and from nothing else.
    P5-HELD
        While ``hold`` is set all is forgotten, and time is 0.
    P11-READ
        An access to a register of the core is answered in the next cycle with what was written to
        it since ``hold``: a mailbox gives its word once, and zero when it is empty.
    P8-ERROR
        An access to what is no register, or a write to what can only be read, gets an error; where
        no register is read, there is no data.
    P11-TIME
        Time counts the cycles of ``count``.
    INVARIANT
        What the induction rests on: the registers inside are those kept here.

    Assumed: ``watched`` is constant.
    """

    watched: Signal
    stb: Signal
    we: Signal
    adr: Signal
    dat_w: Signal
    hold: Signal
    count: Signal
    pending: Signal

    def __init__(self, *, cores: int, guest_channels: int) -> None:
        self._cores = cores
        self.dut = InterruptController(cores=cores, guest_channels=guest_channels)
        super().__init__(
            {
                "watched": In(range(max(cores, 2))),
                "stb": In(1),
                "we": In(1),
                "adr": In(12),
                "dat_w": In(32),
                "hold": In(1),
                "count": In(1),
                "pending": In(guest_channels),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Keep the watched core's registers."""
        m = Module()
        dut = self.dut
        m.submodules.dut, registers = opened(dut)
        m.d.comb += [
            dut.bus.stb.eq(self.stb),
            dut.bus.we.eq(self.we),
            dut.bus.adr.eq(self.adr),
            dut.bus.dat_w.eq(self.dat_w),
            dut.hold.eq(self.hold),
            dut.count.eq(self.count),
            dut.pending.eq(self.pending),
        ]
        started = Signal()
        was_watched = Signal.like(self.watched)
        m.d.sync += [started.eq(1), was_watched.eq(self.watched)]
        m.d.comb += [
            Assume(self.watched < self._cores, "a core is watched"),
            Assume(~started | (self.watched == was_watched), "one core is watched"),
        ]

        def mine(register: CoreRegister) -> Signal:
            hit = Signal(name=f"uses_{register.name.lower()}")
            at = (self.watched << 5) | register.value
            m.d.comb += hit.eq(self.stb & (self.adr == at))
            return hit

        never = (1 << 64) - 1
        low = Signal(32, init=never & 0xFFFF_FFFF)
        high = Signal(32, init=never >> 32)
        word, full = Signal(32), Signal()
        enable = Signal.like(self.pending)
        time = Signal(64)
        due = Signal()
        m.d.sync += due.eq((time >= Cat(low, high)) & ~self.hold)
        with m.If(self.hold):
            m.d.sync += [low.eq(~0), high.eq(~0), enable.eq(0), time.eq(0)]
            m.d.sync += [word.eq(0), full.eq(0)]
        with m.Else():
            m.d.sync += time.eq(time + self.count)
            with m.If(mine(CoreRegister.COMPARE) & self.we):
                m.d.sync += low.eq(self.dat_w)
            with m.If(mine(CoreRegister.COMPARE_HIGH) & self.we):
                m.d.sync += high.eq(self.dat_w)
            with m.If(mine(CoreRegister.MAILBOX)):
                m.d.sync += [full.eq(self.we), word.eq(Mux(self.we, self.dat_w, 0))]
            with m.If(mine(CoreRegister.ENABLE) & self.we):
                m.d.sync += enable.eq(self.dat_w)
        kept = {
            name: Array(registers[f"{name}{core}"] for core in range(self._cores))[self.watched]
            for name in ("compare", "mailbox", "enable")
        }
        m.d.comb += [
            Assert(kept["compare"] == Cat(low, high), "INVARIANT"),
            Assert(kept["mailbox"] == Cat(word, full), "INVARIANT"),
            Assert(kept["enable"] == enable, "INVARIANT"),
        ]
        self._answers(
            m,
            {
                CoreRegister.COMPARE: (low, True),
                CoreRegister.COMPARE_HIGH: (high, True),
                CoreRegister.MAILBOX: (word, True),
                CoreRegister.MAILBOX_FULL: (full, False),
                CoreRegister.PENDING: (self.pending, False),
                CoreRegister.ENABLE: (enable, True),
            },
        )
        was_held = Signal()
        m.d.sync += was_held.eq(self.hold)

        software = dut.software.bit_select(self.watched, 1)
        timer = dut.timer.bit_select(self.watched, 1)
        external = dut.external.bit_select(self.watched, 1)
        m.d.comb += [
            Assert(software == full, "P11-SOFTWARE"),
            Assert(timer == due, "P11-TIMER"),
            Assert(external == (enable & self.pending).any(), "P11-EXTERNAL"),
            Assert(dut.time == time, "P11-TIME"),
            Assert(~was_held | ~Cat(dut.software, dut.timer, dut.external).any(), "P5-HELD"),
            Assert(~was_held | (dut.time == 0), "P5-HELD"),
            Cover(software & timer & external & (self.watched == self._cores - 1), "all lines"),
            Cover(was_held & (dut.time == 0) & started & self.stb, "held"),
        ]
        return m

    def _answers(self, m: Module, registers: dict[CoreRegister, tuple[Signal, bool]]) -> None:
        """Compare each answer with the register's contents (and whether it can be written)."""
        core, bus = self.adr[5:], self.dut.bus
        value, good = Signal(32), Signal()
        with m.If(self.stb & (core == self.watched)), m.Switch(self.adr[:5]):
            for register, (contents, writable) in registers.items():
                with m.Case(register.value):
                    m.d.comb += [good.eq(~self.we | writable), value.eq(contents)]
        expected, failed, other = Signal(32), Signal(), Signal()
        m.d.sync += [
            expected.eq(value),
            failed.eq(self.stb & ~good),
            other.eq(self.stb & (core != self.watched) & (core < self._cores)),
        ]
        with m.If(~other):
            m.d.comb += [
                Assert(bus.dat_r == expected, "P11-READ"),
                Assert(bus.err == failed, "P8-ERROR"),
            ]
        m.d.comb += Cover(failed & ~other & (expected != 0), "a write to what can only be read")
