# SPDX-License-Identifier: Apache-2.0
"""Properties of the save numbers of one power-on."""

from amaranth import Module, Signal
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.loader.savenumber import SaveNumber

__all__ = ["SaveNumberSpec"]


class SaveNumberSpec(wiring.Component):
    """Remembers the count of the number that was given out last.

    Claims
    ------
    P7-ONCE
        The count of a number that is given out is larger than those of all before it, and its epoch
        is the power-on's.
    P7-END
        After the largest count, no number is available.
    P7-EPOCH
        Without an epoch, none is.
    INVARIANT
        Nothing but giving out a number changes it.

    Assumed: the epoch is constant. Not covered: that the key store gives no epoch twice.
    """

    epoch: Signal
    epoch_valid: Signal
    take: Signal

    def __init__(self) -> None:
        super().__init__({"epoch": In(64), "epoch_valid": In(1), "take": In(1)})

    def elaborate(self, platform: object) -> Module:
        """Compare each number with the one before."""
        m = Module()
        m.submodules.dut = dut = SaveNumber()
        m.d.comb += [
            dut.epoch.eq(self.epoch),
            dut.epoch_valid.eq(self.epoch_valid),
            dut.take.eq(self.take),
        ]
        started = Signal()
        epoch = Signal(64)
        m.d.sync += [started.eq(1), epoch.eq(self.epoch)]
        m.d.comb += Assume(~started | (self.epoch == epoch), "constant")

        given = Signal()  # in the cycle before
        last = Signal(32)  # count of the number given out before that one
        count = dut.number[64:]
        m.d.sync += given.eq(self.take & dut.available)
        with m.If(given):
            m.d.sync += last.eq(count)
            m.d.comb += [
                Assert(count > last, "P7-ONCE"),
                Assert(dut.number[:64] == self.epoch, "P7-ONCE"),
            ]
        with m.Else():
            m.d.comb += Assert(count == last, "INVARIANT")
        with m.If(dut.available):
            m.d.comb += [
                Assert(~count.all(), "P7-END"),
                Assert(self.epoch_valid, "P7-EPOCH"),
            ]
        m.d.comb += Cover(given & (last != 0), "two numbers are given out")
        return m
