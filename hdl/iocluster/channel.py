# SPDX-License-Identifier: Apache-2.0
"""Ports of an I/O channel device, and the end of it that holds the registers."""

from typing import Any

from amaranth import Cat, Const, Module, ResetInserter, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.abi import ChannelKind, ChannelRegister
from blindvisor.hdl.ionet.service import ANSWER

__all__ = ["ACCESS", "AccessPort", "ChannelEnd", "ChannelPort", "add_buffer"]

ACCESS = data.StructLayout({"valid": 1, "write": 1, "register": 4, "data": 32})
"""One access; ``register`` is the byte offset in the channel's page (abi.ChannelRegister)."""


class AccessPort(wiring.Signature):
    """Register accesses, as the device sees them (a device has it as ``Out``).

    Members
    -------
    access : :py:`In(ACCESS)`
        An access in each cycle with ``valid``.
    answer : :py:`Out(ANSWER)`
        Its answer, in the same cycle; all zero without an access.
    """

    def __init__(self) -> None:
        super().__init__({"access": In(ACCESS), "answer": Out(ANSWER)})


class ChannelPort(wiring.Signature):
    """The owner's end of a channel, as the device sees it (a device has it as ``Out``).

    Members
    -------
    access, answer
        As in :class:`AccessPort`.
    interrupt : :py:`Out(1)`
        Level.
    clear : :py:`In(1)`
        Buffers and enable bits to their reset values; wins over an access in the same cycle.
    """

    def __init__(self) -> None:
        super().__init__(
            {"access": In(ACCESS), "answer": Out(ANSWER), "interrupt": Out(1), "clear": In(1)}
        )


class ChannelEnd(wiring.Component):
    """Registers of one end of a channel, in front of its two directions.

    Parameters
    ----------
    width : :class:`int`
        Bits of a word, 1 to 32. Higher bits read as 0 and are ignored in a write.
    kind : :class:`ChannelKind` or None
        What STATUS tells. ``None`` makes the hypervisor's end: no kind, and ENABLE answers with an
        error.

    Members
    -------
    port : :py:`Out(ChannelPort())`
        Accesses (abi.ChannelRegister).
    arriving : :py:`In(stream.Signature(width))`
        Words that can be read here.
    leaving : :py:`Out(stream.Signature(width))`
        Words that were written here; offered in the cycle of the access alone.
    """

    port: Any
    arriving: stream.Interface
    leaving: stream.Interface

    def __init__(self, *, width: int, kind: ChannelKind | None) -> None:
        if not 1 <= width <= 32:
            raise ValueError(f"Width must be from 1 to 32, not {width!r}")
        self.width = width
        self.kind = kind
        super().__init__(
            {
                "port": Out(ChannelPort()),
                "arriving": In(stream.Signature(width)),
                "leaving": Out(stream.Signature(width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Decode the registers."""
        m = Module()

        readable, writable = self.arriving.valid, self.leaving.ready
        access = self.port.access
        refused, word = Signal(init=1), Signal(32)
        enable = Signal(2)
        m.d.comb += [
            self.leaving.payload.eq(access.data),
            self.port.interrupt.eq((enable & Cat(readable, writable)).any()),
        ]
        with m.If(access.valid):
            m.d.comb += self.port.answer.eq(Cat(word, refused))
            with m.Switch(access.register):
                with m.Case(ChannelRegister.STATUS):
                    with m.If(~access.write):
                        kind = Const(0 if self.kind is None else self.kind.value, 8)
                        m.d.comb += [
                            refused.eq(0),
                            word.eq(Cat(readable, writable, Const(0, 6), kind)),
                        ]
                with m.Case(ChannelRegister.DATA):
                    with m.If(access.write):
                        m.d.comb += [self.leaving.valid.eq(1), refused.eq(~writable)]
                    with m.Elif(readable):
                        m.d.comb += [
                            self.arriving.ready.eq(1),
                            refused.eq(0),
                            word.eq(self.arriving.payload),
                        ]
                if self.kind is not None:
                    with m.Case(ChannelRegister.ENABLE):
                        m.d.comb += refused.eq(0)
                        with m.If(access.write):
                            m.d.sync += enable.eq(access.data)
                        with m.Else():
                            m.d.comb += word.eq(enable)
        with m.If(self.port.clear):
            m.d.sync += enable.eq(0)

        return m


def add_buffer(
    m: Module,
    name: str,
    *,
    source: stream.Interface,
    sink: stream.Interface,
    depth: int,
    clear: Signal,
) -> None:
    """Add a FIFO submodule of ``depth`` words that ``clear`` empties.

    Notes
    -----
    The FIFO reads its memory in the same cycle: what software sees of its fill level is exact,
    where one with a registered output would sometimes hold one word less.
    """
    buffer = fifo.SyncFIFO(width=len(source.payload), depth=depth)
    m.submodules[name] = ResetInserter(clear)(buffer)
    m.d.comb += [
        buffer.w_data.eq(source.payload),
        buffer.w_en.eq(source.valid),
        source.ready.eq(buffer.w_rdy),
        sink.payload.eq(buffer.r_data),
        sink.valid.eq(buffer.r_rdy),
        buffer.r_en.eq(sink.ready),
    ]
