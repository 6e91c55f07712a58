# SPDX-License-Identifier: Apache-2.0
"""Guard of the I/O channels: who owns them, and that nobody else is served."""

from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.channel import ChannelPort
from blindvisor.hdl.ionet.service import ANSWER, ServicePort

__all__ = ["DENIED_WIDTH", "ROW", "UPDATE", "ChannelGuard"]

ROW = data.StructLayout({"owner": 8, "guest": 4})
"""A channel's owner (0: nobody) and its number among the owner's channels."""

UPDATE = data.StructLayout({"valid": 1, "channel": 4, "row": ROW})
"""One write of the table."""

DENIED_WIDTH = 16
"""Bits of a channel's count of denials; it stops at its largest value."""


class ChannelGuard(wiring.Component):
    """Serves a request only if the channel's owner owns the cluster that asks.

    Holds the table of owners. A write of a row clears the channel's device in the same cycle, so
    no order of calls can hand on what a former owner left (P10).

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    root : :py:`In(ServicePort(config))`
        The root of the I/O network.
    channels : :py:`In(ChannelPort()).array(config.channels)`
        The devices, by physical channel.
    lookup : :py:`Out(bits_for(config.clusters - 1))`
        Cluster whose owner is needed (monitor's table).
    owner : :py:`In(8)`
        Owner of the cluster :attr:`lookup`, combinationally; 0 for nobody.
    update : :py:`In(UPDATE)`
        In a cycle with ``valid``: clears the channel ``channel`` and sets its row. Grant: owner
        and guest number; revoke: a row of zeros. Numbers past the last channel do nothing.
    rows : :py:`Out(data.ArrayLayout(ROW, config.channels))`
        The table, as of now; an update shows in the next cycle.
    denied : :py:`Out(data.ArrayLayout(DENIED_WIDTH, config.channels))`
        Requests refused for want of ownership, per channel (P9). Kept over changes of the owner.

    Notes
    -----
    A request is decided in the cycle in which it comes (P12: nothing waits for anybody). A request
    to a number past the last channel is refused and counted nowhere here; the cluster's SMMU
    counts every error answer.
    """

    root: Any
    channels: list[Any]
    lookup: Signal
    owner: Signal
    update: data.View
    rows: data.View
    denied: data.View

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "root": In(ServicePort(config)),
                "channels": In(ChannelPort()).array(config.channels),
                "lookup": Out(bits_for(config.clusters - 1)),
                "owner": In(8),
                "update": In(UPDATE),
                "rows": Out(data.ArrayLayout(ROW, config.channels)),
                "denied": Out(data.ArrayLayout(DENIED_WIDTH, config.channels)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Compare the owners, pass the request on, count what was refused."""
        m = Module()

        owner = Signal(8)  # of the cluster that this cycle is about
        m.d.comb += self.lookup.eq(self.root.cluster)
        m.d.sync += owner.eq(self.owner)

        rows = Signal(data.ArrayLayout(ROW, self.config.channels))
        m.d.comb += self.rows.eq(rows)

        owned = Signal(self.config.channels)
        m.d.comb += [
            owned.eq(Cat((row.owner == owner) & (owner != 0) for row in rows)),
            self.root.interrupts.eq(owned & Cat(device.interrupt for device in self.channels)),
        ]

        for number, device in enumerate(self.channels):
            changed = self.update.valid & (self.update.channel == number)
            m.d.comb += device.clear.eq(changed)
            with m.If(changed):
                m.d.sync += rows[number].eq(self.update.row)

        request = self.root.request.payload
        with m.If(self.root.request.valid):
            m.d.comb += self.root.answer.eq(ANSWER.const({"error": 1}))
            with m.Switch(request.channel):
                for number, device in enumerate(self.channels):
                    denied = self.denied[number]
                    with m.Case(number):
                        with m.If(owned[number]):
                            m.d.comb += [
                                device.access.eq(
                                    Cat(1, request.write, request.register, request.data)
                                ),
                                self.root.answer.eq(device.answer),
                            ]
                        with m.Elif(denied != 2**DENIED_WIDTH - 1):
                            m.d.sync += denied.eq(denied + 1)

        return m
