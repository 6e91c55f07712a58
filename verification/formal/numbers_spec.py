# SPDX-License-Identifier: Apache-2.0
"""Save numbers are given out one after the other, to the last."""

from amaranth import Cat, Module, Signal
from amaranth.hdl import Assert, Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.loader.savenumber import SaveNumber

__all__ = ["NumbersSpec"]


class NumbersSpec(wiring.Component):
    """Epoch and requests may change as they like.

    Claims
    ------
    P7-NEXT
        The number is the epoch with the count of those that were given out.
    P8-AVAILABLE
        There is a number exactly if there is an epoch and not all counts have been given out.
    """

    epoch: Signal
    epoch_valid: Signal
    take: Signal

    def __init__(self) -> None:
        super().__init__({"epoch": In(64), "epoch_valid": In(1), "take": In(1)})

    def elaborate(self, platform: object) -> Module:
        """Count beside it."""
        m = Module()
        m.submodules.dut = dut = SaveNumber()
        m.d.comb += [
            dut.epoch.eq(self.epoch),
            dut.epoch_valid.eq(self.epoch_valid),
            dut.take.eq(self.take),
        ]
        given = Signal(32)
        left = given != 2**32 - 1
        with m.If(self.take & self.epoch_valid & left):
            m.d.sync += given.eq(given + 1)
        m.d.comb += [
            Assert(dut.number == Cat(self.epoch, given), "P7-NEXT"),
            Assert(dut.available == (self.epoch_valid & left), "P8-AVAILABLE"),
            Cover(given == 2, "two numbers are given out"),
        ]
        return m
