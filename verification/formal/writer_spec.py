# SPDX-License-Identifier: Apache-2.0
"""The words of an image go where they belong, in order, and every reply is awaited."""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, connect, flipped

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LANE_REPLY, LaneOp
from blindvisor.hdl.loader.writer import ClusterWriter
from blindvisor.verification.formal.inner import opened

__all__ = ["WriterSpec"]

_MOST = 2**7 - 1
"""Replies that can be owed; the writer stops one before."""

_PLACE = ("cluster", "column", "gone", "address_due")


class WriterSpec(wiring.Component):
    """A model holds the words that were given and not sent, and where the next one belongs.

    Blocks, pauses and replies may come at any time. Assumed: ``begin`` only while idle, the
    rectangle lies in the mesh and the bytes per cluster in the memory; both stay until the next
    ``begin``, and no block comes before the first.

    Claims
    ------
    P6-PLACE
        A command that is offered is ADDRESS 0 before the first word of a cluster, else WRITE of the
        next word, to the cluster that follows: row by row, each from its first word to its last.
    P6-STAYS
        A command stands, unchanged, until the lane takes it.
    P8-KEPT
        While words are left and replies are not too many, a command comes in the next cycle. After
        ``stop`` none does.
    P7-GONE
        A word that was given to the lane is no longer kept beside it, unless words were dropped.
    P8-REPLIES
        ``idle`` means that all words are sent or dropped and all replies are there; ``refused``
        that one that was owed is a refusal.
    """

    begin: Signal
    x: Signal
    y: Signal
    width: Signal
    cluster_bytes: Signal
    blocks: stream.Interface
    stop: Signal
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
                "cluster_bytes": In(16),
                "blocks": In(stream.Signature(128)),
                "stop": In(1),
                "ready": In(1),
                "reply_valid": In(1),
                "reply": In(LANE_REPLY),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Compare each command with the model's."""
        m = Module()
        config = self.config
        dut = ClusterWriter(config)
        m.submodules.dut, registers = opened(dut)
        command: Any = dut.lane.command
        connect(m, flipped(self.blocks), dut.blocks)
        m.d.comb += [
            dut.begin.eq(self.begin),
            dut.x.eq(self.x),
            dut.y.eq(self.y),
            dut.width.eq(self.width),
            dut.cluster_bytes.eq(self.cluster_bytes),
            dut.stop.eq(self.stop),
            command.ready.eq(self.ready),
            dut.lane.reply_valid.eq(self.reply_valid),
            dut.lane.reply.eq(self.reply),
        ]
        words = self.cluster_bytes[2:]
        still = Cat(self.width, self.cluster_bytes)
        was, begun = Signal.like(still), Signal()
        m.d.sync += [was.eq(still), begun.eq(self.begin | begun)]
        m.d.comb += [
            Assume(~self.begin | dut.idle, "begin while idle"),
            Assume((self.width != 0) & (self.x + self.width <= config.width), "in the mesh"),
            Assume(self.y < config.height, "in the mesh"),
            Assume((self.cluster_bytes != 0) & (self.cluster_bytes[:4] == 0), "whole blocks"),
            Assume(self.cluster_bytes <= config.memory_bytes, "in the memory"),
            Assume(~begun | self.begin | (still == was), "constant"),
        ]
        taken = self.blocks.valid & self.blocks.ready
        sent = command.valid & command.ready
        op = command.payload.op
        # The model: words that were given and not sent, the first of them lowest.
        queue, left = Signal(5 * 32), Signal(range(6))
        owed = Signal(7)
        place = Signal.like(command.payload.cluster)  # past the last one, from the first again
        column, gone, due = Signal(5), Signal(16), Signal()
        writes = sent & (op == LaneOp.WRITE)
        rest = Signal(range(6))
        m.d.comb += rest.eq(left - writes)
        dropped = Mux(self.stop, command.valid & ~command.ready & (op == LaneOp.WRITE), rest)
        m.d.sync += left.eq(Mux(taken, rest + 4, dropped))
        shifted = Mux(writes, queue >> 32, queue)
        with m.If(taken):
            m.d.sync += queue.eq(
                Mux(rest == 0, self.blocks.payload, Cat(shifted[:32], self.blocks.payload))
            )
        with m.Else():
            m.d.sync += queue.eq(shifted)
        answered = self.reply_valid & (owed != 0)
        m.d.sync += owed.eq(owed + sent - answered)
        with m.If(self.begin):
            m.d.sync += [
                place.eq(self.y * config.width + self.x),
                column.eq(0),
                gone.eq(0),
                due.eq(1),
            ]
        with m.Elif(sent & (op == LaneOp.ADDRESS)):
            m.d.sync += due.eq(0)
        with m.Elif(writes):
            m.d.sync += gone.eq(gone + 1)
            with m.If(gone + 1 == words):
                m.d.sync += [gone.eq(0), due.eq(1), column.eq(column + 1), place.eq(place + 1)]
                with m.If(column + 1 == self.width):
                    m.d.sync += [column.eq(0), place.eq(place + 1 + config.width - self.width)]
        self._claim(m, dut, registers, queue, left, owed, place, column, gone, due, begun)
        return m

    def _claim(
        self,
        m: Module,
        dut: Any,
        registers: dict[str, Signal],
        queue: Signal,
        left: Signal,
        owed: Signal,
        place: Signal,
        column: Signal,
        gone: Signal,
        due: Signal,
        begun: Signal,
    ) -> None:
        command = dut.lane.command
        offered, payload = command.valid, command.payload
        writing = offered & (payload.op == LaneOp.WRITE)
        addressing = offered & (payload.op == LaneOp.ADDRESS)
        was_offered, was = Signal(), Signal.like(payload.as_value())
        could, stopped = Signal(), Signal()
        free = (~offered | command.ready) & (owed < _MOST - 1)
        held = left - writing  # in the register of words
        m.d.sync += [
            was_offered.eq(offered & ~command.ready),
            was.eq(payload.as_value()),
            could.eq(free & (held != 0) & ~self.stop),
            stopped.eq(~offered | command.ready),
        ]
        last = gone + 1 == self.cluster_bytes[2:]
        turn = column + 1 == self.width
        after = Mux(turn, place + 1 + self.config.width - self.width, place + 1)
        held_words = Mux(writing, queue[32:], queue[:128])
        mask = Cat(Mux(held > n, Const(-1, 32), 0)[:32] for n in range(4))
        dropped = Signal()  # words that are not cleared
        with m.If(dut.blocks.valid & dut.blocks.ready):
            m.d.sync += dropped.eq(0)
        with m.Elif(self.stop & (held != 0)):
            m.d.sync += dropped.eq(1)
        step = Mux(writing, last, 0)
        m.d.comb += [
            Assert(~offered | writing | addressing, "P6-PLACE"),
            Assert(~addressing | (due & (payload.data == 0)), "P6-PLACE"),
            Assert(~writing | (~due & (left != 0) & (payload.data == queue[:32])), "P6-PLACE"),
            Assert(~offered | (payload.named & (payload.cluster == place)), "P6-PLACE"),
            Assert(~was_offered | (offered & (payload.as_value() == was)), "P6-STAYS"),
            Assert(~could | offered, "P8-KEPT"),
            Assert(~(stopped & ~could) | ~offered, "P8-KEPT"),
            Assert(dut.idle == ((left == 0) & ~offered & (owed == 0)), "P8-REPLIES"),
            Assert(dut.refused == (self.reply_valid & (owed != 0) & ~self.reply.ok), "P8-REPLIES"),
            Assert(dut.blocks.ready == ((held == 0) & ~self.stop), "P8-KEPT"),
            Assert(owed + offered <= _MOST, "P8-REPLIES"),
            Assert(registers["left"] == held, "lemma: words"),
            Assert(held <= 4, "lemma: words"),
            Assert((registers["words"] & mask) == (held_words & mask), "lemma: words"),
            Assert(dropped | ((registers["words"] & ~mask) == 0), "P7-GONE"),
            Assert(~dropped | (held == 0), "lemma: words"),
            Assert(registers["unanswered"] == owed, "lemma: replies"),
        ]
        with m.If(begun & ~self.begin):
            m.d.comb += [
                Assert((column < self.width) & (gone < self.cluster_bytes[2:]), "lemma: place"),
                Assert(registers["address_due"] == Mux(addressing, 0, due | step), "lemma: place"),
                Assert(registers["gone"] == Mux(step, 0, gone + writing), "lemma: place"),
                Assert(
                    registers["column"] == Mux(step, Mux(turn, 0, column + 1), column)[:4],
                    "lemma: place",
                ),
                Assert(
                    registers["cluster"] == Mux(step, after, place)[: len(place)],
                    "lemma: place",
                ),
            ]
        m.d.comb += [
            Assume(begun | self.begin | ~self.blocks.valid, "blocks come after begin"),
            Assert(begun | ((left == 0) & ~offered), "lemma: nothing before"),
            Assert(begun | (Cat(registers[name] for name in _PLACE) == 0), "lemma: nothing before"),
            Cover(writing & (place != 0) & (gone == 1), "the second cluster is written"),
            Cover(begun & dut.idle & self.stop, "it stops"),
        ]
