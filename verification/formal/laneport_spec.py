# SPDX-License-Identifier: Apache-2.0
"""Properties of the trusted loader's way into memory, for every sequence of commands."""

from amaranth import Module, Mux, Signal
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.cluster.laneport import LanePort
from blindvisor.hdl.ionet.flits import LEAF_COMMAND, LaneOp

__all__ = ["LanePortSpec"]


class LanePortSpec(wiring.Component):
    """Keeps the address beside the gateware.

    Claims
    ------
    P1-READ
        Memory is read for a named READ in the state for it (``save``), else not, and no reply holds
        data that was not read so.
    P2-WRITE
        Memory is written for a named WRITE in the state for it (``load``), else not, with what the
        command brings.
    P2-ADDRESS
        Where: at the last ADDRESS, plus the accesses since; beyond the memory nowhere. So say the
        wires at any time, and zero from the end on.
    REPLY
        Ok exactly for a command that was carried out, in the next cycle.

    Assumed: no state is both (the lifecycle's proof, P8-ZERO).
    """

    command: data.View
    load: Signal
    save: Signal
    read_data: Signal

    def __init__(self, *, words: int) -> None:
        self._words = words
        self.dut = LanePort(words=words)
        super().__init__(
            {"command": In(LEAF_COMMAND), "load": In(1), "save": In(1), "read_data": In(32)}
        )

    def elaborate(self, platform: object) -> Module:
        """Restate the rules."""
        m = Module()
        m.submodules.dut = dut = self.dut
        command, words = self.command, self._words
        m.d.comb += [
            dut.command.eq(command),
            dut.load.eq(self.load),
            dut.save.eq(self.save),
            dut.read_data.eq(self.read_data),
            Assume(~(self.load & self.save), "one state at a time"),
        ]
        place = Signal(range(words + 1))
        named = command.valid & command.named
        moves = Signal()
        m.d.comb += moves.eq(named & (command.op == LaneOp.ADDRESS) & (self.load | self.save))
        inside = place != words
        with m.If(moves):
            m.d.sync += place.eq(Mux(command.data < words, command.data, words))
        with m.Elif(dut.write | dut.read):
            m.d.sync += place.eq(place + 1)
        was_good = Signal()
        was_read = Signal()
        m.d.sync += [
            was_good.eq(dut.write | dut.read | (moves & (command.data < words))),
            was_read.eq(named & (command.op == LaneOp.READ) & self.save & inside),
        ]
        m.d.comb += [
            Assert(
                dut.write == (named & (command.op == LaneOp.WRITE) & self.load & inside), "P2-WRITE"
            ),
            Assert(
                dut.read == (named & (command.op == LaneOp.READ) & self.save & inside), "P1-READ"
            ),
            Assert(dut.address == Mux(inside, place, 0), "P2-ADDRESS"),
            Assert(dut.write_data == command.data, "P2-WRITE"),
            Assert(dut.reply.ok == was_good, "REPLY"),
            Assert(dut.reply.data == Mux(was_read, self.read_data, 0), "P1-READ"),
            Cover(dut.write & (place == words - 1), "the last word is written"),
            Cover(dut.read & was_read, "two words are read"),
            Cover(named & (command.op == LaneOp.WRITE) & self.load & ~inside, "the end is reached"),
        ]
        return m
