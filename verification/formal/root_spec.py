# SPDX-License-Identifier: Apache-2.0
"""Properties of the root of the I/O network alone, for every service and every flit."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, connect, flipped

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import IO_REQUEST, LANE_REPLY, REPLY_CYCLES, UP_FLIT, lane_command
from blindvisor.hdl.ionet.root import IoRoot
from blindvisor.hdl.ionet.service import ANSWER
from blindvisor.hdl.ionet.tree import tree_depth

__all__ = ["RootSpec"]


class RootSpec(wiring.Component):
    """Counts the frame beside the gateware, and keeps the answer of one cluster (``watched``).

    Claims
    ------
    P12-FRAME
        Slot follows slot, two cycles each, from slot 0 after a reset, whatever happens.
    P10-ASKER
        The cluster that the service is told of, a cycle ahead, is in first cycles the one whose
        slot it was twice the tree's depth ago, whose flit comes up, and in second ones the one
        whose slot is next.
    P10-ANSWER
        In its slot a cluster is sent what the service said to its last flit, if that was a request.
    P11-LEVELS
        And the levels that the service showed for it in the cycle before.
    P3-COMMAND
        The lane takes a command in every second cycle, and sends it as it is.
    P8-REPLY
        Each named command is followed by one reply, in the cycle in which it is due: what comes up
        then, or a refusal.

    Assumed: ``watched`` is constant.
    """

    watched: Signal
    up: Any
    answer: Any
    interrupts: Signal
    command: stream.Interface

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        self.dut = IoRoot(config)
        super().__init__(
            {
                "watched": In(range(config.clusters)),
                "up": In(UP_FLIT),
                "answer": In(ANSWER),
                "interrupts": In(config.channels),
                "command": In(stream.Signature(lane_command(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Follow time, then what is said in it."""
        m = Module()
        m.submodules.dut = dut = self.dut
        clusters, depth = self.config.clusters, tree_depth(self.config)
        connect(m, flipped(self.command), dut.lane.command)
        m.d.comb += [
            dut.up.eq(self.up),
            dut.service.answer.eq(self.answer),
            dut.service.interrupts.eq(self.interrupts),
        ]
        started = Signal(reset_less=True)  # over resets, too: they leave the memory as it is
        was_watched = Signal.like(self.watched, reset_less=True)
        m.d.sync += [started.eq(1), was_watched.eq(self.watched)]
        m.d.comb += [
            Assume(~started | (self.watched == was_watched), "watched is constant"),
            Assume(self.watched < clusters, "watched is a cluster"),
        ]

        time = Signal(range(2 * clusters))
        m.d.sync += time.eq(Mux(time == 2 * clusters - 1, 0, time + 1))
        second = time[0]

        def cluster(ahead: int) -> Value:
            """Return whose slot it is so many slots from now."""
            slot = Signal(range(clusters), name=f"ahead{ahead % clusters}")
            with m.Switch(time[1:]):
                for now in range(clusters):
                    with m.Case(now):
                        m.d.comb += slot.eq((now + ahead) % clusters)
            return slot

        flit, lane = dut.down, dut.lane
        heard = Signal(range(clusters))
        m.d.comb += heard.eq(cluster(-depth))
        asked = self.up.valid & ~second
        word = Signal(1 + ANSWER.size, reset_less=True)  # as the memory, of which nothing is known
        shown = Signal.like(word)
        known, shown_known = Signal(reset_less=True), Signal(reset_less=True)
        with m.If(~second & (heard == self.watched)):
            m.d.sync += [word.eq(Cat(asked, self.answer)), known.eq(1)]
        levels = Signal(self.config.channels)
        due = Signal(depth + REPLY_CYCLES // 2)
        with m.If(second):
            m.d.sync += [
                levels.eq(self.interrupts),
                shown.eq(word),
                shown_known.eq(known & (cluster(1) == self.watched)),
                due.eq(Cat(self.command.valid & self.command.payload.named, due)),
            ]
        sent = Mux(self.command.valid, Cat(1, self.command.payload), 0)
        replies = second & due[-1]
        reply = Mux(replies & self.up.valid, self.up.payload[: LANE_REPLY.size], 0)
        content = Cat(flit.valid, flit.payload)
        m.d.comb += [
            Assert((flit.slot == cluster(0)) & (flit.lane == second), "P12-FRAME"),
            Assert(dut.service.cluster == Mux(second, cluster(1 - depth), cluster(1)), "P10-ASKER"),
            Assert(
                Value.cast(dut.service.request) == Cat(asked, IO_REQUEST(self.up.payload)),
                "P10-ASKER",
            ),
            Assert(second | ~shown_known | (content[: len(shown)] == shown), "P10-ANSWER"),
            Assert(
                second | (content[len(shown) : len(shown) + len(levels)] == levels), "P11-LEVELS"
            ),
            Assert(~second | (content == sent), "P3-COMMAND"),
            Assert(lane.command.ready == second, "P3-COMMAND"),
            Assert(lane.reply_valid == replies, "P8-REPLY"),
            Assert(Value.cast(lane.reply) == reply, "P8-REPLY"),
            Cover(~second & shown_known & flit.valid & (self.watched == clusters - 1), "answered"),
            Cover(replies & lane.reply.ok, "a command is obeyed"),
        ]
        return m
