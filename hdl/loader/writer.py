# SPDX-License-Identifier: Apache-2.0
"""Writes blocks into the memories of a rectangle of clusters, over the monitor lane."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LaneOp
from blindvisor.hdl.ionet.lane import LaneUser

__all__ = ["ClusterWriter"]


class ClusterWriter(wiring.Component):
    """Writes cluster after cluster, row by row, each from word 0, and counts the replies.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    begin : :py:`In(1)`
        Takes the rectangle; the next block is the first one of its first cluster. Only while
        ``idle``.
    x, y : :py:`In(4)`, width : :py:`In(5)`
        Origin and width of the rectangle, which must be in the mesh. ``width`` must not change.
    cluster_bytes : :py:`In(...)`
        Bytes per cluster, a multiple of 16 and not 0. Must not change.
    blocks : :py:`In(stream.Signature(128))`
        What to write; the first byte is bits [7:0].
    stop : :py:`In(1)`
        Drops words that are not sent yet. A command that is offered stays until it is taken.
    idle : :py:`Out(1)`
        All words are sent or dropped and all replies are there.
    refused : :py:`Out(1)`
        High for one cycle per reply that is not ``ok``.
    lane : :py:`Out(LaneUser(config))`
        An ADDRESS command per cluster and a WRITE per word. Replies that no command of this writer
        is waiting for are ignored.

    Notes
    -----
    Keeps the lane busy: one command each second cycle while there are blocks. Waits for no reply
    before the next command. The lane's payload is the only output that depends on ``blocks`` (P7).
    """

    # For type checkers; the shapes depend on the parameters, so __init__ sets the signature.
    begin: Signal
    x: Signal
    y: Signal
    width: Signal
    cluster_bytes: Signal
    blocks: stream.Interface
    stop: Signal
    idle: Signal
    refused: Signal
    lane: Any

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "begin": In(1),
                "x": In(4),
                "y": In(4),
                "width": In(5),
                "cluster_bytes": In(bits_for(config.memory_bytes)),
                "blocks": In(stream.Signature(128)),
                "stop": In(1),
                "idle": Out(1),
                "refused": Out(1),
                "lane": Out(LaneUser(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One register for the command, one for the rest of the block."""
        m = Module()
        command = self.lane.command
        fields = command.payload.shape()
        cluster_bits = fields["cluster"].width
        words = Signal(128)
        left = Signal(range(5))  # words of the block that are not sent
        unanswered = Signal(7)
        free = Signal()  # the command register can be filled

        m.d.comb += [
            self.blocks.ready.eq((left == 0) & ~self.stop),
            # the lane answers after a fixed time, so this limit is never met on a real tree
            free.eq((~command.valid | command.ready) & (unanswered < 2**7 - 2)),
            self.refused.eq(self.lane.reply_valid & (unanswered != 0) & ~self.lane.reply.ok),
            self.idle.eq((left == 0) & ~command.valid & (unanswered == 0)),
        ]

        column = Signal(4)
        cluster = Signal(cluster_bits)
        gone = Signal(bits_for(self.config.memory_words))  # words of the cluster that are sent
        address_due = Signal()
        last_word = gone + 1 == self.cluster_bytes[2:]
        last_column = column + 1 == self.width

        with m.If(command.ready):
            m.d.sync += command.valid.eq(0)
        with m.If(free & (left != 0) & ~self.stop):
            m.d.sync += command.valid.eq(1)
            with m.If(address_due):
                m.d.sync += [
                    command.payload.eq(
                        fields.const({"op": LaneOp.ADDRESS, "named": 1}).as_value()
                        | Cat(cluster).shift_left(fields["cluster"].offset)
                    ),
                    address_due.eq(0),
                ]
            with m.Else():
                m.d.sync += [
                    command.payload.eq(
                        fields.const({"op": LaneOp.WRITE, "named": 1}).as_value()
                        | words[:32]
                        | Cat(cluster).shift_left(fields["cluster"].offset)
                    ),
                    words.eq(words[32:]),
                    left.eq(left - 1),
                    gone.eq(Mux(last_word, 0, gone + 1)),
                ]
                with m.If(last_word):
                    m.d.sync += [
                        address_due.eq(1),
                        column.eq(Mux(last_column, 0, column + 1)),
                        cluster.eq(
                            cluster + Mux(last_column, self.config.width + 1 - self.width, 1)
                        ),
                    ]
        with m.If(self.blocks.valid & self.blocks.ready):
            m.d.sync += [words.eq(self.blocks.payload), left.eq(4)]
        with m.If(self.stop):
            m.d.sync += left.eq(0)

        sent = command.valid & command.ready
        answered = self.lane.reply_valid & (unanswered != 0)
        with m.If(sent & ~answered):
            m.d.sync += unanswered.eq(unanswered + 1)
        with m.Elif(answered & ~sent):
            m.d.sync += unanswered.eq(unanswered - 1)

        with m.If(self.begin):
            # a product with a constant, as a sum: a multiplier block would be a waste
            row = sum(
                (self.y.shift_left(n) for n in range(5) if self.config.width >> n & 1), start=self.x
            )
            m.d.sync += [cluster.eq(row), column.eq(0), gone.eq(0), address_due.eq(1)]
        return m
