# SPDX-License-Identifier: Apache-2.0
"""The words of a saved image come from where they belong, in order, each asked for once."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LANE_REPLY, LaneOp
from blindvisor.hdl.loader.reader import ClusterReader
from blindvisor.verification.formal.inner import opened

__all__ = ["ReaderSpec"]


class ReaderSpec(wiring.Component):
    """A model counts what was asked and answered, and knows where the next block is.

    Pauses and replies may come at any time, also replies that are not the reader's while it is
    idle. Assumed: ``begin`` only while idle and between blocks, which are wanted after it; the
    rectangle lies in the mesh and its width stays; no reply comes before its command was taken.

    Claims
    ------
    P6-PLACE
        A command that is offered is ADDRESS 0 before the first word of a cluster, else READ, to the
        cluster whose turn it is: row by row, each from its first block to its last.
    P6-STAYS
        A command stands, unchanged, until the lane takes it.
    P8-KEPT
        A block is four words, in the order in which they came, and zero until it is whole. While
        words are missing and blocks are wanted, a command comes in the next cycle; else none.
    P8-REPLIES
        ``idle`` means that no command is offered and all replies are there; ``refused`` that one
        that was owed is a refusal.
    """

    begin: Signal
    x: Signal
    y: Signal
    width: Signal
    enable: Signal
    taken: Signal
    ready: Signal
    reply_valid: Signal
    reply: data.View

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "begin": In(1),
                "x": In(4),
                "y": In(4),
                "width": In(5),
                "enable": In(1),
                "taken": In(1),
                "ready": In(1),
                "reply_valid": In(1),
                "reply": In(LANE_REPLY),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Compare each command and each block with the model's."""
        m = Module()
        config = self.config
        dut = ClusterReader(config)
        m.submodules.dut, r = opened(dut)  # asked has no name there
        command: Any = dut.lane.command
        offered, payload = command.valid, command.payload
        m.d.comb += [
            dut.begin.eq(self.begin),
            dut.x.eq(self.x),
            dut.y.eq(self.y),
            dut.width.eq(self.width),
            dut.enable.eq(self.enable),
            dut.blocks.ready.eq(self.taken),
            command.ready.eq(self.ready),
            dut.lane.reply_valid.eq(self.reply_valid),
            dut.lane.reply.eq(self.reply),
        ]
        addressing = offered & (payload.op == LaneOp.ADDRESS)
        reading = offered & (payload.op == LaneOp.READ)
        # The model: words asked for and received of the block, and where it is.
        asked, got, block = Signal(range(5)), Signal(range(5)), Signal(128)
        place = Signal.like(payload.cluster)  # past the last one, from the first again
        column, gone = Signal(5), Signal(range(config.memory_words // 4))
        due, waits = Signal(), Signal()
        owed = waits | (asked != got)
        whole = got == 4
        heard = self.reply_valid & owed
        was_width, begun = Signal(5), Signal()
        m.d.sync += [was_width.eq(self.width), begun.eq(begun | self.begin)]
        m.d.comb += [
            Assume(~self.begin | (dut.idle & (asked == 0)), "begin while idle"),
            Assume((begun & ~self.begin) | ~self.enable, "blocks are wanted after begin"),
            Assume((self.width != 0) & (self.x + self.width <= config.width), "in the mesh"),
            Assume(self.y < config.height, "in the mesh"),
            Assume(~begun | self.begin | (self.width == was_width), "constant"),
            Assume(~self.reply_valid | owed | ~offered, "replies follow commands"),
        ]
        with m.If(addressing & self.ready):
            m.d.sync += [due.eq(0), waits.eq(1)]
        with m.Elif(heard & waits):
            m.d.sync += waits.eq(0)
        with m.If(reading & self.ready):
            m.d.sync += asked.eq(asked + 1)
        with m.If(heard & ~waits):
            m.d.sync += [got.eq(got + 1), block.eq(Cat(block[32:], self.reply.data))]
        with m.If(whole & self.taken):
            m.d.sync += [asked.eq(0), got.eq(0), gone.eq(gone + 1)]
            with m.If(gone == config.memory_words // 4 - 1):
                m.d.sync += [gone.eq(0), due.eq(1), column.eq(column + 1), place.eq(place + 1)]
                with m.If(column + 1 == self.width):
                    m.d.sync += [column.eq(0), place.eq(place + 1 + config.width - self.width)]
        with m.If(self.begin):
            m.d.sync += [
                place.eq(self.y * config.width + self.x),
                column.eq(0),
                gone.eq(0),
                due.eq(1),
            ]
        free = ~offered | self.ready
        wanted = free & self.enable & ~waits & ~addressing & (asked + reading != 4)
        was_wanted, was_free, stands = Signal(), Signal(), Signal()
        was = Signal.like(payload.as_value())
        m.d.sync += [
            was_wanted.eq(wanted),
            was_free.eq(free),
            stands.eq(offered & ~self.ready),
            was.eq(payload.as_value()),
        ]
        m.d.comb += [
            Assert(~offered | addressing | reading, "P6-PLACE"),
            Assert(~addressing | (due & ~waits), "P6-PLACE"),
            Assert(~reading | (~due & ~waits & (asked < 4)), "P6-PLACE"),
            Assert(~offered | (payload.named & (payload.cluster == place)), "P6-PLACE"),
            Assert(~offered | (payload.data == 0), "P6-PLACE"),
            Assert(~stands | (offered & (payload.as_value() == was)), "P6-STAYS"),
            Assert(~was_wanted | offered, "P8-KEPT"),
            Assert(~(was_free & ~was_wanted) | ~offered, "P8-KEPT"),
            Assert(dut.blocks.valid == whole, "P8-KEPT"),
            Assert(dut.blocks.payload == Mux(whole, block, 0), "P8-KEPT"),
            Assert(dut.idle == ~(offered | owed), "P8-REPLIES"),
            Assert(dut.refused == (heard & ~self.reply.ok), "P8-REPLIES"),
            Assert((asked <= 4) & (got <= asked), "lemma: words"),
            Assert(~(due | waits) | (asked == 0), "lemma: words"),
            Assert(begun | ~(offered | owed | (asked != 0)), "lemma: nothing before"),
            Assert(r["$signal"] == asked + reading, "lemma: words"),
            Assert(r["answered"] == got, "lemma: words"),
            Assert(r["block"] == block, "lemma: words"),
            Assert(r["addressing"] == (waits | addressing), "lemma: words"),
            Cover(whole & self.taken & (gone == 1), "a second block is read"),
            Cover(dut.refused & waits, "an ADDRESS is refused"),
        ]
        with m.If(begun & ~self.begin):
            m.d.comb += [
                Assert(column < self.width, "lemma: place"),
                Assert(r["address_due"] == (due & ~addressing), "lemma: place"),
                Assert(r["gone"] == gone, "lemma: place"),
                Assert(r["column"] == column[:4], "lemma: place"),
                Assert(r["cluster"] == place, "lemma: place"),
            ]
        return m
