# SPDX-License-Identifier: Apache-2.0
"""Reads the memories of a rectangle of clusters, over the monitor lane, as blocks."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LaneOp
from blindvisor.hdl.ionet.lane import LaneUser

__all__ = ["ClusterReader"]


class ClusterReader(wiring.Component):
    """Reads cluster after cluster, row by row, each from word 0 to its last, block by block.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    begin : :py:`In(1)`
        Takes the rectangle; the first block is that of its first cluster. Only while ``idle``.
    x, y : :py:`In(4)`, width : :py:`In(5)`
        Origin and width of the rectangle, which must be in the mesh. ``width`` must not change.
    enable : :py:`In(1)`
        Blocks are wanted. Low: no command is given beyond the one that is offered.
    blocks : :py:`Out(stream.Signature(128))`
        What was read; the first byte is bits [7:0]. All zero while not valid.
    idle : :py:`Out(1)`
        No command is waiting and all replies are there.
    refused : :py:`Out(1)`
        High for one cycle per reply that is not ``ok``.
    lane : :py:`Out(LaneUser(config))`
        An ADDRESS command per cluster and a READ per word. Replies that no command of this reader
        is waiting for are ignored.

    Notes
    -----
    The next block is asked for when the last one was taken, so a block takes the lane's latency and
    four commands. No handshake and no command depends on what was read (P7).
    """

    # For type checkers; the shapes depend on the parameters, so __init__ sets the signature.
    begin: Signal
    x: Signal
    y: Signal
    width: Signal
    enable: Signal
    blocks: stream.Interface
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
                "enable": In(1),
                "blocks": Out(stream.Signature(128)),
                "idle": Out(1),
                "refused": Out(1),
                "lane": Out(LaneUser(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Count commands and replies of one block."""
        m = Module()
        command = self.lane.command
        fields = command.payload.shape()
        block = Signal(128)
        asked, answered = Signal(range(5)), Signal(range(5))  # words of the block
        addressing = Signal()  # the reply to ADDRESS is on its way
        address_due = Signal()
        column = Signal(4)
        cluster = Signal(fields["cluster"].width)
        gone = Signal(range(self.config.memory_words // 4))  # blocks of the cluster

        last_column = column + 1 == self.width
        replied = self.lane.reply_valid & (addressing | (asked != answered))
        m.d.comb += [
            self.refused.eq(replied & ~self.lane.reply.ok),
            self.idle.eq(~command.valid & ~addressing & (asked == answered)),
            self.blocks.valid.eq(answered == 4),
            self.blocks.payload.eq(block & self.blocks.valid.replicate(128)),
        ]

        free = ~command.valid | command.ready
        with m.If(command.ready):
            m.d.sync += command.valid.eq(0)
        op = Mux(address_due, LaneOp.ADDRESS.value, LaneOp.READ.value)
        with m.If(free & self.enable & ~addressing & (asked != 4)):
            m.d.sync += [
                command.valid.eq(1),
                command.payload.eq(
                    fields.const({"named": 1}).as_value()
                    | op.shift_left(fields["op"].offset)
                    | Cat(cluster).shift_left(fields["cluster"].offset)
                ),
            ]
            with m.If(address_due):
                m.d.sync += [address_due.eq(0), addressing.eq(1)]
            with m.Else():
                m.d.sync += asked.eq(asked + 1)

        with m.If(replied & addressing):
            m.d.sync += addressing.eq(0)
        with m.Elif(replied):
            m.d.sync += [
                block.eq(Cat(block[32:], self.lane.reply.data)),
                answered.eq(answered + 1),
            ]
        with m.If(self.blocks.valid & self.blocks.ready):
            m.d.sync += [asked.eq(0), answered.eq(0), gone.eq(gone + 1)]
            with m.If(gone == self.config.memory_words // 4 - 1):
                m.d.sync += [
                    address_due.eq(1),
                    column.eq(Mux(last_column, 0, column + 1)),
                    cluster.eq(cluster + Mux(last_column, self.config.width + 1 - self.width, 1)),
                ]

        with m.If(self.begin):
            # a product with a constant, as a sum: a multiplier block would be a waste
            row = sum(
                (self.y.shift_left(n) for n in range(5) if self.config.width >> n & 1), start=self.x
            )
            m.d.sync += [cluster.eq(row), column.eq(0), gone.eq(0), address_due.eq(1)]
        return m
