# SPDX-License-Identifier: Apache-2.0
"""The trusted loader's way into a cluster's memory."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from blindvisor.hdl.ionet.flits import LANE_REPLY, LEAF_COMMAND, LaneOp

__all__ = ["LanePort"]


class LanePort(wiring.Component):
    """Serves ADDRESS, WRITE and READ of the monitor lane.

    Parameters
    ----------
    words : :class:`int`
        Size of the memory in 32-bit words, a power of two.

    Members
    -------
    command, reply : :py:`In(LEAF_COMMAND)`, :py:`Out(LANE_REPLY)`
        ``reply`` is zero unless it answers one of the three.
    load, save : :py:`In(1)`
        WRITE is accepted with ``load``, READ with ``save``, in no other state (P1, P2, P6).
    write, read : :py:`Out(1)`
        This cycle's access to the memory's second port, before everybody else's.
    address : :py:`Out`, write_data : :py:`Out(32)`, read_data : :py:`In(32)`
        ``read_data`` belongs to the access of the cycle before.

    Notes
    -----
    An address beyond the memory is refused, and so is what follows it until the next ADDRESS.
    """

    command: data.View
    reply: data.View
    load: Signal
    save: Signal
    write: Signal
    read: Signal
    address: Signal
    write_data: Signal
    read_data: Signal

    def __init__(self, *, words: int) -> None:
        self._words = words
        super().__init__(
            {
                "command": In(LEAF_COMMAND),
                "reply": Out(LANE_REPLY),
                "load": In(1),
                "save": In(1),
                "write": Out(1),
                "read": Out(1),
                "address": Out(ceil_log2(words)),
                "write_data": Out(32),
                "read_data": In(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A pointer that is one bit wider than an address, so that it stops at the end."""
        m = Module()
        pointer = Signal(ceil_log2(self._words) + 1)
        inside = ~pointer[-1]
        named = self.command.valid & self.command.named
        accepted = Signal()
        was_read = Signal()
        m.d.comb += [
            self.write.eq(named & (self.command.op == LaneOp.WRITE) & self.load & inside),
            self.read.eq(named & (self.command.op == LaneOp.READ) & self.save & inside),
            self.address.eq(pointer),
            self.write_data.eq(self.command.data),
        ]
        m.d.sync += [accepted.eq(self.write | self.read), was_read.eq(self.read)]
        with m.If(self.write | self.read):
            m.d.sync += pointer.eq(pointer + 1)
        with m.If(named & (self.command.op == LaneOp.ADDRESS) & (self.load | self.save)):
            with m.If(self.command.data < self._words):
                m.d.sync += [pointer.eq(self.command.data), accepted.eq(1)]
            with m.Else():
                m.d.sync += pointer.eq(self._words)
        m.d.comb += self.reply.eq(Cat(self.read_data & was_read.replicate(32), accepted))
        return m
