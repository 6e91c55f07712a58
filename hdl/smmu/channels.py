# SPDX-License-Identifier: Apache-2.0
"""Which physical channel a guest channel number means in this cluster."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import GRANT, LANE_REPLY, LEAF_COMMAND, LaneOp

__all__ = ["ChannelTable"]


class ChannelTable(wiring.Component):
    """One row per guest channel, written by the monitor lane; empty after a STOP (P10).

    Members
    -------
    command, reply_valid, reply
        As in :class:`~blindvisor.hdl.smmu.lifecycle.Lifecycle`; answers CHANNEL.
    writable : :py:`In(1)`
        The cluster has an owner that is not being destroyed; otherwise a row is refused.
    clear : :py:`In(1)`
        Empties the table.
    guest : :py:`In(4)`
        Guest channel number to look up.
    granted : :py:`Out(1)`, channel : :py:`Out(4)`
        Whether it means anything, and which physical channel; combinational.
    levels : :py:`In(channels)`, pending : :py:`Out(guest_channels)`
        Interrupt levels by physical channel; the same by guest channel (P11).

    Notes
    -----
    The root checks a channel's owner again: this table alone grants nothing.
    """

    command: data.View
    reply_valid: Signal
    reply: data.View
    writable: Signal
    clear: Signal
    guest: Signal
    granted: Signal
    channel: Signal
    levels: Signal
    pending: Signal

    def __init__(self, config: MachineConfig) -> None:
        self._config = config
        super().__init__(
            {
                "command": In(LEAF_COMMAND),
                "reply_valid": Out(1),
                "reply": Out(LANE_REPLY),
                "writable": In(1),
                "clear": In(1),
                "guest": In(4),
                "granted": Out(1),
                "channel": Out(4),
                "levels": In(config.channels),
                "pending": Out(config.guest_channels),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build one register pair per row."""
        m = Module()
        grant = data.View(GRANT, self.command.data)
        written = Signal()
        m.d.comb += written.eq(
            self.command.valid
            & self.command.named
            & (self.command.op == LaneOp.CHANNEL)
            & self.writable
            & (grant.guest < self._config.guest_channels)
            & (grant.channel < self._config.channels)
        )
        m.d.sync += [
            self.reply_valid.eq(
                self.command.valid & self.command.named & (self.command.op == LaneOp.CHANNEL)
            ),
            self.reply.eq(Cat(Const(0, 32), written)),
        ]

        levels = Signal(16)
        m.d.comb += levels.eq(self.levels)
        for number in range(self._config.guest_channels):
            valid = Signal(name=f"valid{number}")
            channel = Signal(4, name=f"channel{number}")
            with m.If(written & (grant.guest == number)):
                m.d.sync += [valid.eq(grant.valid), channel.eq(grant.channel)]
            with m.If(self.clear):
                m.d.sync += valid.eq(0)
            m.d.comb += self.pending[number].eq(valid & levels.bit_select(channel, 1))
            with m.If(self.guest == number):
                m.d.comb += [self.granted.eq(valid), self.channel.eq(channel)]
        return m
