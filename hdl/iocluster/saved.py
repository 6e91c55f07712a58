# SPDX-License-Identifier: Apache-2.0
"""FIFO through which the hypervisor takes the words of a saved image, each once."""

from typing import Any

from amaranth import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

__all__ = ["SAVED_DEPTH", "SavedWords"]

SAVED_DEPTH = 16
"""Words that wait at most."""


class SavedWords(wiring.Component):
    """Gives words while open; forgets everything when closed.

    Members
    -------
    opened : :py:`In(1)`
        A save is running. While 0, nothing is given and what is left is dropped.
    words : :py:`In(stream.Signature(32))`
        From the loader.
    read : :py:`In(1)`
        Takes ``data``. Nothing happens while ``count`` is 0.
    data : :py:`Out(32)`
        The next word; 0 while ``count`` is 0.
    count : :py:`Out(range(SAVED_DEPTH + 1))`
        Words that can be taken now.
    """

    opened: Signal
    words: stream.Interface
    read: Signal
    data: Signal
    count: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "opened": In(1),
                "words": In(stream.Signature(32)),
                "read": In(1),
                "data": Out(32),
                "count": Out(range(SAVED_DEPTH + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Hold a FIFO in reset while closed; it reads its memory in the same cycle."""
        m = Module()
        fifo: Any = SyncFIFO(width=32, depth=SAVED_DEPTH)  # its stubs lack the ports
        m.submodules.fifo = ResetInserter(~self.opened)(fifo)
        m.d.comb += [
            fifo.w_data.eq(self.words.payload),
            fifo.w_en.eq(self.words.valid & self.opened),
            self.words.ready.eq(fifo.w_rdy & self.opened),
            fifo.r_en.eq(self.read & self.opened),
        ]
        with m.If(self.opened & fifo.r_rdy):
            m.d.comb += [self.data.eq(fifo.r_data), self.count.eq(fifo.level)]
        return m
