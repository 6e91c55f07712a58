# SPDX-License-Identifier: Apache-2.0
"""Properties of the SMMU's channel table, for every sequence of grants."""

from amaranth import Cat, Const, Module, Signal
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import GRANT, LEAF_COMMAND, LaneOp
from blindvisor.hdl.smmu.channels import ChannelTable

__all__ = ["ChannelTableSpec"]


class ChannelTableSpec(wiring.Component):
    """Follows one row, any one (``watched``), also one that does not exist.

    Claims
    ------
    P10-GRANTED
        A guest channel means something exactly if its row was granted after the last clear and not
        revoked since, and then it means what the grant said.
    P10-KEPT
        What the number of a row shows beside that stays what its last grant said, be it a
        revocation; a number beyond the table shows zero.
    P10-CLEAR
        In the cycle after a clear no row means anything; nor does a number beyond the table.
    P11-PENDING
        The interrupt of a guest channel is the level of the channel that its row means, else 0.
    REPLY
        A named CHANNEL is answered in the next cycle, with ok exactly if it was written.

    Assumed: ``watched`` is constant.
    """

    command: data.View
    writable: Signal
    clear: Signal
    watched: Signal
    guest: Signal
    levels: Signal

    def __init__(self, config: MachineConfig) -> None:
        self._config = config
        self.dut = ChannelTable(config)
        super().__init__(
            {
                "command": In(LEAF_COMMAND),
                "writable": In(1),
                "clear": In(1),
                "watched": In(4),
                "guest": In(4),
                "levels": In(config.channels),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Keep the watched row."""
        m = Module()
        m.submodules.dut = dut = self.dut
        m.d.comb += [
            dut.command.eq(self.command),
            dut.writable.eq(self.writable),
            dut.clear.eq(self.clear),
            dut.guest.eq(self.guest),
            dut.levels.eq(self.levels),
        ]
        started = Signal()
        was_watched = Signal(4)
        m.d.sync += [started.eq(1), was_watched.eq(self.watched)]
        m.d.comb += Assume(~started | (self.watched == was_watched), "one row is watched")

        rows, channels = self._config.guest_channels, self._config.channels
        grant = data.View(GRANT, self.command.data)
        named = Signal()
        good = Signal()
        m.d.comb += [
            named.eq(self.command.valid & self.command.named & (self.command.op == LaneOp.CHANNEL)),
            good.eq(named & self.writable & (grant.guest < rows) & (grant.channel < channels)),
        ]
        valid = Signal()
        channel = Signal(4)
        with m.If(good & (grant.guest == self.watched)):
            m.d.sync += [valid.eq(grant.valid), channel.eq(grant.channel)]
        with m.If(self.clear):
            m.d.sync += valid.eq(0)
        was_clear = Signal()
        was_named = Signal()
        was_good = Signal()
        m.d.sync += [was_clear.eq(self.clear), was_named.eq(named), was_good.eq(good)]

        with m.If(self.guest == self.watched):
            m.d.comb += Assert(dut.granted == valid, "P10-GRANTED")
            m.d.comb += Assert(dut.channel == channel, "P10-KEPT")
        m.d.comb += [
            Assert(~dut.granted | (~was_clear & (self.guest < rows)), "P10-CLEAR"),
            Assert(~dut.granted | (dut.channel < channels), "P10-GRANTED"),
            Assert(dut.reply_valid == was_named, "REPLY"),
            Assert(dut.reply.as_value() == Cat(Const(0, 32), was_good), "REPLY"),
        ]
        with m.If(self.watched < rows):
            m.d.comb += Assert(
                dut.pending.bit_select(self.watched[: (rows - 1).bit_length()], 1)
                == (valid & (self.levels >> channel)[0]),
                "P11-PENDING",
            )
        m.d.comb += [
            Cover(valid & (channel == channels - 1) & dut.pending.any(), "an interrupt comes"),
            Cover(started & was_named & ~was_good, "a grant is refused"),
            Cover(was_clear & (channel != 0) & ~valid, "a row is cleared"),
        ]
        return m
