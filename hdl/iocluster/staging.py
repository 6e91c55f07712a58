# SPDX-License-Identifier: Apache-2.0
"""FIFO through which the words of an image reach the loader, each once."""

from typing import Any

from amaranth import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.config import MachineConfig

__all__ = ["Staging"]


class Staging(wiring.Component):
    """Takes at most a given number of words while open; forgets everything when closed.

    A word that the loader has taken is gone, so the hypervisor can neither have it read twice nor
    change it after it was checked.

    Parameters
    ----------
    config : :class:`MachineConfig`
        ``staging_words`` is the depth.

    Members
    -------
    opened : :py:`In(1)`
        A load is running. While 0, nothing is taken and what is left is dropped.
    limit : :py:`In(30)`
        Words to take in all; sampled until ``opened`` rises.
    write, data : :py:`In(1)`, :py:`In(32)`
        Appends a word. Nothing happens while ``space`` is 0.
    space : :py:`Out(range(staging_words + 1))`
        Words that are taken now.
    words : :py:`Out(stream.Signature(32))`
        What was written, in order.

    Notes
    -----
    A word is offered two cycles after it was written at the earliest. Keeps part of P6 (no double
    fetch).
    """

    opened: Signal
    limit: Signal
    write: Signal
    data: Signal
    space: Signal
    words: stream.Interface

    def __init__(self, config: MachineConfig) -> None:
        self.depth = config.staging_words
        super().__init__(
            {
                "opened": In(1),
                "limit": In(30),
                "write": In(1),
                "data": In(32),
                "space": Out(range(self.depth + 1)),
                "words": Out(stream.Signature(32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Count what may still be taken, in front of a FIFO that is in reset while closed."""
        m = Module()
        fifo: Any = SyncFIFOBuffered(width=32, depth=self.depth)  # its stubs lack the ports
        m.submodules.fifo = ResetInserter(~self.opened)(fifo)

        remaining = Signal(30)
        with m.If(~self.opened):
            m.d.sync += remaining.eq(self.limit)
        with m.Elif(fifo.w_en):
            m.d.sync += remaining.eq(remaining - 1)

        # The FIFO refuses for a cycle while its last free place is in front of the output register.
        room = Signal.like(self.space)
        with m.If(self.opened & fifo.w_rdy):
            m.d.comb += room.eq(self.depth - fifo.level)
        with m.If(remaining < room):
            m.d.comb += self.space.eq(remaining)
        with m.Else():
            m.d.comb += self.space.eq(room)

        m.d.comb += [
            fifo.w_data.eq(self.data),
            fifo.w_en.eq(self.write & (self.space != 0)),
            self.words.payload.eq(fifo.r_data),
            self.words.valid.eq(fifo.r_rdy & self.opened),
            fifo.r_en.eq(self.words.ready & self.opened),
        ]
        return m
