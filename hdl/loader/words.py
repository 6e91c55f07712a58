# SPDX-License-Identifier: Apache-2.0
"""Between words of 32 bits and blocks of 128: the first word is bits [31:0] of a block."""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["BlockGather", "WordScatter"]


class BlockGather(wiring.Component):
    """Makes a block of four words.

    Members
    -------
    enable : :py:`In(1)`
        Words are taken. What is gathered stays.
    words : :py:`In(stream.Signature(32))`
    blocks : :py:`Out(stream.Signature(128))`
        While a block waits here, no word is taken.
    filled : :py:`Out(1)`
        High for one cycle, the one before a block is there.
    """

    enable: Signal
    words: stream.Interface
    blocks: stream.Interface
    filled: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "enable": In(1),
                "words": In(stream.Signature(32)),
                "blocks": Out(stream.Signature(128)),
                "filled": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Shift and count."""
        m = Module()
        words, blocks = self.words, self.blocks
        count = Signal(range(5))
        m.d.comb += [
            blocks.valid.eq(count == 4),
            words.ready.eq(self.enable & ~blocks.valid),
            self.filled.eq(words.valid & words.ready & (count == 3)),
        ]
        with m.If(words.valid & words.ready):
            m.d.sync += [
                blocks.payload.eq(Cat(blocks.payload[32:], words.payload)),
                count.eq(count + 1),
            ]
        with m.If(blocks.valid & blocks.ready):
            m.d.sync += count.eq(0)
        return m


class WordScatter(wiring.Component):
    """Gives a block as four words.

    Members
    -------
    blocks : :py:`In(stream.Signature(128))`
        Taken while no word is left.
    words : :py:`Out(stream.Signature(32))`
    """

    blocks: stream.Interface
    words: stream.Interface

    def __init__(self) -> None:
        super().__init__({"blocks": In(stream.Signature(128)), "words": Out(stream.Signature(32))})

    def elaborate(self, platform: object) -> Module:
        """Shift and count."""
        m = Module()
        words, blocks = self.words, self.blocks
        block = Signal(128)
        left = Signal(range(5))
        m.d.comb += [
            blocks.ready.eq(left == 0),
            words.valid.eq(left != 0),
            words.payload.eq(block[:32]),
        ]
        with m.If(blocks.valid & blocks.ready):
            m.d.sync += [block.eq(blocks.payload), left.eq(4)]
        with m.If(words.valid & words.ready):
            m.d.sync += [block.eq(block[32:]), left.eq(left - 1)]
        return m
