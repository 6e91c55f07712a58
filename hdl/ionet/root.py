# SPDX-License-Identifier: Apache-2.0
"""The root of the I/O network: keeper of the frame."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import (
    IO_REQUEST,
    LANE_REPLY,
    REPLY_CYCLES,
    UP_FLIT,
    down_flit,
)
from blindvisor.hdl.ionet.lane import LaneUser
from blindvisor.hdl.ionet.service import ANSWER, ServicePort
from blindvisor.hdl.ionet.tree import tree_depth

__all__ = ["IoRoot"]

_STORED = data.StructLayout({"valid": 1, "answer": ANSWER})


class IoRoot(wiring.Component):
    """Counts the frame, and knows from the count alone who speaks and who listens.

    In the first cycle of slot *k* it sends cluster *k* its answer and its interrupts; in the
    second it sends a command of the monitor lane, if there is one. What comes up in a first cycle
    is a request of the cluster whose slot it was ``2 * tree_depth(config)`` cycles ago; in a
    second cycle, the reply to the command sent ``2 * tree_depth(config) + REPLY_CYCLES`` cycles
    ago. No flit carries a name that a cluster could forge.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    down : :py:`Out(down_flit(config))`
        To the tree.
    up : :py:`In(UP_FLIT)`
        From the tree.
    service : :py:`Out(ServicePort(config))`
        What decides about requests and interrupts.
    lane : :py:`In(LaneUser(config))`
        The user of the monitor lane.

    Notes
    -----
    The answers are a memory with a word per slot. Every frame writes each word once, with no
    answer when there was no request, and reads it once: an answer is sent exactly once, and no
    cluster's traffic touches another's word (P12). A reply is passed on in its one due cycle: what
    comes at any other time is ignored, and a reply that does not come counts as refused (P8).
    """

    down: data.View
    up: data.View
    service: Any
    lane: Any

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "down": Out(down_flit(config)),
                "up": In(UP_FLIT),
                "service": Out(ServicePort(config)),
                "lane": In(LaneUser(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the frame counters, the answers and the history of the monitor lane."""
        m = Module()

        clusters, depth = self.config.clusters, tree_depth(self.config)
        slot_shape = bits_for(clusters - 1)

        lane = Signal()
        slot = Signal(slot_shape)  # sent now
        heard = Signal(slot_shape, init=-depth % clusters)  # arrives now: sent 2 * depth cycles ago
        next_slot = Signal(slot_shape)
        next_heard = Signal(slot_shape)
        m.d.comb += [
            next_slot.eq(Mux(slot == clusters - 1, 0, slot + 1)),
            next_heard.eq(Mux(heard == clusters - 1, 0, heard + 1)),
        ]
        m.d.sync += lane.eq(~lane)
        with m.If(lane):
            m.d.sync += [slot.eq(next_slot), heard.eq(next_heard)]

        # First cycles ask about who is heard, second cycles about who is sent to next; the port
        # wants the cluster's name one cycle before either.
        answers = m.submodules.answers = memory.Memory(shape=_STORED, depth=clusters, init=[])
        write = answers.write_port()
        read = answers.read_port()
        interrupts = Signal(self.config.channels)
        m.d.comb += [
            self.service.cluster.eq(Mux(lane, next_heard, next_slot)),
            self.service.request.eq(Cat(self.up.valid & ~lane, IO_REQUEST(self.up.payload))),
            write.addr.eq(heard),
            write.data.eq(Cat(self.service.request.valid, self.service.answer)),
            write.en.eq(~lane),
            read.addr.eq(next_slot),
            read.en.eq(lane),
        ]
        with m.If(lane):
            m.d.sync += interrupts.eq(self.service.interrupts)

        answered = read.data
        with m.If(~lane):
            m.d.comb += self.down.eq(Cat(slot, lane, answered.valid, answered.answer, interrupts))
        with m.Elif(self.lane.command.valid):
            m.d.comb += self.down.eq(Cat(slot, lane, 1, self.lane.command.payload))
        with m.Else():
            m.d.comb += self.down.eq(Cat(slot, lane))

        due = Signal(depth + REPLY_CYCLES // 2)  # by second cycles; the last bit is due now
        m.d.comb += self.lane.command.ready.eq(lane)
        with m.If(lane):
            named = self.lane.command.valid & self.lane.command.payload.named
            m.d.sync += due.eq(Cat(named, due))
        with m.If(lane & due[-1]):
            m.d.comb += self.lane.reply_valid.eq(1)
            with m.If(self.up.valid):
                m.d.comb += self.lane.reply.eq(self.up.payload[: LANE_REPLY.size])

        return m
