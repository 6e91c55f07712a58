# SPDX-License-Identifier: Apache-2.0
"""A cluster's leaf of the I/O network."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import (
    GRANT,
    IO_REQUEST,
    LANE_REPLY,
    LEAF_ANSWER,
    LEAF_COMMAND,
    UP_FLIT,
    LaneOp,
    down_flit,
    io_answer,
    lane_command,
)

__all__ = ["IoNode"]


class _Phase(enum.Enum, shape=2):
    """Where the cluster's request is. The unused encoding behaves as ASKED."""

    IDLE = 0
    WAIT_SLOT = 1
    ASKED = 2


class IoNode(wiring.Component):
    """Sends what the cluster says in the cluster's own time, and shows it only what is for it.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    index : :py:`In(bits_for(config.clusters - 1))`
        The cluster's index, which is its slot; constant.
    down : :py:`In(down_flit(config))`
        From the tree.
    up : :py:`Out(UP_FLIT)`
        To the tree; all zero except in the cluster's own time.
    request : :py:`In(stream.Signature(IO_REQUEST))`
        The cluster's accesses to channels; one is taken when none is under way.
    answer : :py:`Out(LEAF_ANSWER)`
        For one cycle, the answer to the request; else all zero.
    busy : :py:`Out(1)`
        A request has been taken and not been answered.
    interrupts : :py:`Out(config.channels)`
        Levels of the channels that the cluster's owner owns, as of the last own slot.
    command : :py:`Out(LEAF_COMMAND)`
        A command of the monitor lane in the cycle in which it arrives; else all zero.
    reply : :py:`In(LANE_REPLY)`
        Wanted in the cycle after a command with ``named``.

    Notes
    -----
    What is meant for other clusters reaches no output and no register (P12). A request takes as
    long as its cluster's slot is away, and then a constant time; a reply leaves exactly
    ``REPLY_CYCLES`` after its command. An answer without a request is dropped (P8).
    """

    index: Signal
    down: data.View
    up: data.View
    request: stream.Interface
    answer: data.View
    busy: Signal
    interrupts: Signal
    command: data.View
    reply: data.View

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "index": In(bits_for(config.clusters - 1)),
                "down": In(down_flit(config)),
                "up": Out(UP_FLIT),
                "request": In(stream.Signature(IO_REQUEST)),
                "answer": Out(LEAF_ANSWER),
                "busy": Out(1),
                "interrupts": Out(config.channels),
                "command": Out(LEAF_COMMAND),
                "reply": In(LANE_REPLY),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the I/O lane's three phases and the monitor lane's two stages."""
        m = Module()

        # Reply first: when both lanes wanted the wires, the own slot below would win. They never
        # do: the root's ``lane`` alternates, and REPLY_CYCLES is even.
        named = Signal()
        replying = Signal()
        reply = Signal(LANE_REPLY)
        m.d.sync += [replying.eq(named), reply.eq(self.reply)]
        with m.If(replying):
            m.d.comb += self.up.eq(Cat(1, reply))

        command_layout = lane_command(self.config)
        command = command_layout(self.down.payload[: command_layout.size])
        for_us = ~command.named | (command.cluster == self.index)
        with m.If(self.down.lane & self.down.valid & for_us):
            m.d.comb += self.command.eq(Cat(command.data, command.op, command.named, 1))
        m.d.sync += named.eq(self.command.valid & self.command.named)

        own_slot = Signal()
        m.d.comb += own_slot.eq(~self.down.lane & (self.down.slot == self.index))
        told_layout = io_answer(self.config)
        told = told_layout(self.down.payload[: told_layout.size])
        with m.If(own_slot):
            m.d.sync += self.interrupts.eq(told.interrupts)
        # A row of the channel table changes: the level that the channel had before it was taken
        # away must not appear under a new number. The root has been sending zero since (P10, P11).
        with m.If(self.command.valid & self.command.named & (self.command.op == LaneOp.CHANNEL)):
            m.d.sync += self.interrupts.bit_select(GRANT(self.command.data).channel, 1).eq(0)

        phase = Signal(_Phase)
        kept = Signal(IO_REQUEST)
        m.d.comb += [
            self.request.ready.eq(phase == _Phase.IDLE),
            self.busy.eq(phase != _Phase.IDLE),
        ]
        with m.Switch(phase):
            with m.Case(_Phase.IDLE):
                with m.If(self.request.valid):
                    m.d.sync += [kept.eq(self.request.payload), phase.eq(_Phase.WAIT_SLOT)]
            with m.Case(_Phase.WAIT_SLOT):
                with m.If(own_slot):
                    m.d.comb += self.up.eq(Cat(1, kept))
                    m.d.sync += phase.eq(_Phase.ASKED)
            with m.Default():
                with m.If(own_slot & self.down.valid):
                    m.d.comb += self.answer.eq(Cat(told.data, told.error, 1))
                    m.d.sync += phase.eq(_Phase.IDLE)

        return m
