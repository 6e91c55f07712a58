# SPDX-License-Identifier: Apache-2.0
"""Properties of the scrubber alone, whatever the lifecycle does."""

from amaranth import Module, Mux, Signal
from amaranth.hdl import Assert, Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.cluster.scrubber import Scrubber

__all__ = ["ScrubberSpec"]


class ScrubberSpec(wiring.Component):
    """Counts the cycles of ``zero``.

    Claims
    ------
    P5-ORDER
        In cycle n of ``zero`` word n is written, after the last one the first again.
    P5-END
        The end is told in the cycle in which the last word is written, and in no other.
    P5-STILL
        Without ``zero`` nothing is written, and the next scrub begins with the first word.

    Nothing is assumed. Where the words go is the proof ``scrub``.
    """

    zero: Signal

    def __init__(self, *, words: int) -> None:
        self._words = words
        self.dut = Scrubber(words=words)
        super().__init__({"zero": In(1)})

    def elaborate(self, platform: object) -> Module:
        """Count beside the gateware."""
        m = Module()
        m.submodules.dut = dut = self.dut
        m.d.comb += dut.zero.eq(self.zero)
        last = self._words - 1
        spent = Signal(range(self._words))
        m.d.sync += spent.eq(Mux(self.zero & (spent != last), spent + 1, 0))
        m.d.comb += [
            Assert(dut.index == spent, "P5-ORDER"),
            Assert(dut.write == self.zero, "P5-STILL"),
            Assert(dut.scrubbed == (self.zero & (spent == last)), "P5-END"),
            Cover(dut.scrubbed, "the end is told"),
            Cover(~self.zero & (spent == 3), "a scrub is cut short"),
        ]
        return m
