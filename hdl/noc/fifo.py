# SPDX-License-Identifier: Apache-2.0
"""FIFO in distributed RAM, with both handshakes straight from registers."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["Fifo"]


class Fifo(wiring.Component):
    """Keeps words in order; a word written at one clock edge can leave at the next.

    Parameters
    ----------
    shape : :class:`ShapeLike`
        Shape of a word.
    depth : :class:`int`
        Words it holds, 2 to 16. Distributed RAM is 16 words deep in any case.

    Members
    -------
    writer : :py:`In(stream.Signature(shape))`
        ``ready`` is a register: it does not depend on anything that happens in the same cycle.
    reader : :py:`Out(stream.Signature(shape))`
        ``valid`` is a register too; ``payload`` is an asynchronous read of the RAM.

    Raises
    ------
    :exc:`TypeError`
        If the depth is not an integer.
    :exc:`ValueError`
        If the depth is out of range.

    Notes
    -----
    One word per cycle as long as it is neither full nor empty; a full FIFO takes its next word
    one cycle after it has given one.
    """

    writer: stream.Interface
    reader: stream.Interface

    def __init__(self, *, shape: ShapeLike, depth: int) -> None:
        if type(depth) is not int:
            raise TypeError(f"FIFO depth must be an integer, not {depth!r}")
        if not 2 <= depth <= 16:
            raise ValueError(f"FIFO depth must be from 2 to 16, not {depth}")
        self.shape = shape
        self.depth = depth
        super().__init__(
            {"writer": In(stream.Signature(shape)), "reader": Out(stream.Signature(shape))}
        )

    def _successor(self, pointer: Signal) -> Value:
        # Each bit is a function of at most four: one LUT. An adder would be a carry chain.
        following = Cat(pointer[n] ^ pointer[:n].all() for n in range(len(pointer)))
        if self.depth & (self.depth - 1):
            return Mux(pointer == self.depth - 1, 0, following)
        return following

    def elaborate(self, platform: object) -> Module:
        """Two pointers, and what they cannot tell apart (full or empty) in two registers."""
        m = Module()
        memory = Memory(shape=self.shape, depth=self.depth, init=[])
        m.submodules.memory = memory
        write_port = memory.write_port()
        read_port = memory.read_port(domain="comb")

        newest = Signal(range(self.depth))  # where the next word goes
        oldest = Signal(range(self.depth))
        empty = Signal(init=1)
        full = Signal()
        m.d.comb += [
            self.writer.ready.eq(~full),
            self.reader.valid.eq(~empty),
            write_port.addr.eq(newest),
            write_port.data.eq(self.writer.payload),
            read_port.addr.eq(oldest),
            self.reader.payload.eq(read_port.data),
        ]

        # Whoever reads decides late in the cycle: the comparisons must not wait for it.
        written = Signal()
        one_left = Signal()
        one_free = Signal()
        m.d.comb += [
            written.eq(self.writer.valid & ~full),
            write_port.en.eq(written),
            one_left.eq(self._successor(oldest) == newest),
            one_free.eq(self._successor(newest) == oldest),
        ]
        taken = Signal()
        m.d.comb += taken.eq(~empty & self.reader.ready)
        with m.If(written):
            m.d.sync += newest.eq(self._successor(newest))
        with m.If(taken):
            m.d.sync += oldest.eq(self._successor(oldest))
        m.d.sync += [
            empty.eq(~written & (empty | (taken & one_left))),
            full.eq(~taken & (full | (written & one_free))),
        ]
        return m
