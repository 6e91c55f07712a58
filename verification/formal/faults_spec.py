# SPDX-License-Identifier: Apache-2.0
"""Properties of the fault record, for every sequence of denials, reads and clears."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.abi import Fault
from blindvisor.hdl.ionet.flits import LEAF_COMMAND, LaneOp
from blindvisor.hdl.smmu.faults import FaultRecord
from blindvisor.verification.formal.inner import opened

__all__ = ["FaultRecordSpec"]


class FaultRecordSpec(wiring.Component):
    """Counts beside the gateware, one event line after the other.

    Claims
    ------
    P9-COUNT
        A reply holds the number of denials since the last clear, each counted once, those of the
        cycle of the clear included; at 65535 it stands.
    P9-FIRST
        It holds the kind of the first of them, and NONE if there were none.
    REPLY
        A named FAULT is answered in the next cycle, nothing else is.
    INVARIANT
        The record inside is the one kept here, whether it is asked for or not.

    Not covered: that the count ever reaches 65535 (more than 5461 cycles); what it does there is
    proved.
    """

    command: data.View
    events: Signal

    def __init__(self, dut: FaultRecord, *, sources: tuple[Fault, ...]) -> None:
        self.dut = dut
        self._sources = sources
        super().__init__({"command": In(LEAF_COMMAND), "events": In(len(sources))})

    def elaborate(self, platform: object) -> Module:
        """Keep a second record."""
        m = Module()
        dut = self.dut
        m.submodules.dut, registers = opened(dut)
        m.d.comb += [dut.command.eq(self.command), dut.events.eq(self.events)]
        asked = Signal()
        cleared = Signal()
        m.d.comb += [
            asked.eq(self.command.valid & self.command.named & (self.command.op == LaneOp.FAULT)),
            cleared.eq(asked & self.command.data[0]),
        ]
        count = Signal(16)
        first = Signal(4)
        many = Mux(cleared, 0, count)
        kind = Mux(cleared, Fault.NONE.value, first)
        for number, source in enumerate(self._sources):
            line = self.events[number]
            next_many = Signal(16, name=f"count_after_{number}")
            next_kind = Signal(4, name=f"first_after_{number}")
            m.d.comb += [
                next_many.eq(many + (line & (many != 0xFFFF))),
                next_kind.eq(Mux(line & (kind == Fault.NONE.value), source.value, kind)),
            ]
            many, kind = next_many, next_kind
        m.d.sync += [count.eq(many), first.eq(kind)]

        was_asked = Signal()
        was_count = Signal(16)
        was_first = Signal(4)
        m.d.sync += [was_asked.eq(asked), was_count.eq(count), was_first.eq(first)]
        m.d.comb += [
            Assert(Value.cast(registers["record"]) == Cat(count, first), "INVARIANT"),
            Assert(dut.reply_valid == was_asked, "REPLY"),
            Assert(dut.reply.ok == was_asked, "REPLY"),
            Assert(dut.reply.data[:16] == Mux(was_asked, was_count, 0), "P9-COUNT"),
            Assert(dut.reply.data[16:20] == Mux(was_asked, was_first, 0), "P9-FIRST"),
            Assert(dut.reply.data[20:] == 0, "REPLY"),
        ]
        was_clear_with_event = Signal()
        m.d.sync += was_clear_with_event.eq(cleared & self.events.any() & (count > 3))
        m.d.comb += [
            Cover(was_clear_with_event & asked, "a denial in the cycle of a clear"),
            Cover(was_asked & (was_count == 20), "twenty denials"),
            Cover(Cat(was_first == Fault.LATE.value, was_count > 3).all(), "first of several"),
        ]
        return m
