# SPDX-License-Identifier: Apache-2.0
"""Properties of a leaf of the I/O network alone, for every flit and every access."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import (
    GRANT,
    IO_REQUEST,
    LANE_REPLY,
    LaneOp,
    down_flit,
    io_answer,
    lane_command,
)
from blindvisor.hdl.ionet.node import IoNode

__all__ = ["NodeSpec"]


class NodeSpec(wiring.Component):
    """Restates what a leaf takes from the tree and what it sends, and when.

    Claims
    ------
    P3-COMMAND
        The cluster gets a command in the cycle of its flit, exactly if it names this cluster or is
        for all, as it was sent.
    P8-REPLY
        The reply to a named command is what the cluster presents in the next cycle, and leaves one
        cycle after that.
    P8-ONE-ANSWER
        One request at a time is taken; it leaves once, in the cluster's next slot, as it was; it is
        answered by what the root says in the first own slot after that in which it says something.
    P11-LEVELS
        Interrupts are those of the last own slot, without a channel of which a row was written
        since.
    P12-UP
        Nothing else is ever sent.

    Nothing is assumed: slots come in any order.
    """

    index: Any
    down: Any
    request_valid: Any
    request: Any
    reply: Any

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        self.dut = IoNode(config)
        super().__init__(
            {
                "index": In(self.dut.index.shape()),
                "down": In(down_flit(config)),
                "request_valid": In(1),
                "request": In(IO_REQUEST),
                "reply": In(LANE_REPLY),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Keep the request, the reply and the levels."""
        m = Module()
        m.submodules.dut = dut = self.dut
        down = self.down
        m.d.comb += [
            dut.index.eq(self.index),
            dut.down.eq(down),
            dut.request.valid.eq(self.request_valid),
            dut.request.payload.eq(self.request),
            dut.reply.eq(self.reply),
        ]
        command_layout, told_layout = lane_command(self.config), io_answer(self.config)
        command = command_layout(down.payload[: command_layout.size])
        told = told_layout(down.payload[: told_layout.size])

        arrives, named, own = Signal(), Signal(), Signal()
        m.d.comb += [
            arrives.eq(down.valid & down.lane & (~command.named | (command.cluster == self.index))),
            named.eq(arrives & command.named),
            own.eq(~down.lane & (down.slot == self.index)),
        ]
        was_named, replying, reply = Signal(), Signal(), Signal(LANE_REPLY)
        m.d.sync += [was_named.eq(named), replying.eq(was_named), reply.eq(self.reply)]

        levels = Signal(self.config.channels)
        written = GRANT(command.data).channel
        with m.If(own):
            m.d.sync += levels.eq(told.interrupts)
        with m.If(named & (command.op == LaneOp.CHANNEL)):
            m.d.sync += levels.eq(levels & ~Cat(written == n for n in range(self.config.channels)))

        waiting, asked, kept = Signal(), Signal(), Signal(IO_REQUEST)
        answered = Signal()
        m.d.comb += answered.eq(asked & own & down.valid)
        with m.If(self.request_valid & ~waiting & ~asked):
            m.d.sync += [waiting.eq(1), kept.eq(self.request)]
        with m.If(waiting & own):
            m.d.sync += [waiting.eq(0), asked.eq(1)]
        with m.If(answered):
            m.d.sync += asked.eq(0)

        sent = Mux(waiting & own, Cat(1, kept), Mux(replying, Cat(1, reply), 0))
        busy = waiting | asked
        shown = Mux(arrives, Cat(command.data, command.op, command.named, 1), 0)
        m.d.comb += [
            Assert(Value.cast(dut.command) == shown, "P3-COMMAND"),
            Assert((waiting & own) | (Value.cast(dut.up) == sent), "P8-REPLY"),
            Assert(~(waiting & own) | (Value.cast(dut.up) == sent), "P8-ONE-ANSWER"),
            Assert(waiting | replying | (Value.cast(dut.up) == 0), "P12-UP"),
            Assert((dut.busy == busy) & (dut.request.ready == ~busy), "P8-ONE-ANSWER"),
            Assert(
                Value.cast(dut.answer) == Mux(answered, Cat(told.data, told.error, 1), 0),
                "P8-ONE-ANSWER",
            ),
            Assert(dut.interrupts == levels, "P11-LEVELS"),
            Cover(answered & told.error, "a request is refused"),
            Cover(replying & dut.up.valid & reply.ok, "a command is obeyed"),
            Cover(levels.any() & named & (command.op == LaneOp.CHANNEL), "a row is written"),
        ]
        return m
