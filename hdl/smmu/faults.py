# SPDX-License-Identifier: Apache-2.0
"""The record of what an SMMU denied."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.abi import Fault
from blindvisor.hdl.ionet.flits import FAULT_REPLY, LANE_REPLY, LEAF_COMMAND, LaneOp

__all__ = ["FaultRecord"]


class FaultRecord(wiring.Component):
    """Counts every denial and keeps the kind of the first one since the last clear (P9).

    It holds no address and no data of a guest, so the hypervisor may read it.

    Parameters
    ----------
    sources : :class:`tuple` of :class:`~blindvisor.hdl.abi.Fault`
        Kind of each event line. Of several in one cycle the first listed is recorded as the first.

    Members
    -------
    command, reply_valid, reply
        As in :class:`~blindvisor.hdl.smmu.lifecycle.Lifecycle`; answers FAULT.
    events : :py:`In(len(sources))`
        One denial per set bit and cycle.

    Notes
    -----
    An event in the cycle of a clear belongs to the new record: none is lost.
    """

    command: data.View
    reply_valid: Signal
    reply: data.View
    events: Signal

    def __init__(self, *, sources: tuple[Fault, ...]) -> None:
        self._sources = sources
        super().__init__(
            {
                "command": In(LEAF_COMMAND),
                "reply_valid": Out(1),
                "reply": Out(LANE_REPLY),
                "events": In(len(sources)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Add up the events, then saturate."""
        m = Module()
        record = Signal(FAULT_REPLY)
        asked = Signal()
        m.d.comb += asked.eq(
            self.command.valid & self.command.named & (self.command.op == LaneOp.FAULT)
        )
        m.d.sync += [self.reply_valid.eq(asked), self.reply.eq(Mux(asked, Cat(record, 1), 0))]

        kind = Signal(Fault)
        for number, source in reversed(list(enumerate(self._sources))):
            with m.If(self.events[number]):
                m.d.comb += kind.eq(source)

        kept_count = Signal(16)
        kept_first = Signal(Fault)
        total = Signal(17)
        m.d.comb += [
            kept_count.eq(Mux(asked & self.command.data[0], 0, record.count)),
            kept_first.eq(Mux(asked & self.command.data[0], Fault.NONE, record.first)),
            total.eq(kept_count + sum(self.events[n] for n in range(len(self._sources)))),
        ]
        count = Mux(total[16], 0xFFFF, total[:16])
        first = Mux(kept_first == Fault.NONE, kind, kept_first)
        m.d.sync += record.eq(Cat(count, first))
        return m
