# SPDX-License-Identifier: Apache-2.0
"""Zeroes a cluster."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

__all__ = ["Scrubber"]


class Scrubber(wiring.Component):
    """Walks through the memory at one word a cycle, and through the cores' registers beside it.

    Parameters
    ----------
    words : :class:`int`
        Size of the memory in 32-bit words, a power of two from 32.

    Members
    -------
    zero : :py:`In(1)`
        Works while set; starts again from the beginning when it rises.
    index : :py:`Out`
        Word to zero in this cycle; its low five bits are the general register to zero.
    write : :py:`Out(1)`
        ``index`` is valid: the memory's second port belongs to the scrubber.
    scrubbed : :py:`Out(1)`
        The cycle in which the last word is written.

    Raises
    ------
    :exc:`ValueError`
        If the memory has fewer words than a core has registers.
    """

    zero: Signal
    index: Signal
    write: Signal
    scrubbed: Signal

    def __init__(self, *, words: int) -> None:
        if words < 32:
            raise ValueError(f"Memory must have 32 words or more, not {words!r}")
        self._words = words
        super().__init__(
            {"zero": In(1), "index": Out(ceil_log2(words)), "write": Out(1), "scrubbed": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        """One counter."""
        m = Module()
        m.d.comb += [
            self.write.eq(self.zero),
            self.scrubbed.eq(self.zero & (self.index == self._words - 1)),
        ]
        with m.If(self.zero):
            m.d.sync += self.index.eq(self.index + 1)
        with m.Else():
            m.d.sync += self.index.eq(0)
        return m
